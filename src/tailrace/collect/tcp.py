"""Options of sources that take TCP connections, and what they mean for a connection."""

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import ClassVar

from pydantic import Field, IPvAnyNetwork

from tailrace.collect.component import Options, SourceConfig
from tailrace.collect.tls import ServerTls


class Keepalive(Options):
    """When the system asks a silent peer whether it still lives."""

    time_secs: int | None = Field(default=None, ge=1)
    """Seconds of silence before it asks. Unset: it never does."""


class TcpOptions(SourceConfig):
    """What such sources have in common."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SourceConfig.not_taken,
        "tls_handshake_timeout_secs": "every peer has ten seconds",
    }

    connection_limit: int | None = Field(default=None, ge=1)
    """Most connections at once; more are closed. Unset: no limit."""

    keepalive: Keepalive = Keepalive()
    """When the system asks a silent peer whether it still lives."""

    permit_origin: tuple[IPvAnyNetwork, ...] | None = None
    """Networks that may connect; unset: all."""

    receive_buffer_bytes: int | None = Field(default=None, ge=1)
    """Size in bytes of the system's receive buffer. Unset: as the system has it."""

    tls: ServerTls = ServerTls()
    """Whether and how peers must encrypt what they send."""

    def is_welcome(self, host: str, connections: int) -> bool:
        """Whether a peer may connect while there are so many connections."""
        limit, origins = self.connection_limit, self.permit_origin
        if limit and connections >= limit:
            return False
        return origins is None or any(ip_address(host) in network for network in origins)

    def prepare(self, listener: socket.socket) -> None:
        """Set what connections inherit from the socket that they come in by."""
        if self.receive_buffer_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer_bytes)

    def keep_alive(self, connected: socket.socket) -> None:
        """Have the system ask a silent peer."""
        if self.keepalive.time_secs:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.keepalive.time_secs)
