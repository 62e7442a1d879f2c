"""Rows by moment of arrival: added once, merged into minutes when they are old, read as they are."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tailrace.clock import SystemClock
from tailrace.collect.books import REMOVED, note_removed_rows, read_books, together
from tailrace.collect.ledger import (
    FILE,
    MINUTE_MS,
    REJECTED,
    BatchRow,
    Ledger,
    day_of,
    merge_moments,
)

START_MS = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS


def batch(token: str) -> BatchRow:
    return BatchRow(token, "out", "in", 0, 1, 1, 0, 1, 1, 0)


async def test_a_batch_adds_its_rows_once(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / FILE, SystemClock())
    for _ in range(2):
        await ledger.write_batch(
            batch("a"), {"2023-11-14": 3}, {START_MS: 3}, rejected={START_MS + 5: 1}
        )
    await ledger.write_batch(batch("b"), {"2023-11-14": 2}, {START_MS: 2})
    await ledger.close()
    note_removed_rows(tmp_path, {START_MS + 5: 1})
    books = read_books(tmp_path)
    assert books.rows_at("out") == {START_MS: 5}
    assert books.rows_at(REJECTED) == books.rows_at(REMOVED) == {START_MS + 5: 1}
    assert books.rows("out") == {"2023-11-14": 5}
    assert books.rows(REMOVED) == {"2023-11-14": 1}


async def test_old_moments_become_minutes_and_none_is_lost(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / FILE, SystemClock())
    given = {START_MS + 7000 * number: number + 1 for number in range(100)}
    await ledger.write_batch(batch("a"), {}, given)
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        merge_moments(database, 20)
    books = read_books(tmp_path)
    assert sum(books.moments.values()) == sum(given.values())
    assert START_MS < books.apart_since_ms <= START_MS + 7000 * 80
    by_minute = Counter[int]()
    for moment, rows in given.items():
        old = moment < books.apart_since_ms
        by_minute[moment // MINUTE_MS * MINUTE_MS if old else moment] += rows
    assert books.rows_at("out") == by_minute
    # What was delivered late belongs to its minute as well.
    await ledger.write_batch(batch("b"), {}, {START_MS + 1: 1000})
    await ledger.close()
    assert read_books(tmp_path).rows_at("out")[START_MS] == by_minute[START_MS] + 1000


async def write(
    buffer: Path, batches: dict[str, tuple[int, int]], *again: str, rejected: int = 0
) -> None:
    """Books of a collector: rows and moment of each batch, and which were delivered again."""
    ledger = await Ledger.open(buffer / FILE, SystemClock())
    for token, (rows, moment) in batches.items():
        is_again = token in again
        days = {day_of(moment): rows}
        bad = {moment: rejected} if rejected else {}
        await ledger.write_batch(batch(token), days, {moment: rows}, rejected=bad, again=is_again)
        await ledger.finish_segment(token, "in", rows, [], (), bad, again=is_again)
    await ledger.close()


async def test_a_batch_that_two_collectors_delivered_counts_once(tmp_path: Path) -> None:
    later = START_MS + 5
    await write(tmp_path / "a", {"t1": (10, START_MS), "t2": (4, later)})
    await write(tmp_path / "b", {"t1": (10, START_MS), "t3": (7, later)}, "t1")
    await write(tmp_path / "c", {"t4": (3, START_MS + 9)}, "t4")
    books = together([read_books(tmp_path / name) for name in "abc"])
    assert books.rows_at("out") == {START_MS: 10, later: 11, START_MS + 9: 3}
    assert books.rows("out") == {day_of(START_MS): 24}


async def test_rejected_rows_of_a_batch_that_two_collectors_delivered_count_once(
    tmp_path: Path,
) -> None:
    await write(tmp_path / "a", {"t1": (10, START_MS)}, rejected=2)
    await write(tmp_path / "b", {"t1": (10, START_MS)}, "t1", rejected=2)
    books = together([read_books(tmp_path / name) for name in "ab"])
    # Two by the sink and two by what is before it.
    assert books.rows_at(REJECTED) == {START_MS: 4}


async def test_moments_that_one_collector_has_merged_are_minutes_in_all_books(
    tmp_path: Path,
) -> None:
    old = {f"a{number}": (1, START_MS + 9000 * number) for number in range(20)}
    await write(tmp_path / "a", old)
    await write(tmp_path / "b", {"b0": (5, START_MS + 1), "b1": (6, START_MS + MINUTE_MS * 9)})
    with closing(sqlite3.connect(tmp_path / "a" / FILE)) as database, database:
        merge_moments(database, 5)
    books = together([read_books(tmp_path / name) for name in "ab"])
    assert books.rows_at("out")[START_MS] == 5 + 7
    assert START_MS + 1 not in books.rows_at("out")
    assert books.rows_at("out")[START_MS + MINUTE_MS * 9] == 6
    assert sum(books.rows_at("out").values()) == 31
