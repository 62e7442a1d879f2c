"""What every source and sink promises, held against all that are registered."""

import asyncio
import os
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import httpx
import msgpack
import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from pydantic import ValidationError

from tailrace.clock import SystemClock
from tailrace.collect.codecs import CODECS
from tailrace.collect.component import Component, Options
from tailrace.collect.datagrams import DatagramSource
from tailrace.collect.metrics import Metrics
from tailrace.collect.sink import Piece, Sink, SinkBatch
from tailrace.collect.sinks import SINKS
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sinks.clickhouse.sink import ClickhouseSink
from tailrace.collect.source import Frames, Position, RejectedLine, Source, SourceContext
from tailrace.collect.sources import SOURCES
from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.source import FileSource
from tailrace.collect.sources.fluent import FluentConfig, FluentSource
from tailrace.collect.sources.http_server import HttpServerConfig, HttpServerSource
from tailrace.collect.sources.kafka import KAFKA
from tailrace.collect.sources.logstash import LogstashConfig, LogstashSource
from tailrace.collect.sources.opentelemetry import OpentelemetryConfig, OpentelemetrySource
from tailrace.collect.sources.socket import SocketConfig, SocketSource, build_socket
from tailrace.collect.sources.splunk_hec import SplunkHecConfig, SplunkHecSource
from tailrace.collect.sources.stdin import StdinConfig, StdinSource
from tailrace.collect.sources.syslog import SyslogConfig, build_syslog
from tailrace.collect.streams import StreamSource
from tailrace.errors import PortTakenError
from tailrace.telemetry import new_registry
from tests.unit.collect.support import FakeClickhouse, quiet_log, sink_context, until
from tests.unit.collect_kafka.kafka_support import MockCluster

COMPONENTS = {**SOURCES, **SINKS}


@pytest.mark.parametrize("name", COMPONENTS)
def test_options_are_strict_and_each_is_explained(name: str) -> None:
    component: Component[object] = COMPONENTS[name]
    assert component.config.model_fields["type"].default == name
    for model in _all_options(component.config):
        assert model.model_config.get("extra") == "forbid"
        assert model.model_config.get("frozen")
        for option, information in model.model_fields.items():
            is_plain = option in ("strategy", "username", "password", "user", "token", "type")
            assert information.description or is_plain, f"{model.__name__}.{option}"


def _all_options(model: type[Options]) -> set[type[Options]]:
    found = {model}
    for information in model.model_fields.values():
        default = information.default
        if isinstance(default, Options):
            found |= _all_options(type(default))
    return found


@pytest.mark.parametrize("name", COMPONENTS)
def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        COMPONENTS[name].config.model_validate({"type": name, "no_such_option": 1})
    assert ("no_such_option",) in [error["loc"] for error in refused.value.errors()]


@dataclass
class GatedIntake:
    """A buffer whose fsync happens when the test says so."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    kept: list[bytes] = field(default_factory=list)
    taken: int = 0
    rejected: list[RejectedLine] = field(default_factory=list)
    full: bool = False
    unpack: Callable[[bytes], list[bytes]] | None = None
    """The lines in a frame, of sources that make frames of their own."""

    async def append(self, frames: Sequence[Frames]) -> None:
        self.taken += sum(len(part.payload) for part in frames)
        await self.is_open.wait()
        for part in frames:
            if self.unpack:
                lines = self.unpack(part.payload)
                assert len(lines) == part.count
                self.kept += lines
                continue
            assert part.payload.endswith(b"\n")
            assert part.payload.count(b"\n") == part.count
            self.kept += part.payload.split(b"\n")[:-1]

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        self.rejected += lines

    def is_full(self) -> bool:
        return self.full


@dataclass
class Driver:
    """A source, and how to send bytes to it; `send` comes back with what its peer is told."""

    source: Source
    intake: GatedIntake
    metrics: Metrics
    send: Callable[[bytes], Coroutine[None, None, bool]]
    """True: acknowledged, or not acknowledged by this protocol at all."""
    end: Callable[[], None] = lambda: None
    acknowledges: bool = False
    """Whether its peer is told that what it sent is safe, or to come again."""


def _context(intake: GatedIntake, name: str) -> tuple[SourceContext, Metrics]:
    metrics = Metrics(new_registry())
    return (
        SourceContext(
            "in",
            intake,
            CODECS["json"],
            metrics.component("in", "source", name),
            quiet_log(),
            SystemClock(),
        ),
        metrics,
    )


async def _tcp(intake: GatedIntake) -> Driver:
    config = SocketConfig.model_validate(
        {"mode": "tcp", "address": "127.0.0.1:0", "decoding": {"codec": "json"}}
    )
    context, metrics = _context(intake, "socket")
    source = SocketSource(config, context)

    async def send(data: bytes) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", source.port)
        writer.write(data)
        writer.close()
        await writer.wait_closed()
        return True

    return Driver(source, intake, metrics, send)


async def _http(intake: GatedIntake) -> Driver:
    config = HttpServerConfig.model_validate(
        {"address": "127.0.0.1:0", "decoding": {"codec": "json"}}
    )
    context, metrics = _context(intake, "http_server")
    source = HttpServerSource(config, context)

    async def send(data: bytes) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(data), data)
        )
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.startswith(b"HTTP/1.1 200")

    return Driver(source, intake, metrics, send, acknowledges=True)


async def _opentelemetry(intake: GatedIntake) -> Driver:
    config = OpentelemetryConfig.model_validate({"http": {"address": "127.0.0.1:0"}})
    context, metrics = _context(intake, "opentelemetry")
    source = OpentelemetrySource(config, context)
    intake.unpack = lambda frame: [
        event["message"].encode() for event in CODECS["opentelemetry"](frame)
    ]

    async def send(data: bytes) -> bool:
        request = ExportLogsServiceRequest()
        records = request.resource_logs.add().scope_logs.add().log_records
        for line in data.splitlines():
            records.add().body.string_value = line.decode()
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(
                f"http://127.0.0.1:{source.port}/v1/logs",
                content=request.SerializeToString(),
                headers={"Content-Type": "application/x-protobuf"},
            )
        return answer.is_success

    return Driver(source, intake, metrics, send, acknowledges=True)


async def _fluent(intake: GatedIntake) -> Driver:
    config = FluentConfig.model_validate({"address": "127.0.0.1:0"})
    context, metrics = _context(intake, "fluent")
    source = FluentSource(config, context)
    intake.unpack = lambda lines: [
        CODECS["fluent"](line)[0]["message"].encode() for line in lines.splitlines()
    ]

    async def send(data: bytes) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", source.port)
        entries = [[1, {"message": line.decode()}] for line in data.splitlines()]
        writer.write(msgpack.packb(["tag", entries]))
        writer.close()
        await writer.wait_closed()
        return True

    return Driver(source, intake, metrics, send)


async def _logstash(intake: GatedIntake) -> Driver:
    config = LogstashConfig.model_validate({"address": "127.0.0.1:0"})
    context, metrics = _context(intake, "logstash")
    source = LogstashSource(config, context)

    async def send(data: bytes) -> bool:
        lines = data.splitlines()
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        writer.write(b"2W" + struct.pack(">I", len(lines)))
        for number, line in enumerate(lines, 1):
            writer.write(b"2J" + struct.pack(">II", number, len(line)) + line)
        last = b"2A" + struct.pack(">I", len(lines))
        with suppress(asyncio.TimeoutError):
            async with asyncio.timeout(2 if intake.full else 60):
                answer = b""
                while not answer.endswith(last):
                    answer += await reader.readexactly(6)
        writer.close()
        await writer.wait_closed()
        return answer.endswith(last)

    return Driver(source, intake, metrics, send, acknowledges=True)


async def _splunk_hec(intake: GatedIntake) -> Driver:
    config = SplunkHecConfig.model_validate({"address": "127.0.0.1:0"})
    context, metrics = _context(intake, "splunk_hec")
    source = SplunkHecSource(config, context)
    intake.unpack = lambda lines: [
        CODECS["splunk_hec"](line)[0]["message"].encode() for line in lines.splitlines()
    ]

    async def send(data: bytes) -> bool:
        envelopes = [orjson.dumps({"event": line.decode()}) for line in data.splitlines()]
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(
                f"http://127.0.0.1:{source.port}/services/collector/event",
                content=b"".join(envelopes),
            )
        return answer.is_success

    return Driver(source, intake, metrics, send, acknowledges=True)


async def _stdin(intake: GatedIntake) -> Driver:
    reading, writing = os.pipe()
    context, metrics = _context(intake, "stdin")
    source = StdinSource(
        StdinConfig.model_validate({"decoding": {"codec": "json"}}), context, reading
    )

    async def send(data: bytes) -> bool:
        await asyncio.to_thread(os.write, writing, data)
        return True

    return Driver(source, intake, metrics, send, lambda: os.close(writing))


async def _udp(intake: GatedIntake) -> Driver:
    config: dict[str, object] = {
        "mode": "udp",
        "address": "127.0.0.1:0",
        "decoding": {"codec": "json"},
    }
    driver, source = _datagrams(intake, config)

    async def send(data: bytes) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            await _send_lines(sender, data, ("127.0.0.1", source.port))
        return True

    return replace(driver, send=send)


async def _unix_datagram(intake: GatedIntake) -> Driver:
    path = f"{tempfile.mkdtemp()}/socket"
    config: dict[str, object] = {
        "mode": "unix_datagram",
        "path": path,
        "decoding": {"codec": "json"},
    }
    driver, _ = _datagrams(intake, config)

    async def send(data: bytes) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            await _send_lines(sender, data, path)
        return True

    return replace(driver, send=send)


def _datagrams(intake: GatedIntake, config: dict[str, object]) -> tuple[Driver, DatagramSource]:
    context, metrics = _context(intake, "socket")
    source = build_socket(SocketConfig.model_validate(config), context)
    assert isinstance(source, DatagramSource)

    async def send(data: bytes) -> bool:
        raise AssertionError("BUG: datagrams are sent by their own sockets")

    return Driver(source, intake, metrics, send), source


async def _send_lines(sender: socket.socket, data: bytes, address: tuple[str, int] | str) -> None:
    """Each line as a datagram, no more at once than the system has room for."""
    sender.setblocking(False)
    for number, line in enumerate(data.splitlines()):
        if number % 5 == 0:
            await asyncio.sleep(0)
        sender.sendto(line, address)


async def _unix_stream(intake: GatedIntake) -> Driver:
    path = f"{tempfile.mkdtemp()}/socket"
    context, metrics = _context(intake, "socket")
    options = {"mode": "unix_stream", "path": path, "decoding": {"codec": "json"}}
    source = build_socket(SocketConfig.model_validate(options), context)

    async def send(data: bytes) -> bool:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(data)
        writer.close()
        await writer.wait_closed()
        return True

    return Driver(source, intake, metrics, send)


async def _syslog(intake: GatedIntake) -> Driver:
    context, metrics = _context(intake, "syslog")
    options = {"mode": "tcp", "address": "127.0.0.1:0"}
    source = build_syslog(SyslogConfig.model_validate(options), context)
    assert isinstance(source, StreamSource)

    async def send(data: bytes) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", source.port)
        writer.write(b"".join(b"%d %s" % (len(line), line) for line in data.splitlines()))
        writer.close()
        await writer.wait_closed()
        return True

    return Driver(source, intake, metrics, send)


async def _file(intake: GatedIntake) -> Driver:
    path = f"{tempfile.mkdtemp()}/app.log"
    context, metrics = _context(intake, "file")
    options = {"include": [path], "glob_minimum_cooldown_ms": 1}
    context = replace(context, positions=ForgetfulPositions())
    source = FileSource(FileConfig.model_validate(options), context)

    async def send(data: bytes) -> bool:
        before = intake.taken
        await asyncio.to_thread(_append, path, data)
        await until(lambda: intake.taken > before)
        return True

    return Driver(source, intake, metrics, send)


@dataclass(frozen=True)
class GatedBatches:
    """Delivery of batches whose destination is the gated buffer."""

    intake: GatedIntake
    timeout_secs: float = 0.01

    async def deliver(
        self,
        name: str,
        frames: Sequence[Frames],
        arrival_ms: int | None = None,
        *,
        again: bool = False,
    ) -> None:
        """Returns when the test lets it."""
        assert name
        await self.intake.append(frames)

    async def forget(self, prefix: str, names: Collection[str]) -> None:
        """Nothing was left."""


async def _kafka(intake: GatedIntake) -> Driver:
    cluster = await asyncio.to_thread(MockCluster)
    # The topic is there before anybody reads it: a message without a value is no event.
    await asyncio.to_thread(cluster.send, "t", [None])
    options = {
        "bootstrap_servers": cluster.servers,
        "group_id": "g",
        "topics": ["t"],
        "auto_offset_reset": "earliest",
        "decoding": {"codec": "json"},
        **dict.fromkeys(
            ("key_field", "topic_key", "partition_key", "offset_key", "headers_key"), ""
        ),
    }
    context, metrics = _context(intake, "kafka")
    context = replace(context, batches=GatedBatches(intake))
    source = KAFKA.build(KAFKA.config.model_validate(options), context)

    async def send(data: bytes) -> bool:
        before = intake.taken
        await asyncio.to_thread(cluster.send, "t", data.splitlines())
        await until(lambda: intake.taken == before + len(data))
        return True

    return Driver(source, intake, metrics, send)


def _append(path: str, data: bytes) -> None:
    with open(path, "ab") as file:
        file.write(data)


@dataclass
class ForgetfulPositions:
    """A source's memory that is empty."""

    found: Mapping[str, Position] = field(default_factory=dict)

    async def put(self, positions: Sequence[Position]) -> None:
        """Keep nothing."""

    async def forget(self, keys: Sequence[str]) -> None:
        """Nothing was kept."""


DRIVERS = {
    "file": _file,
    "fluent": _fluent,
    "http_server": _http,
    "kafka": _kafka,
    "logstash": _logstash,
    "opentelemetry": _opentelemetry,
    "socket": _tcp,
    "socket, udp": _udp,
    "socket, unix_datagram": _unix_datagram,
    "socket, unix_stream": _unix_stream,
    "splunk_hec": _splunk_hec,
    "stdin": _stdin,
    "syslog": _syslog,
}
HAVE_NO_DRIVER = {"demo_logs"}
"""Sources that take nothing from anybody."""


def test_every_source_has_a_driver() -> None:
    assert {name.partition(",")[0] for name in DRIVERS} | HAVE_NO_DRIVER >= SOURCES.keys()


@pytest.fixture(params=sorted(DRIVERS))
async def driver(request: pytest.FixtureRequest) -> AsyncIterator[Driver]:
    driver = await DRIVERS[request.param](GatedIntake())
    await driver.source.start()
    yield driver
    driver.intake.is_open.set()
    await driver.source.stop(1)


async def test_what_is_sent_is_handed_over_whole_and_in_order(driver: Driver) -> None:
    driver.intake.is_open.set()
    lines = [b'{"n":%d}' % number for number in range(1000)]
    await driver.send(b"".join(line + b"\n" for line in lines))
    await until(lambda: len(driver.intake.kept) == 1000)
    assert driver.intake.kept == lines
    driver.end()


async def test_nothing_is_acknowledged_before_it_is_kept(driver: Driver) -> None:
    sending = asyncio.create_task(driver.send(b'{"n":1}\n'))
    await until(lambda: driver.intake.taken)
    if driver.acknowledges:
        assert not sending.done()
    assert driver.intake.kept == []
    driver.intake.is_open.set()
    assert await asyncio.wait_for(sending, 60)
    await until(lambda: driver.intake.kept == [b'{"n":1}'])
    driver.end()


async def test_stopping_hands_over_what_has_come(driver: Driver) -> None:
    driver.intake.is_open.set()
    await driver.send(b'{"n":1}\n' * 100)
    driver.end()
    await driver.source.stop(5)
    assert len(driver.intake.kept) == 100


async def test_a_full_buffer_is_told_or_waited_for(driver: Driver) -> None:
    driver.intake.full = True
    sending = asyncio.create_task(driver.send(b'{"n":1}\n'))
    if driver.acknowledges:
        assert not await asyncio.wait_for(sending, 60)
    else:
        await sending
        await until(lambda: driver.intake.taken)
        assert driver.intake.kept == []
    driver.end()


@pytest.mark.parametrize("name", ["http_server", "socket"])
async def test_a_taken_port_is_said_at_the_start(name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        context, _ = _context(GatedIntake(), name)
        component = SOURCES[name]
        options = {"address": address, **({"mode": "tcp"} if name == "socket" else {})}
        source = component.build(component.config.model_validate(options), context)
        with pytest.raises(PortTakenError, match=r"sources\.in\.address"):
            await source.start()


def _clickhouse(server: FakeClickhouse) -> Sink:
    config = ClickhouseConfig.model_validate(
        {"inputs": ["in"], "endpoint": "http://127.0.0.1:8123", "table": "t"}
        | {"format": "json_as_string"}
    )
    return ClickhouseSink(config, sink_context(), server.transport)


SINK_MAKERS = {"clickhouse": _clickhouse}
"""Sinks whose destination knows tokens."""


@pytest.mark.parametrize("name", SINK_MAKERS)
async def test_a_batch_that_comes_twice_is_there_once(name: str) -> None:
    server = FakeClickhouse()
    sink = SINK_MAKERS[name](server)
    batch = SinkBatch("token", "in", [Piece(b'{"a":1}\n{"b":2}\n', 2, 0)])
    for _ in range(2):
        delivery = await sink.deliver(batch)
        assert (delivery.sent_rows, delivery.rejected) == (2, [])
    await sink.close()
    assert server.rows == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize("name", SINK_MAKERS)
async def test_a_delivery_may_be_cancelled_and_made_again(name: str) -> None:
    server = FakeClickhouse()
    sink = SINK_MAKERS[name](server)
    batch = SinkBatch("token", "in", [Piece(b'{"a":1}\n', 1, 0)])
    server.hangs = True
    delivering = asyncio.create_task(sink.deliver(batch))
    await until(lambda: server.requests)
    delivering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivering
    server.hangs = False
    assert (await sink.deliver(batch)).sent_rows == 1
    await sink.close()
