"""Source `socket`: lines or datagrams over TCP, UDP and Unix sockets.

None of them has a way to say that something is safe, so nothing is acknowledged; what the system
has received reaches the buffer. (How: `tailrace.collect.streams`, `tailrace.collect.datagrams`.)
"""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, IPvAnyNetwork, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.datagrams import MAX_LENGTH, DatagramOptions, DatagramSource
from tailrace.collect.delimited import DelimitedFramer
from tailrace.collect.framing import MAX_LINE_BYTES, LineFramer
from tailrace.collect.listen import open_listener, open_udp, open_unix, remove_unix
from tailrace.collect.octet_counting import SyslogFramer
from tailrace.collect.options import Address, Decoding, NewlineFraming, split_address
from tailrace.collect.source import Origin, Source, SourceContext
from tailrace.collect.streams import Framer, StreamOptions, StreamSource

MODES_OF_OPTIONS = {
    "address": ("tcp", "udp"),
    "path": ("unix_stream", "unix_datagram"),
    "port_key": ("tcp", "udp"),
    "socket_file_mode": ("unix_stream", "unix_datagram"),
    "max_length": ("udp", "unix_datagram"),
    "connection_limit": ("tcp",),
    "keepalive": ("tcp",),
    "shutdown_timeout_secs": ("tcp",),
    "max_connection_duration_secs": ("tcp",),
    "permit_origin": ("tcp",),
    "receive_buffer_bytes": ("tcp", "udp"),
}
"""The modes of those options that not all have."""


class Keepalive(Options):
    """When the system asks a silent peer whether it still lives."""

    time_secs: int | None = Field(default=None, ge=1)
    """Seconds of silence before it asks."""


class LengthFraming(Options):
    """Options of the framing `octet_counting`."""

    max_length: int = Field(default=MAX_LINE_BYTES, ge=1)
    """Longest frame in bytes; longer ones are rejected."""


class CharacterFraming(LengthFraming):
    """Options of the framing `character_delimited`."""

    delimiter: str = Field(min_length=1, max_length=1, pattern=r"^[\x00-\x7f]$")
    """The ASCII character that ends a frame."""


class SocketFraming(Options):
    """How bytes are cut into frames."""

    method: Literal["newline_delimited", "character_delimited", "octet_counting", "bytes"]
    """Where a frame ends."""

    newline_delimited: NewlineFraming = NewlineFraming()
    """Options of the framing `newline_delimited`."""

    character_delimited: CharacterFraming | None = Field(default=None, validate_default=True)
    """Options of the framing `character_delimited`."""

    octet_counting: LengthFraming = LengthFraming()
    """Options of the framing `octet_counting`."""

    @field_validator("character_delimited")
    @classmethod
    def _check_delimiter(cls, value: Any, information: ValidationInfo) -> Any:
        if value is None and information.data.get("method") == "character_delimited":
            raise PydanticCustomError("missing", "Field required")
        return value


class SocketConfig(SourceConfig):
    """Takes lines from connections, or datagrams."""

    type: Literal["socket"] = "socket"

    mode: Literal["tcp", "udp", "unix_stream", "unix_datagram"]
    """Kind of socket."""

    address: Address | None = Field(default=None, validate_default=True)
    """Address and port to listen on (tcp, udp)."""

    path: Path | None = Field(default=None, validate_default=True)
    """Path of the socket (unix_stream, unix_datagram)."""

    socket_file_mode: int | None = Field(default=None, ge=0, le=0o777)
    """Permissions of the socket's file."""

    host_key: str = "host"
    """Field that gets the peer's address, or, of a Unix socket, its path or `(unnamed)`; empty for
    none."""

    port_key: str = "port"
    """Field that gets the peer's port; empty for none."""

    max_length: int = Field(default=MAX_LENGTH, ge=1)
    """Longest datagram in bytes; longer ones are rejected."""

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

    framing: SocketFraming | None = None
    """How a stream is cut into lines; unset: by newlines, and a datagram is not cut."""

    decoding: Decoding = Decoding()
    """How a line becomes events."""

    @override
    def added_fields(self) -> frozenset[str]:
        port_key = self.port_key if self.address else ""
        return frozenset({self.host_key, port_key}) - {""}

    @property
    @override
    def codec(self) -> str:
        return self.decoding.codec

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

    @field_validator("framing")
    @classmethod
    def _check_framing(
        cls, framing: SocketFraming | None, information: ValidationInfo
    ) -> SocketFraming | None:
        is_stream = information.data.get("mode") in ("tcp", "unix_stream")
        if is_stream and framing and framing.method == "bytes":
            raise ValueError(
                "cannot cut a stream by framing.method 'bytes': "
                "give newline_delimited, or leave it out"
            )
        if not is_stream and framing and framing.method not in ("bytes", "newline_delimited"):
            raise ValueError(
                f"cannot cut a datagram by framing.method {framing.method!r}: "
                "give newline_delimited, or leave it out"
            )
        return framing

    def framer(self) -> Framer:
        """What cuts one connection's stream."""
        framing = self.framing
        if framing and framing.method == "octet_counting":
            return SyslogFramer(framing.octet_counting.max_length)
        if framing and framing.method == "character_delimited" and framing.character_delimited:
            options = framing.character_delimited
            return DelimitedFramer(
                options.delimiter.encode(),
                options.max_length,
                newlines_are_spaces=self.decoding.codec == "json",
            )
        newline = framing.newline_delimited if framing else None
        return LineFramer((newline and newline.max_length) or MAX_LINE_BYTES)

    def origin(self, host: str, port: int) -> Origin:
        """Where a peer's events come from."""
        return Origin(host, tuple(self._fields(host, port)))

    def _fields(self, host: str, port: int) -> Iterator[tuple[str, str | int]]:
        if self.host_key:
            yield self.host_key, host
        if self.port_key and self.address:
            yield self.port_key, port


class SocketSource(StreamSource):
    """Takes lines from connections."""

    def __init__(self, config: SocketConfig, context: SourceContext) -> None:
        options = StreamOptions(
            lambda: _listen(config, context),
            config.framer,
            config.origin,
            config.connection_limit,
            config.keepalive.time_secs,
            config.shutdown_timeout_secs,
            config.max_connection_duration_secs,
            config.permit_origin,
            config.receive_buffer_bytes,
            lambda: _clean_up(config),
        )
        super().__init__(options, context)


def build_socket(config: SocketConfig, context: SourceContext) -> Source:
    """The source of the mode that is asked for."""
    if config.mode in ("tcp", "unix_stream"):
        return SocketSource(config, context)
    options = DatagramOptions(
        lambda: _listen(config, context),
        config.origin,
        config.max_length,
        splits_lines=config.framing is not None and config.framing.method == "newline_delimited",
        newlines_are_spaces=config.decoding.codec == "json",
        clean_up=lambda: _clean_up(config),
    )
    return DatagramSource(options, context)


def _listen(config: SocketConfig, context: SourceContext) -> socket.socket:
    setting = f"sources.{context.component_id}"
    if config.path:
        is_stream = config.mode == "unix_stream"
        kind = socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM
        return open_unix(config.path, kind, f"{setting}.path", config.socket_file_mode)
    host, port = split_address(config.address or "")
    if config.mode == "udp":
        return open_udp(host, port, f"{setting}.address", config.receive_buffer_bytes)
    return open_listener(host, port, f"{setting}.address")


def _clean_up(config: SocketConfig) -> None:
    if config.path:
        remove_unix(config.path)


SOCKET: Component[Source] = Component(SocketConfig, build_socket)
