"""What a worker hands over arrives as it was; where it dies in the middle, that is noticed."""

import threading
from collections import Counter
from multiprocessing import Pipe

import pytest

from tailrace.collect.handover import hand_over, receive
from tailrace.collect.pipeline import Processed
from tailrace.collect.sink import RejectedRow


def test_everything_arrives() -> None:
    large = bytes(range(256)) * 40_000
    sent = Processed(
        {"a": large, "b": b"", "c": large, "d": b"x"},
        Counter({"a": 1}),
        [RejectedRow("in", "10.0.0.1", 1, "bad", b"raw")],
        Counter({("in", "sent", ""): 3}),
        held=4,
    )
    ours, theirs = Pipe()
    with ours, theirs:
        sender = threading.Thread(target=hand_over, args=(theirs, sent))
        sender.start()
        received = receive(ours)
        sender.join()
    assert received == sent
    assert received.bodies["a"] is received.bodies["c"]


def test_a_death_in_the_middle_is_noticed() -> None:
    ours, theirs = Pipe()
    with ours:
        with theirs:
            theirs.send((Processed(), {"a": 0}, [10]))
        with pytest.raises(EOFError):
            receive(ours)
