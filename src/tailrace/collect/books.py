"""What a collector has written down about its work, read from its files without disturbing it.

Everything is read in the order in which the collector writes it last, so that a row that is on its
way is seen in one place at least: a gap that is found is a gap.

Collectors that share the partitions of Kafka have a book each, and `together` makes one of them. What
one had on its way when it died another delivers again, under the same name and with the same moment:
it may stand in two books, or in the second alone, and the table has it once. So of a moment there must
be as many rows as all collectors have delivered as the first, and no fewer than any of them has
delivered again.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from tailrace.collect.buffer.format import Record
from tailrace.collect.buffer.segment import SUFFIX, scan_file
from tailrace.collect.ledger import AGAIN, FILE, MINUTE_MS, REJECTED, add_rows, day_of
from tailrace.collect.outcome import SUFFIX as OUTCOME_SUFFIX
from tailrace.collect.outcome import read as read_outcome
from tailrace.collect.rejected import FOLDER as REJECTED_FOLDER
from tailrace.collect.stage import FOLDER as STAGE_FOLDER
from tailrace.errors import TailraceError

REMOVED = "/removed"
"""Place of rejected rows that a person retried or dropped."""
ACCEPTED = "/accepted "
"""Place, with the table's name behind it, of rows whose absence a person has accepted."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class Books:
    """The books at one moment."""

    sums: Mapping[tuple[str, str, str], int]
    """By component, name and reason."""
    days: Mapping[tuple[str, str], int]
    """Rows by place and day of arrival."""
    moments: Mapping[tuple[str, int], int]
    """Rows by place and moment of arrival in ms; before `apart_since_ms`, by minute."""
    apart_since_ms: int
    """From here on moments are known to the millisecond."""
    waiting: Mapping[str, int]
    """Events in the buffer, by source."""
    waiting_rejected: int
    """Rejected rows that are not in their table yet."""
    held: int
    """Events that transforms hold back."""
    set_aside: tuple[Path, ...]
    """Files with what could not be read, or has no place any more."""

    def rows(self, place: str) -> dict[str, int]:
        """Rows of one place by day, as many as there must be."""
        by_day = Counter({day: rows for (found, day), rows in self.days.items() if found == place})
        first = self._at(place)
        for moment, rows in self.rows_at(place).items():
            more = rows - first.get(moment, 0)
            if more:
                by_day[day_of(moment)] += more
        return dict(by_day)

    def rows_at(self, place: str) -> dict[int, int]:
        """Rows of one place by moment, as many as there must be."""
        found = self._at(place)
        for moment, rows in self._at(place + AGAIN).items():
            found[moment] = max(found.get(moment, 0), rows)
        return found

    def _at(self, place: str) -> dict[int, int]:
        return {moment: rows for (found, moment), rows in self.moments.items() if found == place}

    def sum(self, component_id: str, name: str) -> int:
        """A sum over all reasons."""
        return sum(
            value
            for (component, found, _), value in self.sums.items()
            if component == component_id and found == name
        )


def read_books(buffer: Path) -> Books:
    """Read the books in a buffer's folder; raises TailraceError where that cannot be."""
    ledger = buffer / FILE
    if not ledger.exists():
        raise TailraceError(
            f"cannot find {ledger}: no collector has worked with this folder. "
            "TAILRACE_DATA_DIR names another"
        )
    # A collector adds to the ledger first and forgets a buffered row last.
    try:
        sums, days, moments, apart_since_ms = _ledger(ledger)
    except sqlite3.DatabaseError as error:
        raise TailraceError(
            f"cannot read {ledger}: {error}. Where it is damaged, the collector sets it aside when "
            "it starts next, and goes on with what can be read of it"
        ) from error
    return Books(
        sums,
        days,
        moments,
        apart_since_ms,
        {
            unquote(folder.name): _waiting(folder)
            for folder in sorted(buffer.glob("*/"))
            if not folder.name.startswith("_")
        },
        sum(_waiting(folder) for folder in (buffer / REJECTED_FOLDER).glob("*/")),
        _held(buffer / STAGE_FOLDER),
        tuple(_set_aside(buffer)),
    )


def together(books: Sequence[Books]) -> Books:
    """The books of several collectors as one."""
    apart_since_ms = max(one.apart_since_ms for one in books)
    moments: Counter[tuple[str, int]] = Counter()
    for one in books:
        own: Counter[tuple[str, int]] = Counter()
        for (place, moment), rows in one.moments.items():
            own[place, moment_of(moment, apart_since_ms)] += rows
        for (place, moment), rows in own.items():
            known = moments[place, moment]
            moments[place, moment] = max(known, rows) if place.endswith(AGAIN) else known + rows
    return Books(
        sums=_added(one.sums for one in books),
        days=_added(one.days for one in books),
        moments=moments,
        apart_since_ms=apart_since_ms,
        waiting=_added(one.waiting for one in books),
        waiting_rejected=sum(one.waiting_rejected for one in books),
        held=sum(one.held for one in books),
        set_aside=tuple(path for one in books for path in one.set_aside),
    )


def _added(each: Iterable[Mapping[Key, int]]) -> Mapping[Key, int]:
    total: Counter[Key] = Counter()
    for one in each:
        total.update(one)
    return total


def _ledger(
    path: Path,
) -> tuple[
    dict[tuple[str, str, str], int], dict[tuple[str, str], int], Counter[tuple[str, int]], int
]:
    """Sums, days, moments, and since when those are apart."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        sums = {(c, n, r): v for c, n, r, v in database.execute("SELECT * FROM sums")}
        has_days = _has_table(database, "days")
        found = database.execute("SELECT * FROM days").fetchall() if has_days else []
        days = {(place, day): rows for day, place, rows in found}
        return sums, days, *_moments(database)


def note_removed(buffer: Path, place: str, days: Mapping[str, int]) -> bool:
    """Add to the books what a person did; False where there are none."""
    ledger = buffer / FILE
    if not ledger.exists():
        return False
    with closing(sqlite3.connect(ledger, timeout=30)) as database, database:
        database.executemany(
            "INSERT INTO days VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
            [(day, place, rows) for day, rows in days.items()],
        )
    return True


def note_removed_rows(buffer: Path, moments: Mapping[int, int]) -> None:
    """Add to the books that a person has taken rejected rows of these times in ms away."""
    ledger = buffer / FILE
    if not ledger.exists():
        return
    with closing(sqlite3.connect(ledger, timeout=30)) as database, database:
        if _has_table(database, "moments"):
            add_rows(database, REMOVED, moments)
            return
    days: Counter[str] = Counter()
    for moment, rows in moments.items():
        days[day_of(moment)] += rows
    note_removed(buffer, REMOVED, days)


def _has_table(database: sqlite3.Connection, name: str) -> bool:
    found = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    return found is not None


def _moments(database: sqlite3.Connection) -> tuple[Counter[tuple[str, int]], int]:
    """Rows by place and moment, and since when those are milliseconds."""
    moments: Counter[tuple[str, int]] = Counter()
    if not _has_table(database, "moments"):
        return moments, 0
    (last_ms,) = database.execute(
        "SELECT max(first_ms + span_ms) FROM moments WHERE span_ms > 1"
    ).fetchone()
    apart_since_ms = last_ms or 0
    for place, first_ms, rows in database.execute("SELECT place, first_ms, rows FROM moments"):
        moments[place, moment_of(first_ms, apart_since_ms)] += rows
    return moments, apart_since_ms


def moment_of(time_ms: int, apart_since_ms: int) -> int:
    """The moment that a time belongs to: its minute, where moments are merged."""
    return time_ms if time_ms >= apart_since_ms else time_ms // MINUTE_MS * MINUTE_MS


def _waiting(folder: Path) -> int:
    """Events in a folder's segments."""
    events = 0
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            found = list(scan_file(path))
        except FileNotFoundError:
            continue  # delivered just now
        events += sum(record.events for record in found if isinstance(record, Record))
    return events


def _held(folder: Path) -> int:
    """What the newest sound outcome says; damaged ones are passed over, as by the collector."""
    for path in sorted(folder.glob(f"*{OUTCOME_SUFFIX}"), reverse=True):
        try:
            return read_outcome(path).processed.held
        except FileNotFoundError:
            return _held(folder)  # there is a newer one just now
        except ValueError:
            continue
    return 0


def _set_aside(buffer: Path) -> Iterator[Path]:
    for pattern in (
        "*.damaged",
        "*/*.damaged",
        "*/*/*.damaged",
        "*/*.orphaned",
        f"{REJECTED_FOLDER}/*.jsonl",
    ):
        yield from sorted(buffer.glob(pattern))


__all__ = [
    "ACCEPTED",
    "REJECTED",
    "REMOVED",
    "Books",
    "note_removed",
    "note_removed_rows",
    "read_books",
    "together",
]
