"""How the generator's connections see their end."""

import socket

from tailrace.cli._senders import is_closed


def test_an_open_connection_is_asked_without_waiting() -> None:
    """With a timeout Python waits before it reads: with this one, beyond the test's own."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(3600)
        assert not is_closed(ours)
        assert ours.gettimeout() == 3600
        theirs.close()
        assert is_closed(ours)
