"""Opens the sockets that servers listen on, so that a taken port is said before anything runs."""

import errno
import socket

from tailrace.errors import PortTakenError, TailraceError

BACKLOG = 4096
"""Connections that may wait to be accepted: ten thousand clients that start at once queue here."""


def open_listener(host: str, port: int, setting: str) -> socket.socket:
    """A listening TCP socket; `setting` names what moves it elsewhere.

    Raises PortTakenError where somebody else listens there, TailraceError where it cannot be.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise TailraceError(f"cannot listen on {host}:{port} ({setting}): {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port, setting) from error
        raise TailraceError(f"cannot listen on {host}:{port} ({setting}): {error}") from error
    return listener
