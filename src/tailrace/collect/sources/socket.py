"""Source `socket`: lines or datagrams over TCP, UDP and Unix sockets.

None of them has a way to say that something is safe, so nothing is acknowledged; what the system
has received reaches the buffer. Newlines at the end of a datagram are no part of it, unlike in Vector.
(How: `tailrace.collect.streams`, `tailrace.collect.datagrams`.)
"""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from tailrace.collect.component import Component, Options
from tailrace.collect.datagrams import MAX_LENGTH, DatagramOptions, DatagramSource
from tailrace.collect.delimited import DelimitedFramer
from tailrace.collect.framing import MAX_LINE_BYTES, LineFramer
from tailrace.collect.octet_counting import SyslogFramer
from tailrace.collect.options import AnyFraming, Decoding, NewlineFraming
from tailrace.collect.sockets import SocketOptions
from tailrace.collect.source import Origin, Source, SourceContext
from tailrace.collect.streams import Framer, StreamOptions, StreamSource


class LengthFraming(Options):
    """Options of the framing `octet_counting`."""

    max_length: int = Field(default=MAX_LINE_BYTES, ge=1)
    """Longest frame in bytes; longer ones are rejected."""


class CharacterFraming(LengthFraming):
    """Options of the framing `character_delimited`."""

    delimiter: str = Field(min_length=1, max_length=1, pattern=r"^[\x00-\x7f]$")
    """The ASCII character that ends a frame."""


class SocketFraming(AnyFraming):
    """How bytes are cut into frames."""

    method: Literal["newline_delimited", "character_delimited", "octet_counting", "bytes"]
    """Where a frame ends."""

    newline_delimited: NewlineFraming = NewlineFraming()
    """Options of the framing `newline_delimited`."""

    character_delimited: CharacterFraming | None = Field(default=None, validate_default=True)
    """Options of the framing `character_delimited`, which needs them; unset for all others."""

    octet_counting: LengthFraming = LengthFraming()
    """Options of the framing `octet_counting`."""

    @field_validator("character_delimited")
    @classmethod
    def _check_delimiter(cls, value: Any, information: ValidationInfo) -> Any:
        if value is None and information.data.get("method") == "character_delimited":
            raise PydanticCustomError("missing", "Field required")
        return value


class SocketConfig(SocketOptions):
    """Takes lines from connections, or datagrams."""

    modes_of_options = {
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
        "tls": ("tcp",),
    }

    type: Literal["socket"] = "socket"

    mode: Literal["tcp", "udp", "unix_stream", "unix_datagram"]
    """Kind of socket."""

    host_key: str = "host"
    """Field that gets the peer's address, or, of a Unix socket, its path or `(unnamed)`; empty for
    none."""

    port_key: str = "port"
    """Field that gets the peer's port; empty for none."""

    max_length: int = Field(default=MAX_LENGTH, ge=1)
    """Longest datagram in bytes; longer ones are rejected."""

    shutdown_timeout_secs: int = Field(default=30, ge=0)
    """Longest wait in seconds for connections at the end."""

    max_connection_duration_secs: int | None = Field(default=None, ge=1)
    """Seconds after which a connection is closed, so that its client connects anew. Unset: never."""

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
        if not is_stream and framing and framing.newline_delimited.max_length is not None:
            raise ValueError("a datagram's lines have no length of their own: give max_length")
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
            lambda: config.listen(context.component_id),
            config.framer,
            config.origin,
            config,
            config.shutdown_timeout_secs,
            config.max_connection_duration_secs,
            config.clean_up,
        )
        super().__init__(options, context)


def build_socket(config: SocketConfig, context: SourceContext) -> Source:
    """The source of the mode that is asked for."""
    if config.mode in ("tcp", "unix_stream"):
        return SocketSource(config, context)
    options = DatagramOptions(
        lambda: config.listen(context.component_id),
        config.origin,
        config.max_length,
        splits_lines=config.framing is not None and config.framing.method == "newline_delimited",
        newlines_are_spaces=config.decoding.codec == "json",
        clean_up=config.clean_up,
    )
    return DatagramSource(options, context)


SOCKET: Component[Source] = Component(SocketConfig, build_socket)
