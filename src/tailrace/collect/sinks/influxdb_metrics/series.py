"""What series said last, in a file of their sink's own, SQLite, and what follows from it for the next.

An absolute counter becomes what has come since the one before. Of the first one of a series, and of one
that is smaller, because whoever counts began anew, nothing becomes: it is only remembered. An incremental
gauge becomes the sum of all so far. So does Vector, in its `MetricSet`, but what that remembers ends with
its process.

What is guaranteed:
- What came of a batch and what is remembered after it are on disk, fsynced, in one transaction, before
  anything of the batch is sent. A batch that comes again, after a crash or because its delivery was
  cancelled, gets the same answer and changes nothing: nothing is counted twice, and nothing is forgotten.
- A disk that is full is tried again, for ever.
- Beyond `MOST_SERIES` those that were heard of the longest ago are forgotten: that is logged, and when
  one of them comes again it is a first one.
- A file that is damaged is kept aside, which is logged, and all series are first ones again. None of it is
  saved: an older value than the last would count twice what has come since.
"""

import asyncio
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from math import isnan, nan
from pathlib import Path

from tailrace.collect.retry import Trouble
from tailrace.collect.salvage import DamagedError, open_sound, set_aside
from tailrace.collect.sink import SinkContext

MOST_SERIES = 1_000_000
"""On disk about 60 MB."""

FORGOTTEN_SHARE = 100
"""One part in so many is forgotten at once, since finding the oldest reads the whole table."""

KEPT_BATCHES = 256
"""Of each source, far more than can be on their way at once."""

_TABLES = """
CREATE TABLE IF NOT EXISTS series (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    value REAL NOT NULL,
    batch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    source_id TEXT NOT NULL,
    asked BLOB NOT NULL,
    answer BLOB NOT NULL
);
"""
_MAY_PASS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

Last = dict[bytes, tuple[str, float]]
"""Kind and value by series."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a series says now."""

    series_id: bytes
    kind: str
    """`counter`, which is absolute, or `gauge`, which is incremental."""
    value: float


class SeriesMemory:
    """See the module. Its file work happens in one thread of its own."""

    def __init__(
        self,
        path: Path,
        context: SinkContext,
        most_series: int = MOST_SERIES,
        kept_batches: int = KEPT_BATCHES,
    ) -> None:
        self._path = path
        self._sink_id = context.component_id
        self._clock = context.clock
        self._log = context.log
        self._most_series = most_series
        self._kept_batches = kept_batches
        self._trouble = Trouble(context)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="series")
        self._database: sqlite3.Connection | None = None

    @property
    def is_well(self) -> bool:
        """Whether the file could be written the last time."""
        return self._trouble.is_over

    async def work_out(
        self, token: str, source_id: str, changes: Sequence[Change]
    ) -> list[float | None]:
        """The value that is to be written for each change of a batch; None: nothing is."""
        waits = self._trouble.waits()
        loop = asyncio.get_running_loop()
        while True:
            try:
                found = await loop.run_in_executor(
                    self._thread, self._answer, token, source_id, changes
                )
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _MAY_PASS:
                    raise
                self._trouble.report(f"cannot write {self._path}: {error}")
                await asyncio.sleep(next(waits))
            else:
                self._trouble.end()
                return [None if isnan(value) else value for value in found]

    async def close(self) -> None:
        """Give the file back."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._database:
            self._database.close()
            self._database = None

    def _answer(self, token: str, source_id: str, changes: Sequence[Change]) -> "array[float]":
        if self._database is None:
            self._database = self._open()
        asked = _digest(changes)
        with self._database as connection:
            known = connection.execute(
                "SELECT answer FROM batches WHERE token = ? AND asked = ?", (token, asked)
            ).fetchone()
            if known:
                return array("d", known[0])
            last = _last_of(connection, {change.series_id for change in changes})
            known_series = len(last)
            answer = array("d", [_next(last, change) for change in changes])
            number = self._note(connection, (token, source_id, asked, answer.tobytes()))
            connection.executemany(
                "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)",
                [(series_id, *said, number) for series_id, said in last.items()],
            )
            if len(last) > known_series:
                self._forget(connection)
        return answer

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return open_sound(self._path, _TABLES)
        except DamagedError as error:
            self._log.error(
                "cannot read what was remembered of series: it is kept aside, and none is known",
                sink=self._sink_id,
                file=str(set_aside(self._path, self._clock.now_ms())),
                error=str(error),
            )
            return open_sound(self._path, _TABLES)

    def _note(
        self, connection: sqlite3.Connection, batch: tuple[str, str, bytes, bytes]
    ) -> int | None:
        """Keep a batch's answer, for it may come again; its number."""
        number = connection.execute(
            "INSERT OR REPLACE INTO batches (token, source_id, asked, answer) VALUES (?, ?, ?, ?)",
            batch,
        ).lastrowid
        connection.execute(
            "DELETE FROM batches WHERE number IN (SELECT number FROM batches WHERE source_id = ? "
            "ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (batch[1], self._kept_batches),
        )
        return number

    def _forget(self, connection: sqlite3.Connection) -> None:
        (count,) = connection.execute("SELECT count(*) FROM series").fetchone()
        if count <= self._most_series:
            return
        forgotten = count - self._most_series + self._most_series // FORGOTTEN_SHARE
        connection.execute(
            "DELETE FROM series WHERE id IN (SELECT id FROM series ORDER BY batch LIMIT ?)",
            (forgotten,),
        )
        self._log.warning(
            "cannot remember so many series: those that were heard of the longest ago are forgotten",
            sink=self._sink_id,
            most=self._most_series,
            forgotten=forgotten,
        )


def _next(last: Last, change: Change) -> float:
    """The value to write, nan for none; `last` then has what the series said."""
    kind, value = last.get(change.series_id, ("", 0.0))
    if change.kind == "gauge":
        total = change.value + (value if kind == "gauge" else 0.0)
        last[change.series_id] = ("gauge", total)
        return total
    last[change.series_id] = ("counter", change.value)
    return change.value - value if kind == "counter" and change.value >= value else nan


def _last_of(connection: sqlite3.Connection, series_ids: Iterable[bytes]) -> Last:
    found: Last = {}
    for series_id in series_ids:
        row = connection.execute(
            "SELECT kind, value FROM series WHERE id = ?", (series_id,)
        ).fetchone()
        if row:
            found[series_id] = row
    return found


def _digest(changes: Iterable[Change]) -> bytes:
    """What a batch asks; another one under its token, of a changed configuration, asks something else."""
    hashed = blake2b(digest_size=16)
    for change in changes:
        hashed.update(change.series_id + f"{change.kind}{change.value!r}".encode())
    return hashed.digest()
