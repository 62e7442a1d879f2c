"""Source `socket`: lines over TCP.

TCP has no way to say that a line is safe, so nothing is acknowledged; what a peer has sent and the
system has received reaches the buffer even when the collector is told to stop. A connection that
ends in the middle of a line has its last line taken as it is.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Literal, cast

from pydantic import Field, IPvAnyNetwork, field_validator
from typing_extensions import override

from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.framing import MAX_LINE_BYTES, LineFramer, Lines
from tailrace.collect.listen import BACKLOG, open_listener
from tailrace.collect.options import Address, Decoding, Framing, split_address
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext

READ_BYTES = 1024**2
"""Most that is read of a connection at once: each read costs a trip around the event loop."""

MOST_WAITING_BYTES = 16 * 1024**2
"""So much may wait for the journal before connections are not read any more."""

SILENCE_SECS = 0.05
LEAST_GRACE_SECS = 0.5


class Keepalive(Options):
    """When the system asks a silent peer whether it still lives."""

    time_secs: int | None = Field(default=None, ge=1)
    """Seconds of silence before it asks."""


class SocketConfig(SourceConfig):
    """Takes lines from connections."""

    type: Literal["socket"] = "socket"

    mode: Literal["tcp"]
    """Kind of socket; of Vector's, `udp`, `unix_stream` and `unix_datagram` are not supported."""

    address: Address
    """Address and port to listen on."""

    host_key: str = "host"
    """Field that gets the peer's address; empty for none."""

    port_key: str = "port"
    """Field that gets the peer's port; empty for none."""

    connection_limit: int | None = Field(default=None, ge=1)
    """Most connections at once; more are closed."""

    keepalive: Keepalive = Keepalive()
    """When the system asks a silent peer whether it still lives."""

    shutdown_timeout_secs: int = Field(default=30, ge=0)
    """Longest wait in seconds for connections at the end."""

    max_connection_duration_secs: int | None = Field(default=None, ge=1)
    """Seconds after which a connection is closed, so that its client connects anew."""

    permit_origin: tuple[IPvAnyNetwork, ...] | None = None
    """Networks that may connect; unset: all."""

    receive_buffer_bytes: int | None = Field(default=None, ge=1)
    """Size in bytes of the system's receive buffer of a connection."""

    framing: Framing = Framing()
    """How the stream is cut into lines."""

    decoding: Decoding = Decoding()
    """How a line becomes events."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({self.host_key, self.port_key}) - {""}

    @property
    @override
    def codec(self) -> str:
        return self.decoding.codec

    @field_validator("framing")
    @classmethod
    def _check_framing(cls, framing: Framing) -> Framing:
        if framing.method != "newline_delimited":
            raise ValueError(
                f"cannot cut a stream by framing.method {framing.method!r}: "
                "give newline_delimited, or leave it out"
            )
        return framing


class SocketSource(Source):
    """Listens on TCP.

    All connections read into one buffer, one after the other, as the event loop has it; complete
    lines of all of them wait in one list, which goes to the journal as a whole. When more than
    `MOST_WAITING_BYTES` wait, no connection is read until the journal has taken them.
    """

    def __init__(self, config: SocketConfig, context: SourceContext) -> None:
        super().__init__()
        self.config = config
        self.context = context
        self.buffer = bytearray(READ_BYTES)
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
        host, port = split_address(self.config.address)
        listener = open_listener(host, port, f"sources.{self.context.component_id}.address")
        if self.config.receive_buffer_bytes:
            listener.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, self.config.receive_buffer_bytes
            )
        self.port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._pump = loop.create_task(self._pump_for_ever())
        self.tasks.append(self._pump)
        self._server = await loop.create_server(
            lambda: Connection(self), sock=listener, backlog=BACKLOG
        )
        self.context.log.info("listening", source=self.context.component_id, port=self.port)

    @override
    async def stop(self, grace_secs: float) -> None:
        grace_secs = min(grace_secs, self.config.shutdown_timeout_secs)
        if self._server:
            self._server.close()
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

    def __init__(self, source: SocketSource) -> None:
        self._source = source
        newline = source.config.framing.newline_delimited
        self._framer = LineFramer(newline.max_length or MAX_LINE_BYTES)
        self._origin = Origin()
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._last_call: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: uvloop's transports do not derive from asyncio's.
        transport = self._transport = cast(asyncio.Transport, transport)
        config = self._source.config
        host, port = transport.get_extra_info("peername")[:2]
        if not self._is_welcome(host):
            transport.abort()
            return
        self._origin = Origin(host, tuple(self._fields(host, port)))
        self._source.opened(self)
        if config.keepalive.time_secs:
            connected = transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connected.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, config.keepalive.time_secs
            )
        if config.max_connection_duration_secs:
            self._last_call = asyncio.get_running_loop().call_later(
                config.max_connection_duration_secs, transport.close
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
            if last.count or last.too_long:
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
        config = self._source.config
        limit, origins = config.connection_limit, config.permit_origin
        if limit and len(self._source.connections) >= limit:
            return False
        return origins is None or any(ip_address(host) in network for network in origins)

    def _fields(self, host: str, port: int) -> Iterator[tuple[str, str | int]]:
        if self._source.config.host_key:
            yield self._source.config.host_key, host
        if self._source.config.port_key:
            yield self._source.config.port_key, port


SOCKET: Component[Source] = Component(SocketConfig, SocketSource)
