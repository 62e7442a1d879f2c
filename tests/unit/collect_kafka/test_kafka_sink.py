"""The sink against librdkafka's mock of a cluster, and a producer that refuses."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from pydantic import ValidationError

from tailrace.collect.sink import Piece, Sink, SinkBatch
from tailrace.collect.sinks.kafka import KafkaSink, KafkaSinkConfig
from tailrace.collect.sinks.kafka import sink as sink_module
from tailrace.collect.transform import Event
from tests.unit.collect.support import sink_context
from tests.unit.collect_kafka.kafka_support import MockCluster


def config(servers: str = "127.0.0.1:1", **options: Any) -> KafkaSinkConfig:
    return KafkaSinkConfig.model_validate(
        {
            "inputs": ["in"],
            "bootstrap_servers": servers,
            "topic": "t",
            "encoding": {"codec": "json"},
            **options,
        }
    )


@pytest.fixture(scope="module")
def cluster() -> MockCluster:
    return MockCluster()


async def batch_of(sink: Sink, *events: Event) -> SinkBatch:
    encoder = await sink.encoder()
    return SinkBatch("token", "in", [Piece(encoder.encode(list(events)), len(events), 1, "peer")])


async def test_key_headers_and_topic_come_from_the_event(cluster: MockCluster) -> None:
    options = config(
        cluster.servers,
        topic="logs-{{ app }}",
        key_field="user.id",
        headers_key="headers",
        compression="zstd",
    )
    sink = KafkaSink(options, sink_context())
    delivery = await sink.deliver(
        await batch_of(
            sink,
            {"app": "a", "user": {"id": 7}, "headers": {"h": "x", "n": 1}},
            {"app": "b", "message": "no key"},
            {"message": "no topic"},
        )
    )
    assert (delivery.sent_rows, delivery.attempts, len(delivery.rejected)) == (2, 1, 1)
    (row,) = delivery.rejected
    assert (row.peer, row.raw) == ("peer", b'{"message":"no topic"}')
    assert "app" in row.reason
    (first,) = await asyncio.to_thread(cluster.read, "logs-a")
    assert (first.key(), first.headers()) == (b"7", [("h", b"x"), ("n", b"1")])
    (second,) = await asyncio.to_thread(cluster.read, "logs-b")
    assert (second.key(), second.headers()) == (None, None)
    assert second.value() == b'{"app":"b","message":"no key"}'
    await sink.close()


async def test_what_is_too_large_for_kafka_is_rejected_alone(cluster: MockCluster) -> None:
    sink = KafkaSink(config(cluster.servers, topic="large"), sink_context())
    delivery = await sink.deliver(
        await batch_of(sink, {"message": "x" * 1_100_000}, {"message": "small"})
    )
    assert (delivery.sent_rows, len(delivery.rejected)) == (1, 1)
    assert "refused by Kafka" in delivery.rejected[0].reason
    assert sink.is_well
    await sink.close()


class FakeProducer:
    """Confirms or refuses messages as it is told to; one for each life."""

    answers: Iterator[KafkaError | None] = iter(())
    lives = 0

    def __init__(self, settings: dict[str, Any]) -> None:
        type(self).lives += 1
        self._notes: list[Any] = []
        self.is_full = True

    def produce(self, topic: str, value: bytes, key: bytes | None, **others: Any) -> None:
        if self.is_full:
            self.is_full = False
            raise BufferError
        self._notes.append(others["on_delivery"])

    def poll(self, timeout: float) -> None:
        notes, self._notes = self._notes, []
        for note in notes:
            note(next(self.answers), None)

    def purge(self) -> None:
        """Nothing waits."""

    def flush(self, timeout: float) -> None:
        """Nothing waits."""


async def test_what_is_not_confirmed_is_sent_again_and_what_is_fatal_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink_module, "Producer", FakeProducer)
    slept: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert not sink.is_well
        await real_sleep(0)

    sink = KafkaSink(config(), sink_context())
    FakeProducer.lives = 0
    FakeProducer.answers = iter(
        [
            None,
            KafkaError(KafkaError._MSG_TIMED_OUT),
            KafkaError(KafkaError.MSG_SIZE_TOO_LARGE),
            KafkaError(KafkaError._FATAL, "fenced", fatal=True),
            None,
        ]
    )
    batch = await batch_of(sink, {"n": 1}, {"n": 2}, {"n": 3})
    monkeypatch.setattr(asyncio, "sleep", sleep)
    delivery = await sink.deliver(batch)
    assert (delivery.sent_rows, delivery.attempts) == (2, 3)
    assert [row.raw for row in delivery.rejected] == [b'{"n":3}']
    assert slept == [1, 1]
    assert FakeProducer.lives == 2
    assert sink.is_well
    await sink.close()


async def test_the_check_tells_what_is_wrong(cluster: MockCluster) -> None:
    assert await KafkaSink(config(cluster.servers), sink_context()).check() is None
    off = config(healthcheck={"enabled": False})
    assert await KafkaSink(off, sink_context()).check() is None


async def test_the_check_tells_that_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "CHECK_SECS", 0.2)
    problem = await KafkaSink(config(), sink_context()).check()
    assert problem is not None
    assert problem.startswith("cannot reach 127.0.0.1:1")


async def test_closing_does_not_wait_for_a_broker_that_is_away() -> None:
    sink = KafkaSink(config(), sink_context())
    delivering = asyncio.create_task(sink.deliver(await batch_of(sink, {"n": 1})))
    await asyncio.sleep(0)
    delivering.cancel()
    async with asyncio.timeout(20):
        await sink.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topic": "{{ app }}"}, "literal prefix"),
        ({"topic": "x%!"}, "in a template"),
        ({"key_field": "a..b"}, "as a field"),
        ({"librdkafka_options": {"acks": "0"}}, "confirmed by all replicas"),
        ({"librdkafka_options": {"nope": "0"}}, "nope"),
        (
            {"batch": {"max_events": 5}, "librdkafka_options": {"batch.num.messages": "6"}},
            "say the same",
        ),
        ({"tls": {"ca_file": "x"}}, "tls.enabled"),
        ({"sasl": {"username": "x"}}, "sasl.enabled"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(**options)


def test_the_options_become_settings_of_librdkafka() -> None:
    settings = config(
        batch={"max_bytes": 2000, "max_events": 10}, compression="lz4", headers_field="h"
    ).settings()
    assert settings["enable.idempotence"] == "true"
    assert (settings["batch.size"], settings["batch.num.messages"]) == (2000, 10)
    assert settings["compression.codec"] == "lz4"
    free = config(topic="{{ app }}", dangerously_allow_unconfined_template_resolution=True)
    assert free.topic == "{{ app }}"
