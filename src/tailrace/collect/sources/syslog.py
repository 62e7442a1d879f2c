"""Source `syslog`: messages of RFC 5424 and RFC 3164 over TCP, UDP or a Unix socket.

On streams messages are parted by newlines or by their lengths (octet counting), as each peer does
it. They are stored as they come; the codec `syslog` reads them in a worker process.
"""

import socket
from typing import Literal

from pydantic import Field
from typing_extensions import override

from tailrace.collect.component import Component
from tailrace.collect.datagrams import MAX_LENGTH, DatagramOptions, DatagramSource
from tailrace.collect.octet_counting import SyslogFramer
from tailrace.collect.sockets import SocketOptions
from tailrace.collect.source import Origin, Source, SourceContext
from tailrace.collect.streams import Framer, StreamOptions, StreamSource


class SyslogConfig(SocketOptions):
    """Takes syslog messages."""

    modes_of_options = {
        "address": ("tcp", "udp"),
        "path": ("unix",),
        "socket_file_mode": ("unix",),
        "connection_limit": ("tcp",),
        "keepalive": ("tcp",),
        "permit_origin": ("tcp",),
        "receive_buffer_bytes": ("tcp", "udp"),
        "tls": ("tcp",),
    }

    type: Literal["syslog"] = "syslog"

    mode: Literal["tcp", "udp", "unix"]
    """Kind of socket; `unix` is a stream."""

    max_length: int = Field(default=MAX_LENGTH, ge=1)
    """Longest message in bytes; longer ones are rejected."""

    host_key: Literal["host"] = "host"
    """Field that gets the host that the message names, or else the peer's address."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({self.host_key, "source_ip"})

    @property
    @override
    def codec(self) -> str:
        return "syslog"

    def origin(self, host: str, port: int) -> Origin:
        """Where a peer's events come from."""
        del port
        return Origin(host, (("source_ip", host), (self.host_key, host)))


def build_syslog(config: SyslogConfig, context: SourceContext) -> Source:
    """The source of the mode that is asked for."""

    def listen() -> socket.socket:
        return config.listen(context.component_id)

    if config.mode == "udp":
        return DatagramSource(DatagramOptions(listen, config.origin, config.max_length), context)

    def framer() -> Framer:
        return SyslogFramer(config.max_length)

    options = StreamOptions(listen, framer, config.origin, config, clean_up=config.clean_up)
    return StreamSource(options, context)


SYSLOG: Component[Source] = Component(SyslogConfig, build_syslog)
