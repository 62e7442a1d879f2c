"""How the source `fluent` answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgpack
import pytest
from pydantic import ValidationError

from tailrace.collect.sources.fluent import FluentConfig, FluentSource
from tests.unit.collect.kept import Gated, running_source
from tests.unit.collect.support import until


@asynccontextmanager
async def running(kept: Gated, **options: object) -> AsyncIterator[FluentSource]:
    options = {"address": "127.0.0.1:0", **options}
    async with running_source("fluent", FluentSource, kept, options) as source:
        yield source


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
