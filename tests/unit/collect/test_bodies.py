"""Bodies of JSON, and of lines."""

import pytest

from tailrace.collect.body import (
    MOST_REJECTED,
    TooManyRejectedError,
    read_json_body,
    read_lines_body,
)
from tailrace.collect.codecs.json import decode_json


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}\n{"a":2}\n', [b'{"a":1}', b'{"a":2}']),
        (b'{"a":1}\r\n\r\n\n{"a":2}', [b'{"a":1}', b'{"a":2}']),
        (b'[{"a":1},{"a":2}]', [b'{"a":1}', b'{"a":2}']),
        (b'[\n  {"a": 1},\n  {"a": 2}\n]\n', [b'{"a":1}', b'{"a":2}']),
        (b'{\n  "a": 12345678901234567890123\n}\n', [b'{   "a": 12345678901234567890123 }']),
        (b"", []),
        (b" \n\n", []),
        (b"[]", []),
    ],
)
def test_json_is_found_in_every_shape(body: bytes, lines: list[bytes]) -> None:
    found = read_json_body(body, decode_json)
    assert found.payload == b"".join(line + b"\n" for line in lines)
    assert found.count == len(lines)
    assert not found.rejected


def test_a_bad_line_does_not_harm_its_neighbours() -> None:
    found = read_json_body(b'{"a":1}\nnonsense\n42\n{"a":2}', decode_json)
    assert found.payload == b'{"a":1}\n{"a":2}\n'
    assert [raw for raw, _ in found.rejected] == [b"nonsense", b"42"]
    assert all(reason for _, reason in found.rejected)


def test_a_body_of_nothing_but_bad_lines_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(TooManyRejectedError, match="not JSON"):
        read_json_body(b"x\n" * (MOST_REJECTED + 1), decode_json)


def test_text_is_lines() -> None:
    assert read_lines_body(b"one\n\ntwo").payload == b"one\ntwo\n"
