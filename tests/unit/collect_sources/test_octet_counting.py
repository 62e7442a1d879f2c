"""Syslog's streams are cut the same, whatever the chunks that they arrive in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.framing import Lines
from tailrace.collect.octet_counting import SyslogFramer


def cut(chunks: list[bytes], max_length: int = 1000) -> list[Lines]:
    framer = SyslogFramer(max_length)
    return [*[framer.feed(bytearray(chunk), len(chunk)) for chunk in chunks], framer.finish()]


def messages(found: list[Lines]) -> list[bytes]:
    return [message for lines in found for message in [*lines.payload.splitlines(), *lines.apart]]


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


@given(
    st.lists(st.from_regex(rb"<[0-9]{1,3}>[a-z \n]{0,20}[a-z]", fullmatch=True), max_size=8),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_messages_by_length(sent: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(map(counted, sent))
    chunks: list[bytes] = []
    while stream:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(stream[:size])
        stream = stream[size:]
    found = cut(chunks)
    assert sorted(messages(found)) == sorted(sent)
    for lines in found:
        assert lines.payload.count(b"\n") == lines.count


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_by_newlines(size: int) -> None:
    stream = b"<13>one\n<13>2 two\r\n<13>three"
    chunks = [stream[first : first + size] for first in range(0, len(stream), size)]
    assert messages(cut(chunks)) == [b"<13>one", b"<13>2 two", b"<13>three"]


def test_newlines_after_counted_messages_are_no_messages() -> None:
    assert messages(cut([b"8 <13>one\n\n7 <13>two\n7 <13>six"])) == [
        b"<13>one",
        b"<13>two",
        b"<13>six",
    ]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_message_that_is_too_long_is_given_up_and_the_next_one_taken(size: int) -> None:
    stream = counted(b"<13>" + b"x" * 30) + counted(b"<13>good")
    chunks = [stream[first : first + size] for first in range(0, len(stream), size)]
    found = cut(chunks, max_length=20)
    assert messages(found) == [b"<13>good"]
    assert [beginning for lines in found for beginning in lines.too_long] == [b"<13>" + b"x" * 16]


def test_a_stream_that_stops_counting_goes_on_by_lines() -> None:
    assert messages(cut([b"7 <13>one<13>two\n<13>six\n"])) == [b"<13>one", b"<13>two", b"<13>six"]


def test_numbers_without_end_are_no_length() -> None:
    found = cut([b"1" * 50 + b"\n<13>one\n"])
    assert messages(found)[-1] == b"<13>one"


def test_the_end_in_the_middle_of_a_message() -> None:
    assert messages(cut([b"20 <13>half"])) == [b"<13>half"]
