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
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol, cast

from typing_extensions import override

from tailrace.collect.framing import Lines
from tailrace.collect.listen import BACKLOG, address_of_peer
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext

READ_BYTES = 1024**2
"""Most that is read of a connection at once: each read costs a trip around the event loop."""

MOST_WAITING_BYTES = 16 * 1024**2
"""So much may wait for the journal before connections are not read any more."""

SILENCE_SECS = 0.05
LEAST_GRACE_SECS = 0.5


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
    connection_limit: int | None = None
    keepalive_secs: int | None = None
    shutdown_timeout_secs: int = 30
    max_connection_duration_secs: int | None = None
    permit_origin: tuple[IPv4Network | IPv6Network, ...] | None = None
    receive_buffer_bytes: int | None = None
    clean_up: Callable[[], None] = lambda: None
    """Called when nobody listens any more."""


class StreamSource(Source):
    """Listens on one socket.

    All connections read into one buffer, one after the other, as the event loop has it; complete
    lines of all of them wait in one list, which goes to the journal as a whole. When more than
    `MOST_WAITING_BYTES` wait, no connection is read until the journal has taken them.
    """

    def __init__(self, options: StreamOptions, context: SourceContext) -> None:
        super().__init__()
        self.options = options
        self.context = context
        self.buffer: bytearray = bytearray(READ_BYTES)
        self.connections: set[Connection] = set()
        self.port = 0
        """The port that it listens on, once it does."""
        self._server: asyncio.Server | None = None
        self._pump: asyncio.Task[None] | None = None
        self._waiting: list[Frames] = []
        self._waiting_bytes = 0
        self._rejected: list[RejectedLine] = []
        self._something_waits = asyncio.Event()
        self._all_taken = asyncio.Event()
        self._all_taken.set()
        self._last_arrival = 0.0

    @override
    async def start(self) -> None:
        listener = self.options.listen()
        if self.options.receive_buffer_bytes:
            listener.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, self.options.receive_buffer_bytes
            )
        is_unix = listener.family == socket.AF_UNIX
        self.port = 0 if is_unix else listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._pump = loop.create_task(self._pump_for_ever())
        self.tasks.append(self._pump)
        create = loop.create_unix_server if is_unix else loop.create_server
        self._server = await create(lambda: Connection(self), sock=listener, backlog=BACKLOG)
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
        with suppress(TimeoutError):
            async with asyncio.timeout(max(grace_secs, LEAST_GRACE_SECS)):
                await self._all_taken.wait()
        if self._pump:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
        if not self._all_taken.is_set():
            # The buffer is full, or the disk: what TCP brought last has no place.
            self.context.log.error(
                "cannot keep what came last: the buffer is full",
                source=self.context.component_id,
            )

    def take(self, lines: Lines, origin: Origin) -> None:
        """Complete lines of a connection."""
        self._last_arrival = self.context.clock.monotonic()
        if lines.payload:
            self._waiting.append(Frames(lines.payload, lines.count, origin))
            self._waiting_bytes += len(lines.payload)
        for frame in lines.apart:
            self._waiting.append(Frames(frame, 1, origin, one_frame=True))
            self._waiting_bytes += len(frame)
        for beginning in lines.too_long:
            self.reject(RejectedLine(beginning, "line too long", origin.peer))
        self._all_taken.clear()
        self._something_waits.set()
        if self._waiting_bytes > MOST_WAITING_BYTES:
            for connection in self.connections:
                connection.pause()

    def reject(self, line: RejectedLine) -> None:
        """A piece of a connection that is no line."""
        self._rejected.append(line)
        self._all_taken.clear()
        self._something_waits.set()

    def is_congested(self) -> bool:
        """Whether connections must not be read now."""
        return self._waiting_bytes > MOST_WAITING_BYTES

    def opened(self, connection: "Connection") -> None:
        """A connection begins."""
        self.connections.add(connection)
        self.context.metrics.connections(len(self.connections))

    def closed(self, connection: "Connection") -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.context.metrics.connections(len(self.connections))

    async def _pump_for_ever(self) -> None:
        while True:
            await self._something_waits.wait()
            self._something_waits.clear()
            frames, self._waiting = self._waiting, []
            rejected, self._rejected = self._rejected, []
            self._waiting_bytes = 0
            for connection in self.connections:
                connection.resume()
            if frames:
                await self.context.intake.append(frames)
            if rejected:
                await self.context.intake.reject(rejected)
            if not self._waiting and not self._rejected:
                self._all_taken.set()

    async def _until_silent(self) -> None:
        """Until no connection has sent anything for a moment: what was on its way has come."""
        self._last_arrival = self.context.clock.monotonic()
        while self.connections:
            silent_secs = self.context.clock.monotonic() - self._last_arrival
            if silent_secs >= SILENCE_SECS:
                return
            await asyncio.sleep(SILENCE_SECS - silent_secs)


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
        if not self._is_welcome(host):
            transport.abort()
            return
        self._origin = options.origin(host, port)
        self._source.opened(self)
        if options.keepalive_secs:
            connected = transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, options.keepalive_secs)
        if options.max_connection_duration_secs:
            self._last_call = asyncio.get_running_loop().call_later(
                options.max_connection_duration_secs, transport.close
            )
        if self._source.is_congested():
            self.pause()

    @override
    def get_buffer(self, sizehint: int) -> bytearray:
        return self._source.buffer

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

    def _is_welcome(self, host: str) -> bool:
        options = self._source.options
        limit, origins = options.connection_limit, options.permit_origin
        if limit and len(self._source.connections) >= limit:
            return False
        return origins is None or any(ip_address(host) in network for network in origins)
