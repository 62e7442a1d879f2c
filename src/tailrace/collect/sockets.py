"""What the sources `socket` and `syslog` share: a socket of the kind that `mode` says."""

import socket
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from tailrace.collect.component import SourceConfig
from tailrace.collect.listen import open_listener, open_udp, open_unix, remove_unix
from tailrace.collect.options import Address, split_address
from tailrace.collect.tcp import TcpOptions

KINDS = {
    "unix": socket.SOCK_STREAM,
    "unix_stream": socket.SOCK_STREAM,
    "unix_datagram": socket.SOCK_DGRAM,
}
"""Of Unix sockets, by mode."""


class ModeOptions(SourceConfig):
    """Options that not every mode has."""

    modes_of_options: ClassVar[dict[str, tuple[str, ...]]]
    """The modes of those options that not all have."""

    mode: str
    """Kind of socket."""

    @field_validator("*")
    @classmethod
    def _check_mode(cls, value: Any, information: ValidationInfo) -> Any:
        option, mode = information.field_name or "", information.data.get("mode")
        modes = cls.modes_of_options.get(option)
        if modes is None or mode is None:
            return value
        if value is None and option in ("address", "path") and mode in modes:
            raise PydanticCustomError("missing", "Field required")
        if value is not None and mode not in modes:
            raise ValueError(f"mode {mode!r} does not have this option, only {', '.join(modes)}")
        return value


class SocketOptions(TcpOptions, ModeOptions):
    """A TCP, UDP or Unix socket."""

    address: Address | None = Field(default=None, validate_default=True)
    """Address and port to listen on; tcp and udp need it, of others it is unset."""

    path: Path | None = Field(default=None, validate_default=True)
    """Path of a Unix socket, which needs it; of others it is unset."""

    socket_file_mode: int | None = Field(default=None, ge=0, le=0o777)
    """Permissions of the socket's file, a number such as `0o660`. Unset: as the umask has it."""

    def listen(self, component_id: str) -> socket.socket:
        """Open it; raises where it cannot be."""
        setting = f"sources.{component_id}"
        if self.path:
            return open_unix(self.path, KINDS[self.mode], f"{setting}.path", self.socket_file_mode)
        host, port = split_address(self.address or "")
        if self.mode == "udp":
            return open_udp(host, port, f"{setting}.address", self.receive_buffer_bytes)
        return open_listener(host, port, f"{setting}.address")

    def clean_up(self) -> None:
        """Nobody listens any more."""
        if self.path:
            remove_unix(self.path)
