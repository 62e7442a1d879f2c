"""How the source `fluent` answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgpack
import pytest
from pydantic import ValidationError

from tailrace.clock import SystemClock
from tailrace.collect.codecs import CODECS
from tailrace.collect.metrics import Metrics
from tailrace.collect.source import Frames, RejectedLine, SourceContext
from tailrace.collect.sources.fluent import FluentConfig, FluentSource
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log, until


@dataclass
class Gated:
    """A buffer whose fsync happens when the test says so."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    frames: list[Frames] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)

    async def append(self, frames: Sequence[Frames]) -> None:
        self.asked += 1
        await self.is_open.wait()
        self.frames += frames

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        self.rejected += lines

    def is_full(self) -> bool:
        return False


@asynccontextmanager
async def running(kept: Gated, **options: object) -> AsyncIterator[FluentSource]:
    config = FluentConfig.model_validate({"address": "127.0.0.1:0", **options})
    metrics = Metrics(new_registry()).component("in", "source", "fluent")
    context = SourceContext("in", kept, CODECS["fluent"], metrics, quiet_log(), SystemClock())
    source = FluentSource(config, context)
    await source.start()
    yield source
    kept.is_open.set()
    await source.stop(5)


async def test_a_chunk_is_acknowledged_when_it_is_kept() -> None:
    kept = Gated()
    async with running(kept) as source:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        message = msgpack.packb(["app", [[1, {"m": 1}], [2, {"m": 2}]], {"chunk": "c-1"}])
        for byte in message:
            writer.write(bytes([byte]))
            await writer.drain()
        await until(lambda: kept.asked)
        answer = asyncio.create_task(reader.read(100))
        await asyncio.sleep(0)
        assert not answer.done()
        kept.is_open.set()
        assert msgpack.unpackb(await answer) == {"ack": "c-1"}
        assert kept.frames[0].count == 2
        writer.close()
        await writer.wait_closed()


async def test_what_is_no_messagepack_ends_the_connection_but_not_what_came_before() -> None:
    kept = Gated()
    kept.is_open.set()
    async with running(kept) as source:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        writer.write(msgpack.packb(None) + msgpack.packb(["app", 1, {"m": 1}]) + b"\xc1")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await until(lambda: kept.rejected)
    assert [frames.count for frames in kept.frames] == [1]
    assert kept.rejected[0].reason.startswith("not the forward protocol")


async def test_limits() -> None:
    kept = Gated()
    for options in ({"connection_limit": 1}, {"permit_origin": ["10.0.0.0/8"]}):
        async with running(kept, **options) as source:
            _, first = await asyncio.open_connection("127.0.0.1", source.port)
            reader, second = await asyncio.open_connection("127.0.0.1", source.port)
            assert await reader.read() == b""
            for writer in (first, second):
                writer.close()
                await writer.wait_closed()


def test_tls_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="tls"):
        FluentConfig.model_validate({"address": "127.0.0.1:0", "tls": {"enabled": True}})
