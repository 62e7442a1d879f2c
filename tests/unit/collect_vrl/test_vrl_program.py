"""Programs over batches: order, isolation, timestamps, and input that would end the process."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.collect.transform import Timestamp
from tailrace.collect.vrl import Failure, Program
from tailrace.collect.vrl.lexer import returns_early, uses_metadata
from tailrace.collect.vrl.program import MAX_BATCH

MOMENT = Timestamp("2026-01-02T03:04:05.123456789Z")


def messages(results: list[Any]) -> list[str | None]:
    return [result.message if isinstance(result, Failure) else None for result in results]


def test_a_batch_gives_an_event_each_in_order() -> None:
    events = [{"n": n} for n in range(MAX_BATCH * 2 + 3)]
    results = Program(".n = int!(.n) + 1").run(events)
    assert results == [{"n": n + 1} for n in range(len(events))]


def test_a_failure_touches_nobody_else() -> None:
    program = Program('.n = to_int!(.n)\nif .n == 3 { abort "three" }\n.seen = true')
    events = [{"n": "1"}, {"n": "x"}, {"n": "3"}, {"n": "4"}]
    first, error, aborted, last = program.run(events)
    assert first == {"n": 1, "seen": True}
    assert last == {"n": 4, "seen": True}
    assert error == Failure(
        False,
        'function call error for "to_int" at (5:16): Invalid integer "x": '
        "invalid digit found in string",
    )
    assert aborted == Failure(True, "three")
    assert events[1] == {"n": "x"}


def test_the_place_in_a_message_is_the_users_own() -> None:
    source = "# ä comment\n.n = int!(.n)"
    [failure] = Program(source).run([{"n": "x"}])
    position = source.encode().index(b"int!")
    assert f"at ({position}:{position + 8})" in failure.message


@pytest.mark.parametrize("lines", [1, 9, 99, 999])
def test_a_message_says_nothing_of_the_program_around_it(lines: int) -> None:
    aborting = Program("\n" * lines + 'if .n == 1 { abort "one" }\n.n = int!(.n)')
    aborted, error = aborting.run([{"n": 1}, {"n": "x"}])
    assert aborted == Failure(True, "one")
    assert error.message.endswith("expected integer, got string")


def test_an_assertion_that_says_aborted_is_an_error() -> None:
    [failure] = Program('assert!(false, "aborted")').run([{}])
    assert not failure.aborted


def test_many_failures_in_a_row_do_not_slow_down_or_leak_into_later_batches() -> None:
    program = Program(".n = int!(.n)")
    bad: list[Any] = program.run([{"n": "x"}] * 1000)
    assert all(isinstance(result, Failure) for result in bad)
    assert program.run([{"n": 1}] * 1000) == [{"n": 1}] * 1000


def test_variables_and_metadata_do_not_outlive_their_event() -> None:
    program = Program("if exists(%seen) { .seen = %seen }\n%seen = .n")
    assert program.run([{"n": 1}, {"n": 2}]) == [{"n": 1}, {"n": 2}]


def test_early_return() -> None:
    program = Program("if .n == 1 { .at = t'2026-01-02T03:04:05Z'\n return null }\n.late = true")
    first, second = program.run([{"n": 1}, {"n": 2}])
    assert first == {"n": 1, "at": "2026-01-02T03:04:05Z"}
    assert isinstance(first["at"], Timestamp)
    assert second == {"n": 2, "late": True}


def test_early_return_of_a_scalar_root() -> None:
    assert Program('. = "x"\nreturn null').run([{}]) == ["x"]


@pytest.mark.parametrize(
    "event",
    [
        {"timestamp": MOMENT},
        {"timestamp": MOMENT, "deep": {"list": [1, {"at": MOMENT}]}},
        {"timestamp": "2026-01-02T03:04:05Z"},
        {"other": MOMENT},
        {"n": 1},
    ],
)
def test_timestamps_come_out_as_they_went_in(event: dict[str, Any]) -> None:
    def kinds(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kinds(child) for key, child in value.items()}
        return [kinds(c) for c in value] if isinstance(value, list) else type(value)

    # Alone, and beside events of another shape, and where the batch falls apart.
    for batch in ([event], [event, {"n": 1}], [event, {"fail": True}]):
        result = Program("if .fail == true { abort }\n.x = 1\ndel(.x)").run(batch)[0]
        assert result == event
        assert kinds(result) == kinds(event)


def test_vrl_sees_a_timestamp_as_one_and_text_as_text() -> None:
    program = Program('.year = format_timestamp!(.timestamp, "%Y")')
    good, bad = program.run([{"timestamp": MOMENT}, {"timestamp": str(MOMENT)}])
    assert good["year"] == "2026"
    assert bad.message.endswith("expected timestamp, got string")


def test_a_datetime_is_a_timestamp() -> None:
    program = Program(".unix = to_unix_timestamp(timestamp!(.at))")
    [result] = program.run([{"at": datetime(2026, 1, 1, tzinfo=UTC)}])
    assert result["unix"] == 1767225600


def test_untyped_output_is_plain_text() -> None:
    [result] = Program(".at = t'2026-01-02T03:04:05Z'", typed=False).run([{}])
    assert type(result["at"]) is str


def test_time_zone_of_times_that_name_none() -> None:
    source = '.at = parse_timestamp!("2026-07-01 12:00:00", "%Y-%m-%d %H:%M:%S")'
    assert Program(source, timezone="Europe/Oslo").run([{}]) == [{"at": "2026-07-01T10:00:00Z"}]


def test_a_root_of_any_kind_comes_out() -> None:
    assert Program('. = [{"a": 1}, "s"]').run([{}, {}]) == [[{"a": 1}, "s"]] * 2
    assert Program(". = null").run([{}]) == [None]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"n": 2**70}, "cannot read the event: Integer exceeds 64-bit range"),
        ({"n": "\ud800"}, "cannot read the event: str is not valid UTF-8: surrogates not allowed"),
    ],
)
def test_what_json_cannot_hold_fails_alone(event: dict[str, Any], message: str) -> None:
    good, bad = Program(".x = 1").run([{"n": 1}, event])
    assert good == {"n": 1, "x": 1}
    assert bad == Failure(False, message)


def test_nan_and_infinity_become_null() -> None:
    assert Program("true").run([{"a": float("nan"), "b": float("inf")}]) == [{"a": None, "b": None}]


def test_nul_bytes_and_odd_keys_pass() -> None:
    event = {"": "empty", "a.b": "dotted", "nul": "a\x00b", "\x02t": 1, "q\"'": "\\"}
    assert Program("true").run([event]) == [event]


def test_an_event_that_is_too_deep_fails_alone() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    good, bad = Program(".x = 1").run([{"n": 1}, deep])
    assert good == {"n": 1, "x": 1}
    assert "recursion limit exceeded" in bad.message


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize(
    "source",
    [
        '.deep = set!({}, split!(.path, "."), 1)',
        '.deep = set!({}, split!(.path, "."), 1)\nif .path == "" { return null }',
        ".deep = unflatten!(set!({}, [.path], 1))",
        '.deep = 1\nfor_each(split!(.path, ".")) -> |_i, _v| { .deep = {"a": .deep} }',
    ],
    ids=["set", "return", "unflatten", "closure"],
)
def test_a_result_that_is_too_deep_fails_alone(source: str, typed: bool) -> None:
    good, bad = Program(source, typed=typed).run([{"path": "a"}, {"path": "a." * 300 + "a"}])
    assert good["deep"] == {"a": 1}
    assert bad.message.startswith("cannot read the result: ")


def test_a_very_deep_result_does_not_end_the_process() -> None:
    program = Program('.deep = set!({}, split!(.path, "."), 1)')
    [bad] = program.run([{"path": "a." * 20_000 + "a"}])
    assert bad.message.startswith("cannot read the result: ")


@pytest.mark.parametrize("typed", [True, False])
def test_deep_xml_fails_alone(typed: bool) -> None:
    program = Program(".x = parse_xml!(.m)", typed=typed)
    good, bad = program.run([{"m": "<a>1</a>"}, {"m": "<a>" * 900 + "</a>" * 900}])
    assert good["x"] == {"a": 1}
    assert bad.message.startswith("cannot read the result: ")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("parse_xml", "<a>" * 20_000 + "</a>" * 20_000),
        ("parse_xml", "<a><![CDATA[</a></a>]]>" * 20_000 + "</a>" * 20_000),
        ("parse_ruby_hash", '{"a"=>' * 20_000 + "1" + "}" * 20_000),
    ],
)
def test_functions_that_would_overflow_the_stack_are_not_called(function: str, text: str) -> None:
    program = Program(f".x = {function}!(.m)")
    bad, good = program.run(
        [{"m": text}, {"m": '{"a" => 1}' if "ruby" in function else "<a>1</a>"}]
    )
    assert bad.message == f"cannot call {function}: the event has more than 1000 nested levels"
    assert good["x"] == {"a": 1}


def test_a_long_flat_document_is_not_taken_for_a_deep_one() -> None:
    [result] = Program(".x = parse_xml!(.m)").run([{"m": "<r>" + "<i>1</i>" * 2000 + "</r>"}])
    assert len(result["x"]["r"]["i"]) == 2000


@pytest.mark.parametrize(
    ("source", "early", "metadata"),
    [
        ('.a = "return % \\" return"', False, False),
        (".return = 1 # return %", False, False),
        ("if .a == 1 { return null }", True, False),
        ("%a = 1", False, True),
        (".a = r'return %'\n.b = parse_timestamp!(.x, s'%Y')", False, False),
    ],
)
def test_what_a_program_uses_is_seen_without_compiling(
    source: str, early: bool, metadata: bool
) -> None:
    assert (returns_early(source), uses_metadata(source)) == (early, metadata)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    # VRL's parser may miss a float's last bit, as it does in Vector.
    | st.integers(-(2**20), 2**20).map(lambda n: n / 8)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.\x00é", max_size=3), inner)
    ),
    max_leaves=8,
)
IDENTITY = Program("true")


@given(st.lists(st.dictionaries(st.text('ab."\\', max_size=3), JSON, max_size=4), max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_json_event_passes_unchanged(events: list[dict[str, Any]]) -> None:
    assert IDENTITY.run(events) == events


EVENTS = st.lists(
    st.sampled_from([{"n": 1}, {"n": 2}, {"n": 3}, {"n": "x"}, {"timestamp": MOMENT, "n": 4}, {}])
    | st.dictionaries(st.sampled_from(["n", "m"]), JSON, max_size=2),
    max_size=12,
)
UNEVEN = '.n = int!(.n)\nif .n == 2 { abort }\nif .n == 3 { . = [{"a": 1}, "b"] }'


@given(EVENTS)
@settings(max_examples=60, deadline=None)
def test_a_batch_gives_what_each_event_gives_alone(events: list[dict[str, Any]]) -> None:
    alone = [Program(UNEVEN).run([event])[0] for event in events]
    assert Program(UNEVEN).run(events) == alone
