"""What panels make of answers: numbers, bars, tables, lines with their gaps, links."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ConfigurationError, QueryError
from tailrace.packs.dashboard import Panel
from tailrace.store import Result
from tailrace.store.client import Statistics
from tailrace.web.pages.drawing import Bar, Cell, Lines, Table, Value, draw
from tailrace.web.panels import Answer, Span
from tailrace.web.units import format_number, number_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPAN = Span(NOON, NOON + timedelta(minutes=4))
ENDS = {"from": "4m", "to": ""}
MINUTE = timedelta(minutes=1)


def answer(columns: dict[str, str], rows: list[tuple[Any, ...]], **panel: Any) -> Answer:
    said = Panel.model_validate({"title": "A panel", "kind": "table", "sql": "SELECT 1", **panel})
    result = Result(tuple(columns), tuple(columns.values()), rows, Statistics())
    return Answer(said, SPAN, result, {})


def lines(columns: dict[str, str], rows: list[tuple[Any, ...]], **panel: Any) -> Lines:
    drawn = draw(answer(columns, rows, kind="time_series", **panel), ENDS)
    assert isinstance(drawn, Lines)
    return drawn


def at(drawn: Lines, moment: datetime) -> list[object]:
    place = drawn.data["times"].index(moment.timestamp())
    return [values[place] for values in drawn.data["values"]]


@pytest.mark.parametrize(
    ("kind", "is_number"),
    [
        ("UInt64", True),
        ("Nullable(Float64)", True),
        ("LowCardinality(Nullable(Int32))", True),
        ("SimpleAggregateFunction(max, UInt32)", True),
        ("String", False),
        ("LowCardinality(String)", False),
        ("SimpleAggregateFunction(anyLast, String)", False),
    ],
)
def test_the_heads_of_numbers_stand_over_them(kind: str, is_number: bool) -> None:
    drawn = draw(answer({"name": "String", "most": kind}, [("a", 1)]), ENDS)
    assert isinstance(drawn, Table)
    assert drawn.columns == (("name", False), ("most", is_number))


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (1204, "", "1,204"),
        (1204, "requests", "1,204 requests"),
        (0.532171, "", "0.532"),
        (0.0512, "%", "0.0512 %"),
        (5.0, "%", "5 %"),
        (98.96, "%", "99 %"),
        (99.5, "%", "99.5 %"),
        (99.96, "%", "99.96 %"),
        (99.9996, "%", "99.9996 %"),
        (99.99999999999999, "%", "100 %"),
        (100, "%", "100 %"),
        (12345.6, "", "12,346"),
        (0, "ms", "0 ms"),
        (18.25, "ms", "18.2 ms"),
        (1530, "ms", "1.53 s"),
        (0.0000152, "s", "15.2 µs"),
        (600, "s", "10 min"),
        (90_000, "s", "25 h"),
        (1_500_000, "bytes", "1.43 MiB"),
        (None, "ms", "–"),
        (float("nan"), "", "–"),
    ],
)
def test_numbers_with_their_units(number: float | None, unit: str, text: str) -> None:
    assert format_number(number, unit) == text


def test_short_numbers() -> None:
    assert format_number(1_240_000, "requests", short=True) == "1.24 M requests"
    assert format_number(999_999, short=True) == "999,999"


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["", "ms", "s", "bytes"]))
def test_any_number_can_be_written(number: float, unit: str) -> None:
    assert format_number(number, unit)
    assert format_number(number, unit, short=True)


def test_what_is_no_number() -> None:
    assert [number_of(value) for value in (True, "1", None, float("inf"))] == [None] * 4


def test_a_value() -> None:
    drawn = draw(answer({"n": "UInt64"}, [(1_200_000,)], kind="value", unit="events"), ENDS)
    assert drawn == Value("1.2", "M events", "1,200,000 events", "")
    empty = draw(answer({"n": "UInt64"}, [], kind="value"), ENDS)
    assert isinstance(empty, Value)
    assert empty.number == "–"


def test_bars_share_the_greatest() -> None:
    rows = [("payment", 8), ("ERROR", 2), ("", None)]
    drawn = draw(answer({"name": "String", "n": "UInt64"}, rows, kind="bar"), ENDS)
    assert drawn == (
        Bar(Cell("payment"), "8", 100.0),
        Bar(Cell("ERROR", tone="error"), "2", 25.0),
        Bar(Cell("(none)"), "–", 0.0),
    )


def test_a_table_writes_times_numbers_levels_and_hidden_characters() -> None:
    columns = {"time": "DateTime64(6)", "ms": "Float64", "level": "String", "text": "String"}
    rows = [(NOON + timedelta(microseconds=1500), 1500.0, "WARNING", "a\x1b[0m")]
    drawn = draw(answer(columns, rows, units={"ms": "ms"}), ENDS)
    assert isinstance(drawn, Table)
    assert drawn.columns == (("time", False), ("ms", True), ("level", False), ("text", False))
    [[time, number, level, text]] = drawn.rows
    assert (time.text, time.title) == ("12:00:00.001", "2026-11-22T12:00:00.001500Z")
    assert (number.text, number.is_number) == ("1.5 s", True)
    assert level.tone == "warning"
    assert text.text == "a␛[0m"


def test_long_texts_are_cut() -> None:
    """Two hundred rows of a megabyte each were half a gigabyte of page."""
    long = "x" * 1_000_000
    table = draw(answer({"text": "String"}, [(long,)]), ENDS)
    assert isinstance(table, Table)
    [[text]] = table.rows
    assert len(text.text) == len(text.title) == 2001
    bars = draw(answer({"name": "String", "n": "UInt8"}, [(long, 1)], kind="bar"), ENDS)
    assert isinstance(bars, tuple)
    assert len(bars[0].name.text) == 2001
    keys = lines({"time": "DateTime", "name": "String", "n": "UInt8"}, [(NOON, long, 1)]).keys
    assert len(keys[0].name) == 2001


@pytest.mark.parametrize("time", [2**64 - 1, 1.7e308, -(10**12), 1_795_345_200_000])
def test_what_cannot_be_a_time_in_seconds_is_said(time: float) -> None:
    with pytest.raises(ConfigurationError, match="must give the time first"):
        lines({"time": "Float64", "n": "UInt8"}, [(time, 1)])


def test_a_link_takes_the_rows_values_and_the_range_along() -> None:
    rows = [('say "a&b"', "x y")]
    link = '/?q="{message}"&source={source}&from={from}&to={to}'
    drawn = draw(answer({"message": "String", "source": "String"}, rows, link=link), ENDS)
    assert isinstance(drawn, Table)
    assert drawn.rows[0][0].link == ("/?q=%22say%20%5C%22a%26b%5C%22%22&source=x%20y&from=4m&to=")


def test_a_long_text_in_a_link_ends_behind_a_word() -> None:
    rows = [("word " * 60,)]
    drawn = draw(answer({"m": "String"}, rows, link='/?q="{m}"'), ENDS)
    assert isinstance(drawn, Table)
    assert drawn.rows[0][0].link.endswith("%20word%22")
    assert len(drawn.rows[0][0].link) < 250


def test_a_link_to_a_column_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigurationError, match=r"\{source\}.*gives m"):
        draw(answer({"m": "String"}, [("x",)], link="/?source={source}"), ENDS)


def test_a_series_for_each_name_with_gaps_or_zeros() -> None:
    columns = {"time": "DateTime", "level": "LowCardinality(String)", "n": "UInt64"}
    rows = [(NOON, "ERROR", 1), (NOON, "DEBUG", 5), (NOON + MINUTE, "ERROR", 2)]
    gaps, zeros = lines(columns, rows), lines(columns, rows, fill="zero", draw="bars")
    assert [key.name for key in gaps.keys] == ["DEBUG", "ERROR"]
    assert [key.tone for key in gaps.keys] == ["debug", "error"]
    assert at(gaps, NOON) == at(zeros, NOON) == [5, 1]
    assert at(gaps, NOON + MINUTE) == [None, 2]
    assert at(zeros, NOON + MINUTE) == [0, 2]
    assert at(gaps, NOON + 3 * MINUTE) == [None, None]
    # 4 minutes are cut into steps of 5 seconds
    assert len(gaps.data["times"]) == len(gaps.table.rows) == 48
    assert gaps.table.columns == (("time", False), ("DEBUG", True), ("ERROR", True))
    assert [cell.text for cell in gaps.table.rows[12]] == ["2026-11-22 12:01:00", "–", "2"]


def test_a_series_for_each_column() -> None:
    columns = {"time": "DateTime", "p50": "Float64", "p99": "Nullable(Float64)"}
    drawn = lines(columns, [(NOON, 1.0, float("nan"))])
    assert [key.tone for key in drawn.keys] == ["series-a", "series-b"]
    assert at(drawn, NOON) == [1.0, None]


def test_times_that_are_no_steps_are_drawn_as_they_come() -> None:
    moments = [NOON + timedelta(seconds=second) for second in (7, 61, 120)]
    drawn = lines({"t": "DateTime", "n": "UInt8"}, [(moment, 1) for moment in moments])
    assert drawn.data["times"] == [moment.timestamp() for moment in moments]


def test_more_series_than_colours_stay_in_the_table() -> None:
    rows = [(NOON, f"s{number:02}", number) for number in range(11)]
    drawn = lines({"time": "DateTime", "name": "String", "n": "UInt64"}, rows)
    assert [key.name for key in drawn.keys] == [f"s{number:02}" for number in range(3, 11)]
    assert drawn.left_out == 3
    assert len(drawn.table.columns) == 12


def test_status_classes_have_the_colours_of_levels() -> None:
    rows = [(NOON, name, 1) for name in ("5xx", "2xx", "4xx")]
    drawn = lines({"time": "DateTime", "name": "String", "n": "UInt64"}, rows, draw="bars")
    assert [(key.name, key.tone) for key in drawn.keys] == [
        ("2xx", "calm"),
        ("4xx", "warning"),
        ("5xx", "error"),
    ]


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("value", {"a": "UInt8", "b": "UInt8"}),
        ("value", {"a": "String"}),
        ("bar", {"a": "String"}),
        ("bar", {"a": "String", "b": "String"}),
        ("time_series", {"a": "DateTime"}),
        ("time_series", {"a": "DateTime", "b": "String"}),
        ("time_series", {"a": "String", "b": "UInt8"}),
    ],
)
def test_an_answer_of_another_form_is_said_with_its_columns(
    kind: str, columns: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=rf"'A panel' as {kind}.*gives \(a .*must give"):
        draw(answer(columns, [tuple("x" for _ in columns)], kind=kind), ENDS)


def test_a_span_begins_with_the_dashboards_own_range() -> None:
    span = Span.parse("", "", "1h", NOON)
    assert (span.start, span.end) == (NOON - timedelta(hours=1), NOON)
    until = Span.parse("", "2026-11-22T11:00", "15m", NOON)
    assert until.start == datetime(2026, 11, 22, 10, 45, tzinfo=UTC)
    assert Span.parse("2026-11-22T11:59:31", "", "1h", NOON).first.second == 31
    for start in ("soon", "2026-11-22T13:00"):
        with pytest.raises(QueryError):
            Span.parse(start, "", "1h", NOON)
