"""Bodies that are on their way take memory: all of them together have a limit, announced or not."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tailrace.collect import requests
from tailrace.collect.sources.http_server import HttpServerConfig, HttpServerSource
from tailrace.http_pace import BODY_SECS
from tests.leaping import now_secs, run_leaping


def request(**headers: str) -> dict[str, Any]:
    return {
        "method": "POST",
        "path": "/",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
        "query_string": b"",
    }


@pytest.mark.parametrize("headers", [{"content_length": "100"}, {"transfer_encoding": "chunked"}])
async def test_bodies_together_have_a_limit(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST_BODIES_BYTES", 150)
    never_full = SimpleNamespace(intake=SimpleNamespace(is_full=lambda: False))
    source = HttpServerSource(HttpServerConfig(address="127.0.0.1:0"), cast(Any, never_full))
    answers: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    async def second() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def first() -> dict[str, Any]:
        if not answers:
            # It has sent a hundred bytes and not its last: another request begins.
            await source.answer(request(**headers), second, send)
            return {"type": "http.request", "body": b"x" * 100, "more_body": True}
        return {"type": "http.disconnect"}

    await source.answer(request(**headers), first, send)
    status = [message["status"] for message in answers if "status" in message]
    assert 503 in status
    assert source.bodies_bytes == 0


@pytest.mark.parametrize("every_secs", [BODY_SECS - 1, 10 * BODY_SECS])
def test_a_peer_that_announces_a_body_and_sends_none_gives_its_room_back(every_secs: float) -> None:
    """Three that announced a hundred megabytes each kept everybody else out, for as long as they liked."""
    never_full = SimpleNamespace(intake=SimpleNamespace(is_full=lambda: False))
    source = HttpServerSource(HttpServerConfig(address="127.0.0.1:0"), cast(Any, never_full))
    answers: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(every_secs)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def work() -> None:
        await source.answer(request(content_length="100"), receive, send)
        assert now_secs() == BODY_SECS

    run_leaping(work())
    assert answers[0]["status"] == 408
    assert (b"connection", b"close") in answers[0]["headers"]
    assert source.bodies_bytes == 0
