"""What messages of the forward protocol become, in all its modes."""

import gzip
import math
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.codecs import CODECS
from tailrace.collect.sources.fluent import new_unpacker, read_message, values_of

EVENT_TIME = msgpack.ExtType(0, (1700000000).to_bytes(4, "big") + (5).to_bytes(4, "big"))
ENTRIES = [[1700000000, {"message": "a"}], [EVENT_TIME, {"message": "b", "tag": "own"}]]
EVENTS = [
    {"timestamp": "2023-11-14T22:13:20.000000000Z", "tag": "app", "message": "a"},
    {"timestamp": "2023-11-14T22:13:20.000000005Z", "tag": "own", "message": "b"},
]
PACKED = b"".join(map(msgpack.packb, ENTRIES))


def received(message: Any) -> Any:
    """The message as the source gets it."""
    ((value,), problem, _) = values_of(new_unpacker(), msgpack.packb(message))
    assert not problem
    return value


def read(message: Any) -> tuple[list[dict[str, Any]], list[str]]:
    lines, rejected = read_message(received(message))
    assert not any(b"\n" in line for line in lines)
    events = [event for line in lines for event in CODECS["fluent"](line)]
    return orjson.loads(orjson.dumps(events)), [reason for _, reason in rejected]


@pytest.mark.parametrize(
    "content",
    [
        [ENTRIES],
        [ENTRIES, {"chunk": "x"}],
        [PACKED],
        [PACKED, {"size": 2}],
        [gzip.compress(PACKED[:20]) + gzip.compress(PACKED[20:]), {"compressed": "gzip"}],
    ],
    ids=["forward", "options", "packed", "packed, options", "compressed"],
)
def test_modes(content: list[Any]) -> None:
    assert read(["app", *content]) == (EVENTS, [])


@pytest.mark.parametrize("number", [0, 1])
def test_messages(number: int) -> None:
    time, record = ENTRIES[number]
    assert read(["app", time, record]) == ([EVENTS[number]], [])
    assert read(["app", time, record, {"chunk": "x"}]) == ([EVENTS[number]], [])


def test_what_json_does_not_have() -> None:
    record = {"bytes": b"\xffx", 1: "one", "nan": math.nan, "big": 2**64 - 1, "t": EVENT_TIME}
    record["other"] = msgpack.ExtType(7, b"\x01")
    ((event,), rejected) = read(["app", 1.5, record])
    assert (event.pop("timestamp"), event.pop("tag")) == ("1970-01-01T00:00:01.500000000Z", "app")
    assert event == {
        "bytes": "\ufffdx",
        "1": "one",
        "nan": None,
        "big": str(2**64 - 1),
        "t": EVENTS[1]["timestamp"],
        "other": "01",
    }
    assert rejected == []


@pytest.mark.parametrize(
    "bad", [7, [], [1], [1, 2], ["soon", {}], [2**60, {}], [math.nan, {}], [1, {}, 3]]
)
def test_a_bad_entry_leaves_its_neighbours(bad: Any) -> None:
    for content in ([ENTRIES[0], bad, ENTRIES[1]], PACKED + msgpack.packb(bad)):
        events, reasons = read(["app", content])
        assert (events, len(reasons)) == (EVENTS, 1)


@pytest.mark.parametrize("rest", [b"\xc1", b"\x92\x01", b"\xdd\xff\xff\xff\xff"])
def test_what_cannot_be_unpacked_leaves_what_came_before(rest: bytes) -> None:
    events, (reason,) = read(["app", PACKED + rest])
    assert events == EVENTS
    assert reason.startswith("cannot unpack the entries")


def test_a_body_that_is_not_compressed_as_it_says_is_rejected() -> None:
    events, (reason,) = read(["app", PACKED, {"compressed": "gzip"}])
    assert events == []
    assert reason.startswith("cannot unpack the entries: cannot decompress")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(values)
def test_no_message_does_anything_but_become_events_or_be_rejected(value: Any) -> None:
    for message in (value, ["app", value], ["app", 1, value], ["app", [[1, value]]]):
        lines, rejected = read_message(received(message))
        for line in lines:
            CODECS["fluent"](line)
        orjson.dumps([[raw.decode(), reason] for raw, reason in rejected])


@given(st.binary())
def test_no_packed_bytes_harm_what_came_before_them(rest: bytes) -> None:
    assert read(["app", PACKED + rest])[0][:2] == EVENTS
