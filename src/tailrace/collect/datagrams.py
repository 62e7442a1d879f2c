"""Takes datagrams, each a frame: over UDP, or a Unix socket. What `socket` and `syslog` share.

A datagram that the system has handed over reaches the buffer. When more than a few MB wait for it,
no more are taken from the system, which then drops what does not fit into its own buffer; it tells
nobody. What is longer than `max_length` is rejected, its beginning kept.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from typing_extensions import override

from tailrace.collect.listen import address_of_peer
from tailrace.collect.outbox import LEAST_GRACE_SECS, Outbox
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext

MAX_LENGTH = 102_400
"""Longest datagram; Vector's default."""

MOST_AT_ONCE = 500
"""Datagrams that are taken before others on the event loop have their turn."""

_KNOWN_PEERS = 10_000


@dataclass(frozen=True)
class DatagramOptions:
    """What sources of datagrams differ in."""

    listen: Callable[[], socket.socket]
    origin: Callable[[str, int], Origin]
    """Of a peer's address and port."""
    max_length: int = MAX_LENGTH
    splits_lines: bool = False
    """Whether each line of a datagram is a frame."""
    newlines_are_spaces: bool = False
    """Whether newlines mean nothing, as in JSON."""
    clean_up: Callable[[], None] = lambda: None
    """Called when nobody listens any more."""


class DatagramSource(Source):
    """See the module."""

    def __init__(self, options: DatagramOptions, context: SourceContext) -> None:
        super().__init__()
        self.options = options
        self.context = context
        self.port = 0
        """The port that it listens on, once it does."""
        self._origin = lru_cache(_KNOWN_PEERS)(options.origin)
        self._socket: socket.socket | None = None
        self._outbox = Outbox(context, self._resume)
        self._is_paused = False

    @override
    async def start(self) -> None:
        self._socket = self.options.listen()
        if self._socket.family != socket.AF_UNIX:
            self.port = self._socket.getsockname()[1]
        self.tasks.append(self._outbox.start())
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        self.context.log.info("listening", source=self.context.component_id, port=self.port)

    @override
    async def stop(self, grace_secs: float) -> None:
        if self._socket is None:
            return
        began = self.context.clock.monotonic()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(grace_secs, LEAST_GRACE_SECS)):
                while self._take_some():
                    await self._outbox.all_taken.wait()
        self._socket.close()
        self._socket = None
        self.options.clean_up()
        await self._outbox.stop(grace_secs - (self.context.clock.monotonic() - began))

    def _read(self) -> None:
        self._take_some()
        if self._outbox.is_congested() and self._socket:
            self._is_paused = True
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _take_some(self) -> bool:
        """Take what the system has; whether there may be more."""
        if self._socket is None:
            return False
        lines: dict[Origin, list[bytes]] = {}
        number = 0
        with suppress(BlockingIOError):
            for number in range(MOST_AT_ONCE):  # noqa: B007  # how far it came is asked below
                data, peer = self._socket.recvfrom(self.options.max_length + 1)
                self._take(data, self._origin(*address_of_peer(peer)), lines)
            number = MOST_AT_ONCE
        for origin, some in lines.items():
            payload = b"\n".join([*some, b""])
            self._outbox.add(Frames(payload, payload.count(b"\n"), origin))
        return number == MOST_AT_ONCE

    def _take(self, data: bytes, origin: Origin, lines: dict[Origin, list[bytes]]) -> None:
        options = self.options
        if len(data) > options.max_length:
            reason = f"cannot take a datagram of more than {options.max_length} bytes (max_length)"
            self._outbox.reject(RejectedLine(data[: options.max_length], reason, origin.peer))
            return
        data = data.rstrip(b"\r\n\0")
        if b"\n" in data:
            if options.newlines_are_spaces:
                data = data.replace(b"\n", b" ")
            elif not options.splits_lines:
                self._outbox.add(Frames(data, 1, origin, one_frame=True))
                return
        if data:
            lines.setdefault(origin, []).append(data)

    def _resume(self) -> None:
        if self._is_paused and self._socket:
            self._is_paused = False
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
