"""Times, cursors, orders and row ids: what people and URLs may hand in."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.search.cursor import Cursor, decode_cursor
from tailrace.search.query import LogQuery, Order, page_statement
from tailrace.search.rows import LogRow, RowId, iso_of_ns
from tailrace.search.table import usual_table
from tailrace.search.times import parse_moment, parse_range
from tailrace.search.visible import visible_text

NOW = datetime(2026, 11, 22, 10, 42, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-22T10:42:00+00:00"),
        ("15m", "2026-11-22T10:27:00+00:00"),
        ("1 hour ago", "2026-11-22T09:42:00+00:00"),
        ("-2 days", "2026-11-20T10:42:00+00:00"),
        ("yesterday", "2026-11-21T00:00:00+00:00"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22 10:00", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T12:00:00+02:00", "2026-11-22T10:00:00+00:00"),
        ("1795344000", "2026-11-22T10:40:00+00:00"),
        ("1795344000000", "2026-11-22T10:40:00+00:00"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert parse_moment(text, NOW).isoformat() == expected


@pytest.mark.parametrize("text", ["", "soon", "99999999999999999", "1066-10-14", "999999999 weeks"])
def test_what_is_no_moment_is_said_to_be_none(text: str) -> None:
    with pytest.raises(QueryError, match="cannot "):
        parse_moment(text, NOW)


def test_a_range_must_begin_before_it_ends() -> None:
    with pytest.raises(QueryError, match="before it begins"):
        parse_range("5m", "15m", NOW)


@given(
    st.sampled_from(["older", "newer"]),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1)),
    st.booleans(),
    st.integers(0, 10_000),
)
def test_a_cursor_survives_its_text(
    direction: str, key: tuple[int, int], inclusive: bool, skip: int
) -> None:
    cursor = Cursor("-timestamp", direction, key, inclusive, skip)  # type: ignore[arg-type]
    assert decode_cursor(cursor.encode()) == cursor


@given(st.text(max_size=80))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(QueryError, match="cannot use the cursor"):
        decode_cursor(text)


def test_a_changed_cursor_is_refused() -> None:
    text = Cursor("-timestamp", "older", (1, 2)).encode()
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        if changed.rstrip("=") == text:
            continue
        with pytest.raises(QueryError):
            decode_cursor(changed)


def test_a_cursor_of_another_order_or_with_a_wrong_key_is_refused() -> None:
    with pytest.raises(QueryError, match="begin again without the cursor"):
        LogQuery(order=Order("source"), cursor=Cursor("-timestamp", "older", (1, 2)))
    for key in [(1,), ("x", 2), (1, -2), (2**63, 2)]:
        with pytest.raises(QueryError, match="does not fit"):
            LogQuery(cursor=Cursor("-timestamp", "older", key))


def test_orders() -> None:
    assert Order.parse("") == Order.parse("-timestamp") == Order("", descending=True)
    assert Order.parse("-level").text(usual_table()) == "-level"
    assert Order().text(usual_table()) == "-timestamp"
    with pytest.raises(QueryError, match="cannot sort by 'size'"):
        Order.parse("size")


def test_limits_are_checked() -> None:
    for limit in (0, 1001):
        with pytest.raises(QueryError):
            LogQuery(limit=limit)


def test_a_page_asks_for_one_row_more_and_leaves_the_hash_out() -> None:
    statement = page_statement(LogQuery(), NOW)
    assert "LIMIT 101" in statement.sql
    assert "row_hash" not in statement.sql
    assert "row_hash" in page_statement(LogQuery(), NOW, exact=True).sql


def test_times_keep_every_digit() -> None:
    assert iso_of_ns(1_795_344_000_118_204_001) == "2026-11-22T10:40:00.118204001Z"
    assert iso_of_ns(1_795_344_000_100_000_000) == "2026-11-22T10:40:00.100Z"
    assert iso_of_ns(-1) == "1969-12-31T23:59:59.999999999Z"


def test_a_row_id_is_the_same_whether_the_message_was_cut_or_not() -> None:
    def row(message: str, truncated: bool) -> LogRow:
        texts = {"log_level": "INFO", "source": "s", "host": "h", "trace_id": "", "span_id": ""}
        values = {**texts, "attributes": {"k": "v"}, "received_at": 7, "message": message}
        return LogRow(usual_table(), 5, 9, values, truncated)

    whole, cut = row("x" * 20_000, False), row("x" * 10_000, True)
    assert whole.row_id == cut.row_id
    assert RowId.decode(whole.row_id.encode()) == whole.row_id
    with pytest.raises(QueryError):
        RowId.decode("nonsense")


def test_hidden_characters_become_signs() -> None:
    assert visible_text("a\x1b[31mb\u202ec\td") == "a␛[31mb⟨U+202E⟩c\td"
