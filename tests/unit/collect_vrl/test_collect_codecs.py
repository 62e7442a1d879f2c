"""Codecs: what becomes of every kind of bad frame."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS


@pytest.mark.parametrize(
    ("line", "events"),
    [
        (b"", []),
        (b"  \r\n", []),
        (b'{"a":1}', [{"a": 1}]),
        (b' {"a":1}\r', [{"a": 1}]),
        (b'[{"a":1},{"b":2}]', [{"a": 1}, {"b": 2}]),
        (b"[]", []),
        (b'{"a":"\xff"}', [{"a": "\ufffd"}]),
        (b'{"a":"\\u0000"}', [{"a": "\x00"}]),
        (b'{"":1}', [{"": 1}]),
        (b'{"a":9223372036854775807,"b":-9223372036854775808}', [{"a": 2**63 - 1, "b": -(2**63)}]),
        (b'{"a":9223372036854775808}', [{"a": "9223372036854775808"}]),
        (b'{"a":[123456789012345678901234567890]}', [{"a": ["123456789012345678901234567890"]}]),
        (b'{"a":"1234567890123456789012"}', [{"a": "1234567890123456789012"}]),
        (b'{"a":0.12345678901234567890}', [{"a": 0.12345678901234568}]),
        (b'{"a":' * 100 + b"1" + b"}" * 100, None),
    ],
)
def test_json_frames(line: bytes, events: list[Any] | None) -> None:
    decoded = CODECS["json"](line)
    assert len(decoded) == 1 if events is None else decoded == events


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello", "not JSON: unexpected character"),
        (b'{"a":1', "not JSON: unexpected end"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":1e999}', "not JSON: number is infinity"),
        (b'{"a":"\\ud800"}', "not JSON: no low surrogate"),
        (b'{"a":"\x00"}', "not JSON"),
        (b"42", "not a JSON object but a number"),
        (b'"x"', "not a JSON object but a string"),
        (b"null", "not a JSON object but null"),
        (b"true", "not a JSON object but a boolean"),
        (b"[[1]]", "not a JSON object but an array"),
        (b"[" * 20_000 + b"]" * 20_000, "not JSON: depth limit exceeded"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "JSON nested deeper than 100 levels"),
        (b'{"a":' * 900 + b"1234567890123456789012" + b"}" * 900, "JSON nested deeper than 100"),
    ],
)
def test_json_frames_that_are_no_events(line: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        CODECS["json"](line)
    assert caught.value.reason.startswith(reason)


@given(st.binary())
def test_no_bytes_raise_anything_else(line: bytes) -> None:
    try:
        events = CODECS["json"](line)
    except DecodeError:
        return
    assert all(isinstance(event, dict) for event in events)


@given(st.binary())
def test_bytes_take_anything(line: bytes) -> None:
    [event] = CODECS["bytes"](line)
    assert event == {"message": line.decode("utf-8", "replace")}
