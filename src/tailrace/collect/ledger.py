"""The book of what was delivered: `ledger.db` in the buffer's folder, SQLite.

- A row for each batch that a sink has taken, written (and synced) before the batch's segment is
  removed. After a crash between the two the row says that the sink has it already.
- A row for each segment that is done with, and in the same transaction the sums by component, so
  that no segment is ever counted twice: received = sum of `received` + events still in the buffer.
- Rows of segments that are done with are removed after a while; the sums stay.
- Which spans of a batch a destination refused, as long as the batch is not done with.
- How many rows of each day of arrival each sink has taken, and how many were rejected, added once,
  with the batch or segment that they belong to: `tailrace doctor` counts them in the tables.
- The same by moment of arrival, to the millisecond, where rows are stored under a time that comes
  from here. A batch has a moment, or a few, that no others share, so what is missing of it shows
  however many rows somebody else has added. Older moments are merged into minutes.
- Rows of a batch that another collector, or this one before a crash, may have delivered under the
  same name have places of their own, `AGAIN`: of those in two books the table has one.
- A file that is damaged is kept aside, and what of it can be read goes on. What cannot is forgotten:
  batches are known to ClickHouse by their tokens, but a file is read again from where its last known
  position is.
- Where each source stood behind what is delivered: see `tailrace.collect.positions`.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from tailrace.clock import Clock
from tailrace.collect.salvage import DamagedError, copy_readable, open_sound, set_aside
from tailrace.collect.source import Position
from tailrace.telemetry import get_logger

FILE = "ledger.db"

KEPT_BATCHES = 100_000
"""Rows of delivered batches that are kept; at five a second, half a day and about 20 MB."""

_TABLES = """
CREATE TABLE IF NOT EXISTS batches (
    token TEXT NOT NULL,
    sink_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    delivered_at_ms INTEGER NOT NULL,
    events INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    PRIMARY KEY (token, sink_id)
);
CREATE TABLE IF NOT EXISTS segments (
    token TEXT PRIMARY KEY,
    source_id TEXT NOT NULL,
    finished_at_ms INTEGER NOT NULL,
    events INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS sums (
    component_id TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (component_id, name, reason)
);
CREATE TABLE IF NOT EXISTS days (
    day TEXT NOT NULL,
    place TEXT NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (day, place)
);
CREATE TABLE IF NOT EXISTS moments (
    place TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    span_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (place, first_ms, span_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (
    token TEXT NOT NULL,
    first INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (token, first, "end")
);
CREATE TABLE IF NOT EXISTS positions (
    source_id TEXT NOT NULL,
    key TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (source_id, key)
);
"""

REJECTED = "/rejected"
"""Place in `days` and `moments` of what was rejected; all others are ids of sinks."""

AGAIN = "/again"
"""Behind a place: rows of batches that may have been delivered before."""

Days = Mapping[str, int]
"""Rows by day of arrival, as `2026-01-31`, UTC."""

Moments = Mapping[int, int]
"""Rows by time of arrival in ms."""

NO_DAYS: Days = MappingProxyType({})
NO_MOMENTS: Moments = MappingProxyType({})

MINUTE_MS = 60_000
KEPT_MOMENTS = 200_000
"""So many of the newest moments are kept apart, about half a day's and 10 MB."""

RETRY_SECS = 1.0
_MAY_PASS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

T = TypeVar("T")


@dataclass(frozen=True)
class BatchRow:
    """A batch that a sink has taken."""

    token: str
    sink_id: str
    source_id: str
    delivered_at_ms: int
    events: int
    sent: int
    rejected: int
    bytes: int
    attempts: int
    latency_ms: int


@dataclass(frozen=True)
class Count:
    """Something to add to a component's sums: `received`, `sent`, `discarded`, `rejected`."""

    component_id: str
    name: str
    value: int
    reason: str = ""


class Ledger:
    """See the module. Its file work happens in one thread of its own."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._log = get_logger("collector")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._path = path
        self._database: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> "Ledger":
        """Open or create the file."""
        ledger = cls(path, clock)
        await ledger._in_thread(ledger._open)
        return ledger

    async def has_taken(self, token: str) -> set[str]:
        """Sinks that have taken the batch of this token."""

        def read() -> set[str]:
            rows = self._connection.execute(
                "SELECT sink_id FROM batches WHERE token = ?", (token,)
            ).fetchall()
            return {sink_id for (sink_id,) in rows}

        return await self._in_thread(read)

    async def write_batch(
        self,
        row: BatchRow,
        sent: Days = NO_DAYS,
        moments: Moments = NO_MOMENTS,
        *,
        rejected: Moments = NO_MOMENTS,
        again: bool = False,
    ) -> None:
        """A sink has taken a batch; returns once that is on disk.

        `sent` are its rows by day, `moments` those of them that were stored under a known time.
        """
        suffix = AGAIN if again else ""

        def write() -> None:
            with self._connection as connection:
                inserted = connection.execute(
                    "INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    tuple(vars(row).values()),
                ).rowcount
                if inserted:
                    _add_days(connection, row.sink_id + suffix, sent)
                    _add_moments(connection, row.sink_id + suffix, moments)
                    add_rows(connection, REJECTED + suffix, rejected)

        await self._in_thread(write)

    async def finish_segment(
        self,
        token: str,
        source_id: str,
        events: int,
        counts: Iterable[Count],
        positions: Sequence[Position] = (),
        rejected: Moments = NO_MOMENTS,
        *,
        again: bool = False,
    ) -> None:
        """All sinks have answered: add the sums, once, and note where the source stood."""
        added = list(counts)
        place = REJECTED + AGAIN if again else REJECTED

        def write() -> None:
            with self._connection as connection:
                inserted = connection.execute(
                    "INSERT OR IGNORE INTO segments VALUES (?, ?, ?, ?)",
                    (token, source_id, self._clock.now_ms(), events),
                ).rowcount
                if inserted:
                    _add(connection, added)
                    _add(connection, _sums_of_sinks(connection, token))
                    add_rows(connection, place, rejected)
                connection.execute("DELETE FROM refusals WHERE token GLOB ?", (f"{token}-*",))
                _put_positions(connection, source_id, positions)

        await self._in_thread(write)

    async def refused(self, token: str) -> dict[tuple[int, int], str]:
        """See `tailrace.collect.sink.Refusals`."""

        def read() -> dict[tuple[int, int], str]:
            rows = self._connection.execute(
                'SELECT first, "end", reason FROM refusals WHERE token = ?', (token,)
            ).fetchall()
            return {(first, end): reason for first, end, reason in rows}

        return await self._in_thread(read)

    async def note(self, token: str, span: tuple[int, int], reason: str) -> None:
        """See `tailrace.collect.sink.Refusals`."""

        def write() -> None:
            with self._connection as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?)", (token, *span, reason)
                )

        await self._in_thread(write)

    async def add(self, counts: Iterable[Count], rejected: Moments = NO_MOMENTS) -> None:
        """Add to the sums what belongs to no segment."""
        added = list(counts)

        def write() -> None:
            with self._connection as connection:
                _add(connection, added)
                add_rows(connection, REJECTED, rejected)

        await self._in_thread(write)

    async def discard(
        self, source_id: str, events: int, reason: str, positions: Sequence[Position]
    ) -> None:
        """Events of a source are dropped, and it stands behind them."""

        def write() -> None:
            with self._connection as connection:
                _add(connection, [Count(source_id, "discarded", events, reason)])
                _put_positions(connection, source_id, positions)

        await self._in_thread(write)

    async def sums(self) -> dict[tuple[str, str, str], int]:
        """Every sum by component, name and reason."""

        def read() -> dict[tuple[str, str, str], int]:
            rows = self._connection.execute("SELECT * FROM sums").fetchall()
            return {(component, name, reason): value for component, name, reason, value in rows}

        return await self._in_thread(read)

    async def positions(self, source_id: str) -> list[Position]:
        """Where a source stood, as far as it is delivered."""

        def read() -> list[Position]:
            rows = self._connection.execute(
                "SELECT key, sequence, value FROM positions WHERE source_id = ?", (source_id,)
            ).fetchall()
            return [Position(*row) for row in rows]

        return await self._in_thread(read)

    async def put_positions(self, source_id: str, positions: Sequence[Position]) -> None:
        """Note where a source stands."""

        def write() -> None:
            with self._connection as connection:
                _put_positions(connection, source_id, positions)

        await self._in_thread(write)

    async def forget_positions(self, source_id: str, keys: Sequence[str]) -> None:
        """Remove positions."""

        def write() -> None:
            with self._connection as connection:
                connection.executemany(
                    "DELETE FROM positions WHERE source_id = ? AND key = ?",
                    [(source_id, key) for key in keys],
                )

        await self._in_thread(write)

    async def close(self) -> None:
        """Close the file."""
        await self._in_thread(self._connection.close)
        self._thread.shutdown()

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("BUG: the ledger is not open")
        return self._database

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        damaged: Path | None = None
        try:
            self._database = open_sound(self._path, _TABLES)
        except DamagedError as error:
            damaged = set_aside(self._path, self._clock.now_ms())
            self._log.error(
                "cannot read the ledger: it is kept aside, and what can be read goes on",
                file=str(damaged),
                error=str(error),
            )
            self._database = open_sound(self._path, _TABLES)
        with self._database as connection:
            if damaged:
                self._log.info("rows are saved", **copy_readable(damaged, connection))
            connection.execute(
                "DELETE FROM batches WHERE token IN (SELECT token FROM segments) AND "
                "rowid < (SELECT max(rowid) FROM batches) - ?",
                (KEPT_BATCHES,),
            )
            connection.execute(
                "DELETE FROM segments WHERE rowid < (SELECT max(rowid) FROM segments) - ?",
                (KEPT_BATCHES,),
            )
            merge_moments(connection)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """The function's result; while the disk is full or the file is locked, it is tried again."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._thread, function)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _MAY_PASS:
                    raise
                self._log.warning("cannot write the ledger; trying again", error=str(error))
            await asyncio.sleep(RETRY_SECS)


def _sums_of_sinks(connection: sqlite3.Connection, token: str) -> list[Count]:
    rows = connection.execute(
        "SELECT sink_id, events, sent, rejected FROM batches WHERE token = ?", (token,)
    ).fetchall()
    return [
        Count(sink_id, name, value)
        for sink_id, *values in rows
        for name, value in zip(("received", "sent", "rejected"), values, strict=True)
    ]


def day_of(milliseconds: int) -> str:
    """Day of arrival of a time in milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")


def _add_days(connection: sqlite3.Connection, place: str, days: Days) -> None:
    connection.executemany(
        "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        [(day, place, rows) for day, rows in days.items() if rows],
    )


def _add_moments(connection: sqlite3.Connection, place: str, moments: Moments) -> None:
    connection.executemany(
        "INSERT INTO moments VALUES (?, ?, 1, ?) "
        "ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        [(place, moment_ms, rows) for moment_ms, rows in moments.items() if rows],
    )


def add_rows(connection: sqlite3.Connection, place: str, moments: Moments) -> None:
    """Add rows whose moments are all known to a place, by day and by moment."""
    days: Counter[str] = Counter()
    for moment_ms, rows in moments.items():
        days[day_of(moment_ms)] += rows
    _add_days(connection, place, days)
    _add_moments(connection, place, moments)


def merge_moments(connection: sqlite3.Connection, kept: int = KEPT_MOMENTS) -> None:
    """Merge all but the newest moments into minutes, up to the same minute in all places."""
    found = connection.execute(
        "SELECT first_ms FROM moments WHERE span_ms = 1 ORDER BY first_ms DESC LIMIT 1 OFFSET ?",
        (kept,),
    ).fetchone()
    if found is None:
        return
    before_ms = found[0] // MINUTE_MS * MINUTE_MS
    connection.execute(
        "INSERT INTO moments SELECT place, first_ms / ?1 * ?1, ?1, sum(rows) FROM moments "
        "WHERE span_ms = 1 AND first_ms < ?2 GROUP BY 1, 2 "
        "ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        (MINUTE_MS, before_ms),
    )
    connection.execute("DELETE FROM moments WHERE span_ms = 1 AND first_ms < ?", (before_ms,))


def _add(connection: sqlite3.Connection, counts: list[Count]) -> None:
    connection.executemany(
        "INSERT INTO sums VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(count.component_id, count.name, count.reason, count.value) for count in counts],
    )


def _put_positions(
    connection: sqlite3.Connection, source_id: str, positions: Sequence[Position]
) -> None:
    connection.executemany(
        "INSERT INTO positions VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET sequence = excluded.sequence, value = excluded.value "
        "WHERE excluded.sequence > sequence",
        [(source_id, one.key, one.sequence, one.value) for one in positions],
    )
