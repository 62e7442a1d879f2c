"""How the source `logstash` answers."""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from tailrace.collect.sources.logstash import LogstashConfig, LogstashSource
from tests.unit.collect.kept import Gated, running_source
from tests.unit.collect.support import until


@pytest.fixture
def kept() -> Gated:
    return Gated()


@pytest.fixture
async def source(kept: Gated) -> AsyncIterator[LogstashSource]:
    options = {"address": "127.0.0.1:0"}
    async with running_source("logstash", LogstashSource, kept, options) as source:
        yield source


def event(number: int, document: bytes) -> bytes:
    return b"2J" + struct.pack(">II", number, len(document)) + document


async def test_a_window_is_acknowledged_when_it_is_kept(
    source: LogstashSource, kept: Gated
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(b"2W\0\0\0\3" + event(1, b'{\n"a": 1}') + event(2, b"[]") + event(3, b'{"b":2}'))
    await until(lambda: kept.asked)
    answer = asyncio.create_task(reader.readexactly(6))
    await asyncio.sleep(0)
    assert not answer.done()
    kept.is_open.set()
    assert await answer == b"2A\0\0\0\3"
    (frames,) = kept.frames
    assert (frames.payload, frames.count) == (b'{"a":1}\n{"b":2}\n', 2)
    assert frames.origin.fields == (("host", "127.0.0.1"),)
    assert [(line.raw, line.peer) for line in kept.rejected] == [(b"[]", "127.0.0.1")]
    writer.close()
    await writer.wait_closed()


async def test_another_protocol_ends_the_connection(source: LogstashSource, kept: Gated) -> None:
    kept.is_open.set()
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(event(1, b"{}") + b"GET / HTTP/1.1\r\n")
    assert await reader.read() == b""
    assert [frames.count for frames in kept.frames] == [1]
    assert kept.rejected[0].reason == "not Lumberjack: a frame begins with b'GE'"
    writer.close()
    await writer.wait_closed()


def test_tls_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="tls"):
        LogstashConfig.model_validate({"address": "127.0.0.1:0", "tls": {"enabled": True}})
