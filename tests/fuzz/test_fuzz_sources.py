"""Every source that is registered, sent any bytes by its own protocol, over its real socket.

Nothing goes wrong inside: no task dies, no callback fails, no request is answered with 500. What is
good before the garbage on the same stream, or in the same request, is kept, and so is what comes
afterwards from somebody else. What is kept has as many frames as it says, and each is an event or
refused by its codec.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from typing_extensions import override

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tailrace.collect.source import Frames
from tailrace.collect.sources import SOURCES
from tests.contract.test_components import DRIVERS, HAVE_NO_DRIVER, Driver, GatedIntake
from tests.fuzz.samples import (
    FORWARD,
    HEC,
    JSON_LINES,
    LUMBERJACK,
    OTLP,
    SYSLOG,
    forward,
    garbage,
    lumberjack,
    otlp,
)
from tests.unit.collect.support import until

ENDS_WITHIN_SECS = 20.0


@dataclass
class OpenIntake(GatedIntake):
    """Keeps at once."""

    frames: list[Frames] = field(default_factory=list)

    @override
    async def append(self, frames: Sequence[Frames]) -> None:
        for part in frames:
            if not part.one_frame:
                assert part.payload.endswith(b"\n")
                assert part.payload.count(b"\n") == part.count
            self.frames.append(part)
            self.taken += len(part.payload)

    def has(self, marker: bytes) -> bool:
        return any(marker in part.payload for part in self.frames)


@dataclass(frozen=True)
class Wire:
    """How any bytes get to a source."""

    samples: tuple[bytes, ...]
    send: Callable[[Driver, bytes], Awaitable[None]]
    good: Callable[[bytes], bytes] | None = None
    """What goes before the garbage and has to be kept; None: nothing may."""
    codec: str = "json"
    end: bytes = b""
    """What ends the garbage, so that it is not a part of what comes next."""


async def by_tcp(driver: Driver, data: bytes) -> None:
    """Over a connection of its own, until the other side has ended it."""
    port: int = driver.source.port  # type: ignore[attr-defined]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # It may have had enough of it before the end.
    with suppress(ConnectionError):
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(ENDS_WITHIN_SECS):
            await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def by_udp(driver: Driver, data: bytes) -> None:
    port: int = driver.source.port  # type: ignore[attr-defined]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, ("127.0.0.1", port))


async def as_it_is(driver: Driver, data: bytes) -> None:
    await driver.send(data)


def by_post(*paths: str, **headers: str) -> Callable[[Driver, bytes], Awaitable[None]]:
    """As the body of requests."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def post(driver: Driver, data: bytes) -> None:
        port: int = driver.source.port  # type: ignore[attr-defined]
        for path in paths:
            for headers in (named, {**named, "Content-Encoding": "gzip"}):
                status = await asyncio.to_thread(_post, port, path, data, headers)
                assert status < 500, (path, headers, status)

    return post


def _post(port: int, path: str, data: bytes, headers: dict[str, str]) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=ENDS_WITHIN_SECS)
    try:
        connection.request("POST", path, data, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def line(marker: bytes) -> bytes:
    return b'{"n":"%s"}\n' % marker


WIRES = {
    "file": Wire(JSON_LINES, as_it_is, line, "bytes", end=b"\n"),
    "fluent": Wire(FORWARD, by_tcp, lambda marker: forward(marker.decode()), "fluent"),
    "http_server": Wire(JSON_LINES, by_post("/"), line),
    "logstash": Wire(LUMBERJACK, by_tcp, lambda marker: lumberjack(line(marker)), "logstash"),
    "opentelemetry": Wire(
        OTLP, by_post("/v1/logs", Content_Type="application/json"), codec="opentelemetry"
    ),
    "opentelemetry, protobuf": Wire(
        OTLP, by_post("/v1/logs", Content_Type="application/x-protobuf"), codec="opentelemetry"
    ),
    "socket": Wire(JSON_LINES, by_tcp, line, end=b"\n"),
    "socket, udp": Wire(JSON_LINES, by_udp),
    "splunk_hec": Wire(
        HEC,
        by_post(*(f"/services/collector/{name}" for name in ("event", "raw", "ack"))),
        lambda marker: b'{"event":"%s"}\n' % marker,
        "splunk_hec",
    ),
    "stdin": Wire(JSON_LINES, as_it_is, line, end=b"\n"),
    "syslog": Wire(
        SYSLOG, by_tcp, lambda marker: b"%d <0>%s" % (len(marker) + 3, marker), "syslog"
    ),
}


BY_TARGET = {"kafka"}
"""Sources whose protocol is another's: what they make of messages is looked at by `fuzz_kafka.py`."""


def test_every_source_is_fuzzed() -> None:
    fuzzed = {name.partition(",")[0] for name in WIRES}
    assert fuzzed | HAVE_NO_DRIVER | BY_TARGET >= SOURCES.keys(), "give the new source a Wire here"


def test_what_is_good_is_recognised() -> None:
    assert b"marker" in otlp("marker")


@pytest.mark.parametrize("name", WIRES)
def test_nothing_sent_breaks_it_or_loses_what_is_good(name: str) -> None:
    wire = WIRES[name]
    intake = OpenIntake()
    problems: list[dict[str, Any]] = []
    number = 0

    async def begin() -> Driver:
        asyncio.get_running_loop().set_exception_handler(lambda _, it: problems.append(it))
        driver = await DRIVERS[name.removesuffix(", protobuf")](intake)
        await driver.source.start()
        return driver

    async def send(driver: Driver, data: bytes) -> None:
        nonlocal number
        number += 1
        intake.frames.clear()
        before, after = b"before-%d-" % number, b"after-%d-" % number
        good = wire.good(before) if wire.good else b""
        await wire.send(driver, good + data + wire.end)
        assert await driver.send(line(after))
        await until(lambda: intake.has(after))
        if wire.good:
            await until(lambda: intake.has(before))
        for frame in intake.frames:
            for one in [frame.payload] if frame.one_frame else frame.payload.splitlines():
                with suppress(DecodeError):
                    CODECS[wire.codec](one)
        assert not [task for task in driver.source.tasks if task.done()]
        assert not problems

    async def end(driver: Driver) -> None:
        driver.end()
        await driver.source.stop(1)

    with asyncio.Runner() as runner:
        driver = runner.run(begin())

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(garbage(wire.samples))
        def holds(data: bytes) -> None:
            runner.run(send(driver, data))

        try:
            holds()
        finally:
            runner.run(end(driver))
