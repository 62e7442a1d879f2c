"""Follows a table: what became visible since the last look, for any number of filters at once.

One `poll` is one statement that finds the new rows of every filter, and one that reads them. Arrival
is not visibility: a row becomes visible when its batch does, which may be after a row that arrived
later. So a poll looks back over rows that were seen already, a little every time and further
every now and then, and remembers which it gave. The event's own time plays no part: an event that is
a year old arrives now.

Rows that are alike in every field arrived in one millisecond, so a look that sees one sees all of them:
what is remembered is how many, and each further one is given as a copy with a number of its own.

A burst is cut, never queued: a poll gives the newest MAX_ROWS rows of a filter and counts the others.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from tailrace.errors import QueryError
from tailrace.search.compile import Parameters
from tailrace.search.logs import Reader
from tailrace.search.query import LogQuery, Statement, condition, statement_of
from tailrace.search.rows import LogRow
from tailrace.search.table import Table, usual_table
from tailrace.store import Limits

MAX_ROWS: Final = 300
MAX_FILTERS: Final = 50
LOOK_BACK_MS: Final = 3_000
LONG_LOOK_BACK_MS: Final = 30_000
_LONG_EVERY: Final = 20
_MAX_IDS: Final = 5_000
_LIMITS: Final = Limits(max_seconds=10, max_rows=1_000_000)

_Key = tuple[int, int, int]
_Copy = tuple[_Key, int]
"""A row by its key, and its number among those that are alike: 1, 2, …"""


class _Given(NamedTuple):
    """How many rows of one key a filter was given, and when they arrived."""

    copies: int
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class News:
    """New rows of one filter, in the order of arrival, and how many more there were."""

    rows: tuple[LogRow, ...] = ()
    dropped: int = 0


@dataclass
class Follower:
    """Remembers how far a table was read, by default that of logs. Not for concurrent use.

    QueryError for a table that does not say when its rows arrived.
    """

    store: Reader
    table: Table = field(default_factory=usual_table)
    _watermark_ms: int | None = None
    _polls: int = 0
    _given: dict[LogQuery, dict[_Key, _Given]] = field(default_factory=dict)
    """What each filter was given."""

    def __post_init__(self) -> None:
        check_can_follow(self.table)

    async def poll(self, filters: Sequence[LogQuery], now: datetime) -> list[News]:
        """What is new for each filter. The first poll of a filter gives the last few seconds."""
        if self._watermark_ms is None:
            self._watermark_ms = await self._newest_arrival()
        self._polls += 1
        self._forget(filters)
        far = self._polls % _LONG_EVERY == 0
        since = self._watermark_ms - (LONG_LOOK_BACK_MS if far else LOOK_BACK_MS)
        statement = arrivals_statement(self.table, filters, since, now)
        found = await self.store.aquery(statement.sql, statement.parameters, limits=_LIMITS)
        arrived_ms = {_key(row): int(row[3]) for row in found.rows}
        fresh = [
            list(_unseen(found.rows, number, self._given.get(query, {})))
            for number, query in enumerate(filters)
        ]
        rows = await self._read([key for copies in fresh for key, _ in copies[:MAX_ROWS]])
        news = []
        for query, unseen in zip(filters, fresh, strict=True):
            # What was there before anybody watched is no loss when it is cut.
            is_first = query not in self._given
            news.append(_news(unseen[:MAX_ROWS] if is_first else unseen, rows))
            given = self._given.setdefault(query, {})
            for key, copy in unseen:
                given[key] = _Given(copy, arrived_ms[key])
        if found.rows:
            self._watermark_ms = max(self._watermark_ms, *arrived_ms.values())
        return news

    async def _newest_arrival(self) -> int:
        newest = f"toUnixTimestamp64Milli(max({self.table.explore.arrived}))"
        sql = f"SELECT {newest} FROM {self.table.name}"  # noqa: S608 — the names are those of pack.yaml
        result = await self.store.aquery(sql, limits=_LIMITS)
        return max(int(result.value()), LONG_LOOK_BACK_MS)

    async def _read(self, keys: Sequence[_Key]) -> dict[_Key, LogRow]:
        if not keys:
            return {}
        statement = rows_statement(self.table, keys)
        result = await self.store.aquery(statement.sql, statement.parameters, limits=_LIMITS)
        return {
            (int(row[0]), int(row[1]), int(row[-1])): LogRow.of(self.table, row[:-1])
            for row in result.rows
        }

    def _forget(self, filters: Sequence[LogQuery]) -> None:
        """Drop what can no longer come up: filters that nobody has, rows too long ago."""
        oldest_ms = (self._watermark_ms or 0) - 2 * LONG_LOOK_BACK_MS
        self._given = {
            query: {key: one for key, one in given.items() if one.arrived_ms >= oldest_ms}
            if self._polls % _LONG_EVERY == 0
            else given
            for query, given in self._given.items()
            if query in filters
        }


def check_can_follow(table: Table) -> None:
    """Raise QueryError for a table whose rows do not say when they arrived."""
    if table.explore.arrived is None:
        raise QueryError(f"cannot follow {table.name}: its rows do not say when they arrived")


def arrivals_statement(
    table: Table, filters: Sequence[LogQuery], since_ms: int, now: datetime
) -> Statement:
    """Keys of the rows that arrived since then, newest first, and which filters each matches."""
    parameters = Parameters()
    arrived = table.explore.arrived
    since = f"fromUnixTimestamp64Milli({parameters.bind(since_ms, 'Int64')}, 'UTC')"
    conditions = [condition(query, parameters, now) for query in filters]
    flags = ", ".join(f"toUInt8({one})" for one in conditions)
    wanted = " OR ".join(f"({one})" for one in conditions)
    # A place says when it arrived, and is then all that has to be read.
    arrived_ms = (
        f"bitShiftRight({table.place}, 20)"
        if table.explore.place
        else f"toUnixTimestamp64Milli({arrived})"
    )
    newest_first = f"{table.place} DESC" if table.explore.place else f"{arrived} DESC"
    return statement_of(
        f"SELECT {table.time_ns}, {table.place}, {table.content}, {arrived_ms}, "
        f"[{flags}] AS matches\n"
        f"FROM {table.name}\n"
        f"WHERE {arrived} >= {since} AND ({wanted})\n"
        f"ORDER BY {newest_first}\nLIMIT {_MAX_IDS} BY matches",
        parameters,
    )


def rows_statement(table: Table, keys: Sequence[_Key]) -> Statement:
    """The rows with these keys, and perhaps neighbours that share a part."""
    parameters = Parameters()
    least, greatest = (
        f"fromUnixTimestamp64Nano({parameters.bind(nanos, 'Int64')}, 'UTC')"
        for nanos in (min(key[0] for key in keys), max(key[0] for key in keys))
    )
    places = parameters.bind(sorted({key[1] for key in keys}), "Array(UInt64)")
    columns = ", ".join([*table.row_columns(cut=True), "NULL", table.content])
    return statement_of(
        f"SELECT {columns}\nFROM {table.name}\n"
        f"WHERE {table.time} >= {least} AND {table.time} <= {greatest} "
        f"AND {table.place} IN {places}",
        parameters,
    )


def _key(row: Sequence[Any]) -> _Key:
    return (row[0], row[1], row[2])


def _unseen(
    found: Sequence[Sequence[Any]], number: int, given: Mapping[_Key, _Given]
) -> Iterator[_Copy]:
    """What a filter matches, by its number, and was not given yet, in the order in which it was found.

    The count of a key only grows, until its rows are deleted: then nothing is new.
    """
    seen: Counter[_Key] = Counter()
    for row in found:
        if row[4][number]:
            key = _key(row)
            seen[key] += 1
            if key not in given or seen[key] > given[key].copies:
                yield key, seen[key]


def _news(copies: Sequence[_Copy], rows: Mapping[_Key, LogRow]) -> News:
    shown = [
        replace(rows[key], copy=copy) for key, copy in reversed(copies[:MAX_ROWS]) if key in rows
    ]
    return News(tuple(shown), max(0, len(copies) - MAX_ROWS))
