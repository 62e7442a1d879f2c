"""Source `stdin`: lines of standard input; the collector ends when they do."""

import asyncio
import os
import select
import socket
from contextlib import suppress
from typing import Literal

from pydantic import Field, field_validator
from typing_extensions import override

from tailrace.collect.component import Component, SourceConfig
from tailrace.collect.framing import LineFramer, Lines
from tailrace.collect.options import Decoding, Framing
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext

READ_BYTES = 1024**2
STANDARD_INPUT = 0

LOOK_UP_SECS = 0.2
"""How often a read that waits for input looks whether it has been told to stop."""


class StdinConfig(SourceConfig):
    """Takes lines from standard input."""

    type: Literal["stdin"] = "stdin"

    max_length: int = Field(default=102_400, ge=1)
    """Longest line in bytes; longer ones are rejected."""

    host_key: str = "host"
    """Field that gets this machine's name; empty for none."""

    framing: Framing = Framing()
    """How the stream is cut into lines; only `newline_delimited`, for a stream has no end."""

    decoding: Decoding = Decoding()
    """How a line becomes events."""

    @field_validator("framing")
    @classmethod
    def _has_an_end(cls, framing: Framing) -> Framing:
        if framing.method == "bytes":
            raise ValueError(
                "cannot cut a stream by framing.method 'bytes': "
                "give newline_delimited, or leave it out"
            )
        return framing

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({self.host_key}) - {""}

    @property
    @override
    def codec(self) -> str:
        return self.decoding.codec


class StdinSource(Source):
    """Reads a file descriptor to its end."""

    def __init__(
        self, config: StdinConfig, context: SourceContext, descriptor: int = STANDARD_INPUT
    ) -> None:
        super().__init__()
        self._config = config
        self._context = context
        self._descriptor = descriptor
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        host = socket.gethostname()
        fields = ((config.host_key, host),) if config.host_key else ()
        self._origin = Origin(host, fields)

    @override
    async def start(self) -> None:
        self._task = asyncio.create_task(self._read_to_the_end())
        self.tasks.append(self._task)

    @override
    async def stop(self, grace_secs: float) -> None:
        self._stopping = True
        if self._task:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, grace_secs)

    async def _read_to_the_end(self) -> None:
        newline = self._config.framing.newline_delimited
        framer = LineFramer(newline.max_length or self._config.max_length)
        buffer = bytearray(READ_BYTES)
        while not self._stopping:
            size = await asyncio.to_thread(self._read, buffer)
            if size is None:
                continue
            await self._take(framer.feed(buffer, size) if size else framer.finish())
            if size == 0:
                self.finished.set()
                return

    def _read(self, buffer: bytearray) -> int | None:
        """Bytes read, 0 at the end, None where nothing has come for a moment."""
        ready, _, _ = select.select([self._descriptor], [], [], LOOK_UP_SECS)
        return os.readv(self._descriptor, [buffer]) if ready else None

    async def _take(self, lines: Lines) -> None:
        intake, origin = self._context.intake, self._origin
        if lines.payload:
            await intake.append([Frames(lines.payload, lines.count, origin)])
        if lines.too_long:
            await intake.reject(
                [RejectedLine(line, "line too long", origin.peer) for line in lines.too_long]
            )


STDIN: Component[Source] = Component(StdinConfig, StdinSource)
