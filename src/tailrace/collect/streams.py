"""Takes frames from connections: over TCP, or a Unix socket. What `socket` and `syslog` share.

Such protocols have no way to say that something is safe, so nothing is acknowledged; what a peer has
sent and the system has received reaches the buffer even when the collector is told to stop. A
connection that ends in the middle of a line has its last line taken as it is.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

from typing_extensions import override

from tailrace.collect.framing import Lines
from tailrace.collect.listen import BACKLOG, address_of_peer
from tailrace.collect.outbox import Outbox
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext
from tailrace.collect.tcp import TcpOptions
from tailrace.collect.tls import accepting

READ_BYTES = 128 * 1024
"""Most that is read of a connection at once. uvloop reads one that always has more up to 32 times
before anybody else has a turn: with 1 MB the others waited for 35 ms, and no byte was cheaper."""

SILENCE_SECS = 0.05


class Framer(Protocol):
    """Cuts one stream into frames."""

    @property
    def unfinished(self) -> bytes:
        """What has come of the frame that is not complete."""

    def feed(self, buffer: bytearray, size: int) -> Lines:
        """The frames that are complete now that the first `size` bytes of `buffer` have come."""

    def finish(self) -> Lines:
        """The last frame, where the stream ended in its middle."""


@dataclass(frozen=True)
class StreamOptions:
    """What sources of streams differ in."""

    listen: Callable[[], socket.socket]
    framer: Callable[[], Framer]
    origin: Callable[[str, int], Origin]
    """Of a peer's address and port."""
    tcp: TcpOptions
    shutdown_timeout_secs: int = 30
    max_connection_duration_secs: int | None = None
    clean_up: Callable[[], None] = lambda: None
    """Called when nobody listens any more."""


class StreamSource(Source):
    """Listens on one socket.

    All connections read into one buffer, one after the other, as the event loop has it; complete
    lines of all of them wait in one outbox. When that is congested, no connection is read.
    """

    def __init__(self, options: StreamOptions, context: SourceContext) -> None:
        super().__init__()
        self.options = options
        self.context = context
        self.buffer: bytearray = bytearray(READ_BYTES)
        self.view = memoryview(self.buffer)
        self.connections: set[Connection] = set()
        self.port = 0
        """The port that it listens on, once it does."""
        self._server: asyncio.Server | None = None
        self._outbox = Outbox(context, self._resume)
        self._last_arrival = 0.0

    @override
    async def start(self) -> None:
        setting = f"sources.{self.context.component_id}.tls"
        tls = self.options.tcp.tls.context(setting)
        listener = self.options.listen()
        self.options.tcp.prepare(listener)
        is_unix = listener.family == socket.AF_UNIX
        self.port = 0 if is_unix else listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        self.tasks.append(self._outbox.start())
        create = loop.create_unix_server if is_unix else loop.create_server
        self._server = await create(
            lambda: Connection(self), sock=listener, backlog=BACKLOG, **accepting(tls)
        )
        self.context.log.info("listening", source=self.context.component_id, port=self.port)

    @override
    async def stop(self, grace_secs: float) -> None:
        grace_secs = min(grace_secs, self.options.shutdown_timeout_secs)
        if self._server:
            self._server.close()
        self.options.clean_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_secs):
                await self._until_silent()
        for connection in list(self.connections):
            connection.abandon("the collector stopped in the middle of this line")
        # As long again: what was read has no other place.
        await self._outbox.stop(grace_secs)

    def take(self, lines: Lines, origin: Origin) -> None:
        """Complete lines of a connection."""
        self._last_arrival = self.context.clock.monotonic()
        if lines.payload:
            self._outbox.add(Frames(lines.payload, lines.count, origin))
        for frame in lines.apart:
            self._outbox.add(Frames(frame, 1, origin, one_frame=True))
        for beginning in lines.too_long:
            self.reject(RejectedLine(beginning, "line too long", origin.peer))
        if self.is_congested():
            for connection in self.connections:
                connection.pause()

    def reject(self, line: RejectedLine) -> None:
        """A piece of a connection that is no line."""
        self._outbox.reject(line)

    def is_congested(self) -> bool:
        """Whether connections must not be read now."""
        return self._outbox.is_congested()

    def opened(self, connection: "Connection") -> None:
        """A connection begins."""
        self.connections.add(connection)
        self.context.metrics.connections(len(self.connections))

    def closed(self, connection: "Connection") -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.context.metrics.connections(len(self.connections))

    def _resume(self) -> None:
        self._last_arrival = self.context.clock.monotonic()
        for connection in self.connections:
            connection.resume()

    async def _until_silent(self) -> None:
        """Until no connection has sent anything for a moment: what was on its way has come.

        One that is not read because too much waits is not silent.
        """
        self._last_arrival = self.context.clock.monotonic()
        while self.connections:
            silent_secs = self.context.clock.monotonic() - self._last_arrival
            if silent_secs >= SILENCE_SECS and not self.is_congested():
                return
            await asyncio.sleep(max(SILENCE_SECS - silent_secs, SILENCE_SECS / 10))


class Connection(asyncio.BufferedProtocol):
    """One connection; belongs to its source."""

    def __init__(self, source: StreamSource) -> None:
        self._source = source
        self._framer = source.options.framer()
        self._origin = Origin()
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._last_call: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: uvloop's transports do not derive from asyncio's.
        transport = self._transport = cast(asyncio.Transport, transport)
        options = self._source.options
        # A peer on a Unix socket has no address, or one of its own choice.
        peername = transport.get_extra_info("peername")
        host, port = address_of_peer(peername)
        if not options.tcp.is_welcome(host, len(self._source.connections)):
            transport.abort()
            return
        self._origin = options.origin(host, port)
        self._source.opened(self)
        options.tcp.keep_alive(transport.get_extra_info("socket"))
        if options.max_connection_duration_secs:
            self._last_call = asyncio.get_running_loop().call_later(
                options.max_connection_duration_secs, transport.close
            )
        if self._source.is_congested():
            self.pause()

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        # A view: of a bytearray, asyncio's TLS would fill copies of its parts.
        return self._source.view

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self._source.take(self._framer.feed(self._source.buffer, nbytes), self._origin)

    @override
    def eof_received(self) -> bool:
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._last_call:
            self._last_call.cancel()
        if self in self._source.connections:
            self._source.closed(self)
            last = self._framer.finish()
            if last.count or last.too_long or last.apart:
                self._source.take(last, self._origin)

    def pause(self) -> None:
        """Read no more for now: what the peer sends waits in its own machine."""
        if not self._paused and self._transport and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._transport and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def abandon(self, reason: str) -> None:
        """Close from our side; what has come of an unfinished line is rejected."""
        unfinished = self._framer.unfinished
        if unfinished:
            self._source.reject(RejectedLine(unfinished, reason, self._origin.peer))
        self._source.closed(self)
        if self._transport:
            self._transport.close()
