"""Rows by moment of arrival: added once, merged into minutes when they are old, read as they are."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tailrace.clock import SystemClock
from tailrace.collect.books import REMOVED, note_removed_rows, read_books
from tailrace.collect.ledger import FILE, MINUTE_MS, REJECTED, BatchRow, Ledger, merge_moments

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
