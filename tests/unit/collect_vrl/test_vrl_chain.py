"""A chain of programs over lines makes what the same programs make one after the other, or None."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tailrace.collect.transform import VrlStep
from tailrace.collect.vrl.chain import Chain, LineCodec

TIMESTAMP = "2026-01-02T03:04:05.678Z"
DEFAULTS = '{"host":"here","source_type":"socket"}'


def step(source: str, *, is_condition: bool = False, timezone: str = "UTC") -> VrlStep:
    """One step of a chain."""
    return VrlStep(source, timezone, is_condition)


def run(steps: Sequence[VrlStep], *lines: bytes, codec: LineCodec = "json") -> list[Any] | None:
    """The events that are left, or None."""
    chain = Chain(steps, codec)
    assert chain.is_fit
    ran = chain.run(lines, DEFAULTS, TIMESTAMP)
    if ran is None:
        return None
    events = [json.loads(line) for line in ran.payload.splitlines()]
    assert ran.count == len(events)
    assert ran.count + ran.dropped.total() == len(lines)
    return events


ADDED = {"host": "here", "source_type": "socket", "timestamp": TIMESTAMP}


def test_a_line_gets_what_it_has_not() -> None:
    assert run([step(".b = 1")], b'{"a":null,"host":null}') == [
        {**ADDED, "a": None, "host": None, "b": 1}
    ]


def test_the_arrivals_time_is_a_timestamp_and_a_lines_own_is_text() -> None:
    program = step(
        '.is = is_timestamp(.timestamp)\n.year = format_timestamp(.timestamp, "%Y") ?? null'
    )
    first, second = run([program], b"{}", b'{"timestamp":"2020-01-01T00:00:00Z"}') or []
    assert (first["is"], first["year"], first["timestamp"]) == (True, "2026", TIMESTAMP)
    assert (second["is"], second["year"]) == (False, None)


def test_text_becomes_the_message() -> None:
    program = step(".n = length(string!(.message))")
    events = run([program], b"caf\xc3\xa9 \xff", b'a "quoted"\tword', codec="bytes")
    assert events == [
        {**ADDED, "message": "café �", "n": 9},
        {**ADDED, "message": 'a "quoted"\tword', "n": 15},
    ]


def test_types_are_forgotten_between_steps() -> None:
    careful = step('.a = string!(.a) + "x" # not needless, as each is checked alone')
    assert run([careful, careful, careful], b'{"a":"-"}') == [{**ADDED, "a": "-xxx"}]


def test_conditions_drop_where_they_stand() -> None:
    steps = [
        step(".n = int!(.n) + 1"),
        step("int!(.n) > 1 # { not the end", is_condition=True),
        step(".m = .n"),
        step('.n != 5', is_condition=True),
    ]  # fmt: skip
    lines = [b'{"n":%d}' % n for n in range(6)]
    chain = Chain(steps, "json")
    ran = chain.run(lines, DEFAULTS, TIMESTAMP)
    assert ran is not None
    assert [json.loads(line)["m"] for line in ran.payload.splitlines()] == [2, 3, 4, 6]
    assert ran.dropped == {1: 1, 3: 1}


def test_when_all_are_dropped_nothing_is_left() -> None:
    ran = Chain([step("false", is_condition=True)], "json").run([b"{}"] * 2, "{}", TIMESTAMP)
    assert ran is not None
    assert (ran.payload, ran.count, ran.dropped) == (b"", 0, {0: 2})


NOTHING = [step("")]


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (NOTHING, b"no JSON"),
        (NOTHING, b" "),
        (NOTHING, b"[{}]"),
        (NOTHING, b'"text"'),
        (NOTHING, b'{"a":1},{"b":2}'),
        (NOTHING, b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"),
        (NOTHING, b'{"a":9223372036854775808}'),
        (NOTHING, b'{"a":1' + b"0" * 5000 + b"}"),
        (NOTHING, b'{"a":"\\ud800"}'),
        ([step(".a = int!(.a)")], b'{"a":"text"}'),
        ([step("abort")], b"{}"),
        ([step(". = [{}, {}]")], b"{}"),
        ([step('. = "text"')], b"{}"),
        ([step("true", is_condition=True), step(". = 0")], b"{}"),
        ([step("int!(.a) > 1", is_condition=True)], b"{}"),
    ],
)  # fmt: skip
def test_what_needs_another_way_is_none(steps: list[VrlStep], line: bytes) -> None:
    assert run(steps, b'{"a":1}', line, b'{"a":2}') is None


DIGITS = b"0123456789" * 4


def test_the_largest_integer_is_kept() -> None:
    events = run(NOTHING, b'{"a":9223372036854775807,"b":-9223372036854775807,"c":"%s"}' % DIGITS)
    assert events is not None
    assert events[0]["c"] == DIGITS.decode()
    assert (events[0]["a"], events[0]["b"]) == (2**63 - 1, 1 - 2**63)


def test_one_runtime_has_one_time_zone() -> None:
    assert not Chain([step(""), step("", timezone="Asia/Tokyo")], "json").is_fit


@pytest.mark.parametrize("source", ["return {}", "%a = 1", ". = parse_xml!(.message)"])
def test_programs_that_need_care_are_not_chained(source: str) -> None:
    assert not Chain([step(source)], "json").is_fit
