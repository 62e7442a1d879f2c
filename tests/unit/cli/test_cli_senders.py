"""How the generator's connections see their end."""

import errno
import os
import socket
import threading
from io import FileIO
from pathlib import Path

import pytest
from typing_extensions import Buffer, override

from tailrace.cli._senders import StreamSender, is_closed, open_sender
from tailrace.errors import UsageError
from tailrace.packs.sender import GaveUpError, Patience
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


class FullSoon(FileIO):
    """A file on a disk with room for 20 bytes."""

    @override
    def write(self, data: Buffer, /) -> int:
        room = 20 - self.tell()
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(memoryview(data)[:room])


def test_a_full_disk_takes_whole_lines_and_the_next_one_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "grows.log"
    sender = StreamSender(FullSoon(path, "ab"), str(path))
    with pytest.raises(GaveUpError, match="No space left"):
        sender.send(["the first\n", "one more\n", "too much\n", "and another\n"])
    sender.close()
    assert (sender.tally.sent, sender.tally.not_sent) == (2, 2)
    again = open_sender(str(path), Patience(threading.Event(), ManualClock(), print))
    again.send(["there is room\n"])
    again.close()
    assert path.read_text().splitlines() == ["the first", "one more", "t", "there is room"]
