"""Every sink of the registry: what `tailrace.collect.sink` promises of it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from pydantic import ValidationError

from tailrace.clock import SystemClock
from tailrace.collect.component import SinkConfig
from tailrace.collect.metrics import Metrics
from tailrace.collect.sink import Piece, Sink, SinkBatch, SinkContext
from tailrace.collect.sinks import SINKS, console
from tailrace.collect.sinks.clickhouse.sink import ClickhouseSink
from tailrace.collect.sinks.http.sink import HttpSink
from tailrace.collect.sinks.influxdb_logs import InfluxdbLogsSink
from tailrace.collect.sinks.influxdb_metrics import InfluxdbMetricsSink
from tailrace.collect.transform import Event, Timestamp
from tailrace.settings import Settings
from tailrace.telemetry import new_registry
from tests.unit.collect.support import FakeClickhouse, quiet_log
from tests.unit.collect_kafka.kafka_support import MockCluster

EVENTS: list[Event] = [
    {"message": f"line {number} ü", "n": number, "timestamp": Timestamp("2026-01-02T03:04:05.678Z")}
    for number in range(100)
]


@dataclass
class Subject:
    """A sink, and how its destination is looked at."""

    sink: Sink
    options: dict[str, Any]
    read: Callable[[], list[Event] | None]
    """What is there; None where nobody can look."""
    fail_once: Callable[[], None] | None = None
    once: bool = True
    """Whether a batch that comes twice is there once."""
    made: Callable[[], Sink] | None = None
    event_of: Callable[[str], Event] = lambda message: {"message": message}
    """An event that says something."""

    @property
    def events(self) -> list[Event]:
        """Those that it is given, of its kind: EVENTS, unless it takes no logs."""
        if "message" in self.event_of(""):
            return EVENTS
        return [self.event_of(event["message"]) for event in EVENTS]


def context_of(kind: str, folder: Path) -> SinkContext:
    return SinkContext(
        "out",
        Metrics(new_registry()).component("out", "sink", kind),
        quiet_log(),
        SystemClock(),
        Settings.read(data_dir=folder),
        own_folder=folder / "_sinks",
    )


@dataclass
class FakeServer:
    """An HTTP server that keeps what it is sent."""

    bodies: list[bytes] = field(default_factory=list)
    answers: list[httpx.Response | Exception] = field(default_factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        self.bodies.append(body)
        return httpx.Response(200)


def blackhole(folder: Path) -> Subject:
    options = {"inputs": ["in"]}
    config = SINKS["blackhole"].config.model_validate(options)
    sink = SINKS["blackhole"].build(config, context_of("blackhole", folder))
    return Subject(sink, options, lambda: None)


def clickhouse(folder: Path) -> Subject:
    server = FakeClickhouse(columns={"message": "String", "n": "Int64", "timestamp": "DateTime"})
    options = {"inputs": ["in"], "endpoint": "http://127.0.0.1:1", "table": "t"}
    config: Any = SINKS["clickhouse"].config.model_validate(options)
    sink = ClickhouseSink(config, context_of("clickhouse", folder), server.transport)
    return Subject(
        sink,
        options,
        lambda: [json.loads(row) for row in server.rows],
        lambda: server.next_answers.append(httpx.ConnectError("refused")),
    )


def console_pipe(folder: Path) -> Subject:
    options = {"inputs": ["in"], "encoding": {"codec": "json"}}
    config: Any = SINKS["console"].config.model_validate(options)
    sink = console.ConsoleSink(config, context_of("console", folder))
    reader, writer = os.pipe()
    sink._descriptor = writer
    os.set_blocking(reader, False)
    seen = bytearray()

    def read() -> list[Event]:
        while True:
            try:
                seen.extend(os.read(reader, 65536))
            except BlockingIOError:
                return [json.loads(line) for line in seen.splitlines()]

    return Subject(sink, options, read, once=False)


def file(folder: Path) -> Subject:
    path = folder / "logs" / "out.log"
    options = {"inputs": ["in"], "path": str(path), "encoding": {"codec": "json"}}

    def made() -> Sink:
        config = SINKS["file"].config.model_validate(options)
        return SINKS["file"].build(config, context_of("file", folder))

    def read() -> list[Event]:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return Subject(made(), options, read, made=made)


def http(folder: Path) -> Subject:
    server = FakeServer()
    options = {"inputs": ["in"], "uri": "http://127.0.0.1:1/x", "encoding": {"codec": "json"}}
    config: Any = SINKS["http"].config.model_validate(options)
    transport = httpx.MockTransport(server.handle)
    sink = HttpSink(config, context_of("http", folder), transport)
    return Subject(
        sink,
        options,
        lambda: [event for body in server.bodies for event in json.loads(body)],
        lambda: server.answers.append(httpx.ConnectError("refused")),
        once=False,
    )


def influxdb_logs(folder: Path) -> Subject:
    server = FakeServer()
    options = {
        "inputs": ["in"],
        "endpoint": "http://127.0.0.1:1",
        "database": "d",
        "measurement": "m",
    }
    config: Any = SINKS["influxdb_logs"].config.model_validate(options)
    transport = httpx.MockTransport(server.handle)
    sink = InfluxdbLogsSink(config, context_of("influxdb_logs", folder), transport)
    return Subject(
        sink,
        options,
        lambda: [_event_of(point) for body in server.bodies for point in body.splitlines()],
        lambda: server.answers.append(httpx.ConnectError("refused")),
        once=False,  # the server's doing: the same point takes its own place
    )


def _event_of(point: bytes) -> Event:
    """The event of a point with the fields of EVENTS; times may be a few nanoseconds later."""
    fields, _, time = point.decode().removeprefix("m,metric_type=logs ").partition("i ")
    message, _, number = fields.partition(",n=")
    event: Event = {"message": json.loads(message.removeprefix("message="))}
    if number:
        moment = datetime.fromtimestamp(int(time) // 1_000_000 / 1000, UTC)
        event |= {"n": int(number), "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"}
    return event


def influxdb_metrics(folder: Path) -> Subject:
    server = FakeServer()
    options = {"inputs": ["in"], "endpoint": "http://127.0.0.1:1", "database": "d"}
    config: Any = SINKS["influxdb_metrics"].config.model_validate(options)
    transport = httpx.MockTransport(server.handle)
    sink = InfluxdbMetricsSink(config, context_of("influxdb_metrics", folder), transport)
    return Subject(
        sink,
        options,
        lambda: [_metric_of(point) for body in server.bodies for point in body.splitlines()],
        lambda: server.answers.append(httpx.ConnectError("refused")),
        once=False,  # the server's doing: the same point takes its own place
        event_of=_metric,
    )


def _metric(message: str) -> Event:
    time = Timestamp("2026-01-02T03:04:05.000000678Z")
    metric = {"name": "m", "tags": {"message": message}, "timestamp": time}
    return {**metric, "kind": "incremental", "counter": {"value": 1.0}}


def _metric_of(point: bytes) -> Event:
    text = point.decode().replace("\\", "").removeprefix("m,message=")
    return _metric(text.partition(",metric_type=counter value=1 1767323045000000678")[0])


def kafka(folder: Path) -> Subject:
    cluster = MockCluster()
    options = {
        "inputs": ["in"],
        "bootstrap_servers": cluster.servers,
        "topic": "t",
        "encoding": {"codec": "json"},
        # what has no key goes to one partition, in order
        "librdkafka_options": {"partitioner": "consistent"},
    }
    config = SINKS["kafka"].config.model_validate(options)
    sink = SINKS["kafka"].build(config, context_of("kafka", folder))

    def read() -> list[Event]:
        return [json.loads(message.value() or b"") for message in cluster.read("t")]

    return Subject(sink, options, read, once=False)


SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    "blackhole": blackhole,
    "clickhouse": clickhouse,
    "console": console_pipe,
    "file": file,
    "http": http,
    "influxdb_logs": influxdb_logs,
    "influxdb_metrics": influxdb_metrics,
    "kafka": kafka,
}


@pytest.fixture(params=sorted(SINKS))
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    found = SUBJECTS[request.param](tmp_path)
    yield found
    await found.sink.close()


async def batch_of(sink: Sink, events: list[Event], *, of: str = "t") -> SinkBatch:
    encoder = await sink.encoder()
    return SinkBatch(of, "in", [Piece(encoder.encode(events), len(events), 1)])


def test_every_sink_is_held_to_the_contract() -> None:
    assert SUBJECTS.keys() == SINKS.keys()


async def test_all_events_arrive_and_are_counted(subject: Subject) -> None:
    delivery = await subject.sink.deliver(await batch_of(subject.sink, subject.events))
    assert delivery.sent_rows == len(EVENTS)
    assert delivery.sent_bytes > 0
    assert delivery.attempts == 1 or delivery.attempts == 2  # a table's columns are asked for
    assert delivery.rejected == []
    found = subject.read()
    assert found is None or found == subject.events
    assert subject.sink.is_well


async def test_batches_stay_in_order(subject: Subject) -> None:
    for number in range(3):
        await subject.sink.deliver(
            await batch_of(subject.sink, [subject.event_of(str(number))], of=f"t{number}")
        )
    found = subject.read()
    assert found is None or found == [subject.event_of(str(number)) for number in range(3)]


async def test_a_batch_that_comes_twice_is_there_once_where_that_is_promised(
    subject: Subject,
) -> None:
    batch = await batch_of(subject.sink, subject.events)
    await subject.sink.deliver(batch)
    delivery = await subject.sink.deliver(batch)
    assert delivery.sent_rows == len(EVENTS)
    found = subject.read()
    if found is not None and subject.once:
        assert found == subject.events


@pytest.mark.parametrize(
    "subject", ["clickhouse", "http", "influxdb_logs", "influxdb_metrics"], indirect=True
)
async def test_what_fails_is_done_again(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert subject.fail_once is not None
    subject.fail_once()

    async def at_once(seconds: float) -> None:
        assert not subject.sink.is_well
        assert seconds > 0

    batch = await batch_of(subject.sink, subject.events)
    monkeypatch.setattr(asyncio, "sleep", at_once)
    delivery = await subject.sink.deliver(batch)
    assert delivery.sent_rows == len(EVENTS)
    assert subject.read() == subject.events
    assert subject.sink.is_well


async def test_encoders_leave_events_alone_and_can_be_pickled(subject: Subject) -> None:
    import pickle

    encoder = pickle.loads(pickle.dumps(await subject.sink.encoder()))  # noqa: S301  # our own
    events = [dict(event) for event in subject.events]
    first = encoder.encode(events)
    assert events == subject.events
    assert encoder.encode(events) == first
    assert encoder.encode([]) == b""


async def test_an_empty_batch_is_delivered(subject: Subject) -> None:
    delivery = await subject.sink.deliver(SinkBatch("t", "in", []))
    assert delivery.sent_rows == 0


@pytest.mark.parametrize("kind", sorted(SINKS))
def test_unknown_options_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    options = SUBJECTS[kind](tmp_path).options
    with pytest.raises(ValidationError, match="surely_unknown"):
        SINKS[kind].config.model_validate({**options, "surely_unknown": 1})


@pytest.mark.parametrize("kind", sorted(SINKS))
def test_every_sink_has_a_buffer_that_blocks_unless_told_otherwise(
    kind: str, tmp_path: Path
) -> None:
    options = SUBJECTS[kind](tmp_path).options
    default = cast(SinkConfig, SINKS[kind].config.model_validate(options)).buffer
    assert (default.max_size, default.max_events, default.when_full) == (None, None, "block")
    given = {"type": "disk", "max_size": 268435488, "when_full": "drop_newest"}
    found = SINKS[kind].config.model_validate({**options, "buffer": given})
    assert cast(SinkConfig, found).buffer.when_full == "drop_newest"
    with pytest.raises(ValidationError, match="overflow"):
        SINKS[kind].config.model_validate({**options, "buffer": {"when_full": "overflow"}})


@pytest.mark.parametrize("kind", ["console", "file", "http", "kafka"])
def test_the_codec_has_no_default(kind: str, tmp_path: Path) -> None:
    options = {n: v for n, v in SUBJECTS[kind](tmp_path).options.items() if n != "encoding"}
    with pytest.raises(ValidationError, match="encoding"):
        SINKS[kind].config.model_validate(options)
    with pytest.raises(ValidationError, match="codec"):
        SINKS[kind].config.model_validate({**options, "encoding": {}})
