"""What streams of the Lumberjack protocol become, however they are cut."""

import struct
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.codecs import CODECS
from tailrace.collect.lumberjack import LumberjackReader


def number(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def text(value: bytes) -> bytes:
    return number(len(value)) + value


JSON = b"2J" + number(1) + text(b'{"a":1}')
DATA = b"1D" + number(2, 2) + text(b"line") + text(b"x") + text(b"host") + text(b"\xff")
INNER = b"2J" + number(3) + text(b'{"b":2}') + b"2J" + number(4) + text(b'{"c":3}')
STREAM = b"2W" + number(4) + JSON + DATA + b"2C" + text(zlib.compress(INNER))
DOCUMENTS = [b'{"a":1}', '{"line":"x","host":"\ufffd"}'.encode(), b'{"b":2}', b'{"c":3}']


@given(st.lists(st.integers(0, len(STREAM))))
def test_a_stream_in_any_pieces(cuts: list[int]) -> None:
    reader = LumberjackReader()
    places = [0, *sorted(cuts), len(STREAM)]
    heard = [reader.feed(STREAM[a:b]) for a, b in zip(places, places[1:], strict=False)]
    assert [document for one in heard for document in one.documents] == DOCUMENTS
    assert [one.acknowledgement for one in heard if one.acknowledgement][-1] == b"2A" + number(4)
    assert not any(one.problem for one in heard)


def test_version_1_is_acknowledged_as_such() -> None:
    assert LumberjackReader().feed(DATA).acknowledgement == b"1A" + number(2)


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (b"GET / HTTP", "a frame begins with b'GE'"),
        (b"2X", "a frame begins with b'2X'"),
        (b"2J" + number(1, 2**31), "more than"),
        (b"1D" + number(1, 1, 2**31), "more than"),
        (b"2C" + text(b"no zlib"), "cannot decompress"),
        (b"2C" + text(zlib.compress(JSON[:-1])), "ends too early"),
        (b"2C" + text(zlib.compress(b"2C" + text(zlib.compress(JSON)))), "in a compressed frame"),
        (b"2C" + text(zlib.compress(b" " * 40_000_000)), "cannot take more than"),
    ],
)
def test_what_is_not_the_protocol_leaves_what_came_before(rest: bytes, problem: str) -> None:
    heard = LumberjackReader().feed(STREAM + rest)
    assert heard.documents == DOCUMENTS
    assert problem in heard.problem


@given(st.binary())
def test_no_bytes_harm_what_came_before_them(rest: bytes) -> None:
    for end in (rest, b"2J" + rest, b"1D" + rest, b"2C" + text(zlib.compress(rest))):
        assert LumberjackReader().feed(STREAM + end).documents[:4] == DOCUMENTS


@pytest.mark.parametrize(
    ("given", "timestamp"),
    [
        ("2024-01-31T23:59:59.123Z", "2024-01-31T23:59:59.123Z"),
        ("2024-01-31T23:59:59+02:00", "2024-01-31T21:59:59Z"),
        ("2024-13-31T23:59:59Z", None),
        ("soon", None),
        (7, None),
    ],
)
def test_times(given: object, timestamp: str | None) -> None:
    (event,) = CODECS["logstash"](orjson.dumps({"@timestamp": given, "message": "m"}))
    assert event.get("timestamp") == timestamp
    assert (event["@timestamp"], event["message"]) == (given, "m")
