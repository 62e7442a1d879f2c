"""A source of any kind, and buffers in memory that show what they kept."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from typing_extensions import override

from tailrace.clock import SystemClock
from tailrace.collect.codecs import CODECS
from tailrace.collect.metrics import Metrics
from tailrace.collect.source import Frames, RejectedLine, Source, SourceContext
from tailrace.collect.sources import SOURCES
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log

S = TypeVar("S", bound=Source)


def post(path: str, body: bytes, *, chunk_bytes: int = 0) -> bytes:
    """A request, its body in one piece or in chunks."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    if not chunk_bytes:
        return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    pieces = [body[n : n + chunk_bytes] for n in range(0, len(body), chunk_bytes)]
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""]]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


@dataclass
class Kept:
    """A buffer in memory, which keeps everything at once."""

    frames: list[Frames] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)
    full: bool = False

    async def append(self, frames: Sequence[Frames]) -> None:
        """Keep."""
        self.frames += frames

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        """Keep the reason, too."""
        self.rejected += lines

    def is_full(self) -> bool:
        """When the test says so."""
        return self.full


@dataclass
class Gated(Kept):
    """A buffer whose fsync happens when the test says so."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    @override
    async def append(self, frames: Sequence[Frames]) -> None:
        """Keep, once it is open."""
        self.asked += 1
        await self.is_open.wait()
        await super().append(frames)


def make_source(name: str, options: Mapping[str, Any], kept: Kept) -> Source:
    """A source of a kind, which hands over to `kept`."""
    component = SOURCES[name]
    config: Any = component.config.model_validate(options)
    context = SourceContext(
        "in",
        kept,
        CODECS[config.codec],
        Metrics(new_registry()).component("in", "source", name),
        quiet_log(),
        SystemClock(),
    )
    return component.build(config, context)


@asynccontextmanager
async def running_source(
    name: str, kind: type[S], kept: Kept, options: Mapping[str, Any]
) -> AsyncIterator[S]:
    """A source of a kind that has started, and is stopped at the end."""
    source = make_source(name, options, kept)
    assert isinstance(source, kind)
    await source.start()
    yield source
    if isinstance(kept, Gated):
        kept.is_open.set()
    await source.stop(5)
