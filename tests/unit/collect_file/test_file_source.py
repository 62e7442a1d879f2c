"""The source of files on its event loop: what it does while the buffer is full, and when it ends."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tailrace.clock import SystemClock
from tailrace.collect.codecs import CODECS
from tailrace.collect.metrics import Metrics
from tailrace.collect.source import Frames, Position, RejectedLine, SourceContext
from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.source import FileSource
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log, until


@dataclass
class Buffer:
    """A buffer that is full until it is opened, and a memory of positions."""

    has_room: asyncio.Event = field(default_factory=asyncio.Event)
    offered: int = 0
    kept: list[bytes] = field(default_factory=list)
    found: Mapping[str, Position] = field(default_factory=dict)
    positions: list[Position] = field(default_factory=list)

    async def append(self, frames: Sequence[Frames]) -> None:
        self.offered += 1
        await self.has_room.wait()
        for part in frames:
            self.kept += part.payload.splitlines()

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        raise AssertionError(lines)

    def is_full(self) -> bool:
        return not self.has_room.is_set()

    async def put(self, positions: Sequence[Position]) -> None:
        self.positions += positions

    async def forget(self, keys: Sequence[str]) -> None:
        self.positions = [one for one in self.positions if one.key not in keys]


@pytest.fixture
async def buffer(tmp_path: Path) -> AsyncIterator[Buffer]:
    buffer = Buffer()
    (tmp_path / "a.log").write_bytes(b"one\n")
    component = Metrics(new_registry()).component("in", "source", "file")
    context = SourceContext(
        "in", buffer, CODECS["bytes"], component, quiet_log(), SystemClock(), buffer
    )
    options = {"include": [str(tmp_path / "*.log")], "glob_minimum_cooldown_ms": 5}
    source = FileSource(FileConfig.model_validate(options), context)
    await source.start()
    yield buffer
    await source.stop(0.2)


async def test_files_that_come_and_go_while_the_buffer_is_full_are_read(
    buffer: Buffer, tmp_path: Path
) -> None:
    await until(lambda: buffer.offered)
    (tmp_path / "b.log").write_bytes(b"two\n")
    await until(lambda: len(buffer.positions) == 2)
    (tmp_path / "b.log").unlink()
    assert buffer.kept == []
    buffer.has_room.set()
    await until(lambda: len(buffer.kept) == 2)
    assert buffer.kept == [b"one", b"two"]


async def test_it_ends_although_the_buffer_is_full(buffer: Buffer) -> None:
    await until(lambda: buffer.offered)
    assert buffer.kept == []
