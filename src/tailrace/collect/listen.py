"""Opens the sockets that servers listen on, so that a taken port is said before anything runs."""

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tailrace.errors import PortTakenError, TailraceError

BACKLOG = 4096
"""Connections that may wait to be accepted: ten thousand clients that start at once queue here."""

RECEIVE_BUFFER_BYTES = 8 * 1024**2
"""Asked for datagrams; the system gives at most `net.core.rmem_max`."""


def open_listener(host: str, port: int, setting: str) -> socket.socket:
    """A listening TCP socket; `setting` names what moves it elsewhere.

    Raises PortTakenError where somebody else listens there, TailraceError where it cannot be.
    """

    def prepare(opened: socket.socket) -> None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    return _bind(host, port, socket.SOCK_STREAM, setting, prepare)


def open_udp(
    host: str, port: int, setting: str, receive_buffer_bytes: int | None = None
) -> socket.socket:
    """A UDP socket that is bound; raises as `open_listener` does."""
    return _bind(
        host,
        port,
        socket.SOCK_DGRAM,
        setting,
        lambda opened: _enlarge(opened, receive_buffer_bytes),
    )


def _bind(
    host: str,
    port: int,
    kind: socket.SocketKind,
    setting: str,
    prepare: Callable[[socket.socket], None],
) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=kind, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise TailraceError(f"cannot listen on {host}:{port} ({setting}): {error}") from error
    try:
        prepare(opened)
        opened.bind(address)
        if kind == socket.SOCK_STREAM:
            opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port, setting) from error
        raise TailraceError(f"cannot listen on {host}:{port} ({setting}): {error}") from error
    return opened


def open_unix(path: Path, kind: socket.SocketKind, setting: str, mode: int | None) -> socket.socket:
    """A Unix socket at `path`; one that an earlier process has left there is replaced.

    Raises TailraceError where somebody else listens there, or it cannot be.
    """
    opened = socket.socket(socket.AF_UNIX, kind)
    try:
        _remove_left_over(path, kind)
        _enlarge(opened, None)
        opened.bind(str(path))
        if mode is not None:
            path.chmod(mode)
        if kind == socket.SOCK_STREAM:
            opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise TailraceError(f"cannot listen on {path} ({setting}): {error}") from error
    return opened


UNNAMED_PEER = "(unnamed)"
"""What Vector calls the peer of a Unix socket that has no path of its own."""


def address_of_peer(name: object) -> tuple[str, int]:
    """Address and port of a peer, as the system names it; a Unix socket's path in place of both."""
    if isinstance(name, tuple):
        return name[0], name[1]
    return (name, 0) if isinstance(name, str) and name else (UNNAMED_PEER, 0)


def remove_unix(path: Path) -> None:
    """Remove a Unix socket's name."""
    with suppress(OSError):
        path.unlink()


def _remove_left_over(path: Path, kind: socket.SocketKind) -> None:
    """Nobody answers there: the process that made it is gone. (Otherwise `bind` says it is taken.)"""
    if not path.exists() or not stat.S_ISSOCK(os.stat(path).st_mode):
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def _enlarge(opened: socket.socket, receive_buffer_bytes: int | None) -> None:
    """Bursts wait in the system's buffer, which is small unless asked for more."""
    opened.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes or RECEIVE_BUFFER_BYTES
    )
