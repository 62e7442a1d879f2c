"""Source `syslog`: messages of RFC 5424 and RFC 3164 over TCP, UDP or a Unix socket.

On streams messages are parted by newlines or by their lengths (octet counting), as each peer does
it. They are stored as they come; the codec `syslog` reads them in a worker process.
"""

import socket
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, IPvAnyNetwork, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.datagrams import MAX_LENGTH, DatagramOptions, DatagramSource
from tailrace.collect.listen import open_listener, open_udp, open_unix, remove_unix
from tailrace.collect.octet_counting import SyslogFramer
from tailrace.collect.options import Address, split_address
from tailrace.collect.source import Origin, Source, SourceContext
from tailrace.collect.streams import StreamOptions, StreamSource

MODES_OF_OPTIONS = {
    "address": ("tcp", "udp"),
    "path": ("unix",),
    "socket_file_mode": ("unix",),
    "connection_limit": ("tcp",),
    "keepalive": ("tcp",),
    "permit_origin": ("tcp",),
    "receive_buffer_bytes": ("tcp", "udp"),
}
"""The modes of those options that not all have."""


class SyslogKeepalive(Options):
    """When the system asks a silent peer whether it still lives."""

    time_secs: int | None = Field(default=None, ge=1)
    """Seconds of silence before it asks."""


class SyslogConfig(SourceConfig):
    """Takes syslog messages."""

    type: Literal["syslog"] = "syslog"

    mode: Literal["tcp", "udp", "unix"]
    """Kind of socket; `unix` is a stream."""

    address: Address | None = Field(default=None, validate_default=True)
    """Address and port to listen on (tcp, udp)."""

    path: Path | None = Field(default=None, validate_default=True)
    """Path of the socket (unix)."""

    socket_file_mode: int | None = Field(default=None, ge=0, le=0o777)
    """Permissions of the socket's file."""

    max_length: int = Field(default=MAX_LENGTH, ge=1)
    """Longest message in bytes; longer ones are rejected."""

    host_key: Literal["host"] = "host"
    """Field that gets the host that the message names, or else the peer's address."""

    connection_limit: int | None = Field(default=None, ge=1)
    """Most connections at once; more are closed."""

    keepalive: SyslogKeepalive = SyslogKeepalive()
    """When the system asks a silent peer whether it still lives."""

    permit_origin: tuple[IPvAnyNetwork, ...] | None = None
    """Networks that may connect; unset: all."""

    receive_buffer_bytes: int | None = Field(default=None, ge=1)
    """Size in bytes of the system's receive buffer."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({self.host_key, "source_ip"})

    @property
    @override
    def codec(self) -> str:
        return "syslog"

    @field_validator(*MODES_OF_OPTIONS)
    @classmethod
    def _check_mode(cls, value: Any, information: ValidationInfo) -> Any:
        option, mode = information.field_name or "", information.data.get("mode")
        modes = MODES_OF_OPTIONS[option]
        if value is None and option in ("address", "path") and mode in modes:
            raise PydanticCustomError("missing", "Field required")
        if value is not None and mode is not None and mode not in modes:
            raise ValueError(f"mode {mode!r} does not have this option, only {', '.join(modes)}")
        return value

    def origin(self, host: str, port: int) -> Origin:
        """Where a peer's events come from."""
        del port
        return Origin(host, (("source_ip", host), (self.host_key, host)))


def build_syslog(config: SyslogConfig, context: SourceContext) -> Source:
    """The source of the mode that is asked for."""
    if config.mode == "udp":
        options = DatagramOptions(
            lambda: _listen(config, context), config.origin, config.max_length
        )
        return DatagramSource(options, context)
    return StreamSource(
        StreamOptions(
            lambda: _listen(config, context),
            lambda: SyslogFramer(config.max_length),
            config.origin,
            connection_limit=config.connection_limit,
            keepalive_secs=config.keepalive.time_secs,
            permit_origin=config.permit_origin,
            receive_buffer_bytes=config.receive_buffer_bytes,
            clean_up=lambda: _clean_up(config),
        ),
        context,
    )


def _listen(config: SyslogConfig, context: SourceContext) -> socket.socket:
    setting = f"sources.{context.component_id}"
    if config.path:
        return open_unix(
            config.path, socket.SOCK_STREAM, f"{setting}.path", config.socket_file_mode
        )
    host, port = split_address(config.address or "")
    if config.mode == "udp":
        return open_udp(host, port, f"{setting}.address", config.receive_buffer_bytes)
    return open_listener(host, port, f"{setting}.address")


def _clean_up(config: SyslogConfig) -> None:
    if config.path:
        remove_unix(config.path)


SYSLOG: Component[Source] = Component(SyslogConfig, build_syslog)
