"""Rows by day, as a table that gets the lines counts them."""

import pytest

from tailrace.collect.arrivals import arrivals_of, rows_of
from tailrace.collect.sink import Delivery, Piece, RejectedRow

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (b'{"a":1}\n', 1),
        (b'{"a":1}\n\n\r\n{"a":2}\n\n', 2),
        (b"\n\n", 0),
        (b"\r\n", 0),
        (b'{"a":"x"}\r\n{"b":1}\r\n', 2),
        (b'[{"a":1},{"a":2}]\n{"a":3}\n[{"a":4}]\n', 4),
        (b'[{"a":1},2]\n', 1),
        (b"[]\n", 1),
        (b"[broken\n", 1),
        (b' [{"a":1},{"a":2}]\n', 1),
        (b'\n[{"a":1},{"a":2},{"a":3}]\n\n', 3),
    ],
)
def test_lines_are_counted_as_the_table_counts_them(lines: bytes, rows: int) -> None:
    assert rows_of(Piece(memoryview(lines), lines.count(b"\n"), 0)) == rows


def test_rows_are_counted_by_day_of_arrival_without_the_rejected() -> None:
    pieces = [Piece(b"{}\n{}\n", 2, DAY_MS - 1, "a"), Piece(b"{}\n{}\n{}\n", 3, DAY_MS, "b")]
    rejected = [RejectedRow("out", "", DAY_MS, "bad", b"{}")]
    days, _ = arrivals_of(pieces, Delivery(rejected=rejected), as_lines=True)
    assert days == {"1970-01-01": 2, "1970-01-02": 2}


def test_lines_that_came_together_share_a_day() -> None:
    pieces = [Piece(b"{}\n", 1, DAY_MS - 1), Piece(b"{}\n", 1, DAY_MS)]
    days, _ = arrivals_of(pieces, Delivery(), as_lines=True)
    assert days == {"1970-01-01": 2}
    apart = [Piece(b"{}\n", 1, DAY_MS - 1), Piece(b"{}\n", 1, DAY_MS + 2000)]
    days, _ = arrivals_of(apart, Delivery(), as_lines=True)
    assert days == {"1970-01-01": 1, "1970-01-02": 1}


def test_moments_are_those_that_each_insert_has_given_to_its_rows() -> None:
    first, second = Piece(b"{}\n\n{}\n", 3, 1000), Piece(b"{}\n", 1, 1500)
    together = Delivery(dated=[[first, second]])
    _, moments = arrivals_of([first, second], together, as_lines=True)
    assert moments == {1000: 3}
    in_parts = Delivery(dated=[[first], [second]])
    _, moments = arrivals_of([first, second], in_parts, as_lines=True)
    assert moments == {1000: 2, 1500: 1}
    _, moments = arrivals_of([first, second], Delivery(), as_lines=True)
    assert not moments
