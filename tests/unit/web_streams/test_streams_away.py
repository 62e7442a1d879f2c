"""Brokers that are away, and people who wait for what they would say."""

import asyncio

import pytest
from confluent_kafka import KafkaError, KafkaException
from starlette.exceptions import HTTPException

from tailrace.settings import Settings
from tailrace.testing import ManualClock
from tailrace.web.streams import Streams
from tailrace.web.streams.asking import Asking


async def test_who_waits_for_brokers_that_are_away_is_told_what_the_first_was_told() -> None:
    clock = ManualClock()
    streams = Streams(Settings.read(bootstrap_servers="127.0.0.1:1"), clock)
    asked: list[object] = []

    async def ask(key: str) -> HTTPException:
        def work(_: Asking) -> None:
            asked.append(key)
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

        with pytest.raises(HTTPException, match="cannot ask the brokers") as refused:
            await streams._keep(key, work)
        return refused.value

    try:
        told = await asyncio.gather(*(ask(key) for key in ("one", "two", "three")))
        assert [error.status_code for error in told] == [503, 503, 503]
        assert asked == ["one"]
        clock.advance(1.5)
        await ask("four")
        assert asked == ["one", "four"]
    finally:
        streams.close()
