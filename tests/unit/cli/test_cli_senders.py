"""How the generator's connections see their end."""

import socket
import threading

import pytest

from tailrace.cli._senders import is_closed, open_sender
from tailrace.errors import UsageError
from tailrace.packs.sender import Patience
from tailrace.testing import ManualClock


def test_an_open_connection_is_asked_without_waiting() -> None:
    """With a timeout Python waits before it reads: with this one, beyond the test's own."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(3600)
        assert not is_closed(ours)
        assert ours.gettimeout() == 3600
        theirs.close()
        assert is_closed(ours)


@pytest.mark.parametrize("target", ["tcp://[::1", "http://me:secret@[::1", "tcp://a:99999"])
def test_a_target_that_is_no_address_is_refused_without_its_password(target: str) -> None:
    patience = Patience(threading.Event(), ManualClock(), print)
    with pytest.raises(UsageError, match="cannot send to") as refused:
        open_sender(target, patience)
    assert "secret" not in str(refused.value)
