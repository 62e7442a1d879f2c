"""Runs questions to the tables of logs and of other events: the one module of `search` that asks the store.

A page ends between two rows with different keys, so that a cursor never has to tell apart rows that
share one. Rows that share a timestamp and a place in the order of arrival are rare (two batches of one
millisecond), so a page is now and then a row or two shorter than its limit. Only where a whole
page shares one key are its rows put into an order of their own and counted
(docs/decisions/002-paging.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NoReturn, Protocol

from tailrace.errors import QueryError, StoreError, TableMissingError
from tailrace.search.cursor import Cursor, Direction
from tailrace.search.nearest import nearest
from tailrace.search.parse import parse
from tailrace.search.query import (
    MAX_LIMIT,
    Bound,
    LogQuery,
    Order,
    Statement,
    attribute_names_statement,
    bound_statement,
    instant_statement,
    page_statement,
)
from tailrace.search.rows import LogRow, RowId
from tailrace.search.syntax import Compare, Exists, Match, Range, Regex, leaves
from tailrace.search.table import Table, usual_table
from tailrace.store import Limits, Result
from tailrace.store.client import Statistics

SEARCH_LIMITS: Final = Limits(max_seconds=30, max_rows=MAX_LIMIT + 1)
_HINT_LIMITS: Final = Limits(max_seconds=0.5)
_CANNOT_COMPILE_REGEXP: Final = 427
_TYPE_MISMATCH: Final = 53


class Reader(Protocol):
    """What a search needs of the store."""

    async def aquery(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Result:
        """The whole answer to `sql`."""


@dataclass(frozen=True, slots=True)
class SearchStatistics:
    """What an answer took; `limit` names the limit that cut it short."""

    rows_read: int
    bytes_read: int
    elapsed_ms: float
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the page's order, the ways on, and what they took."""

    rows: list[LogRow]
    older: Cursor | None
    newer: Cursor | None
    here: Cursor | None
    statement: Statement
    statistics: SearchStatistics


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows of a page and one more, in the direction of travel."""

    rows: list[LogRow]
    statement: Statement
    statistics: SearchStatistics


@dataclass(frozen=True)
class LogSearch:
    """Answers questions to tables from a store."""

    store: Reader

    async def page(self, query: LogQuery, now: datetime) -> Page:
        """The rows that `query` asks for; QueryError where it cannot be understood."""
        try:
            return await self._page(query, now)
        except StoreError as error:
            if query.cursor is not None and error.code == _TYPE_MISMATCH:
                raise QueryError(
                    "cannot use this cursor: it is one of another table. Begin again without it"
                ) from error
            raise

    async def _page(self, query: LogQuery, now: datetime) -> Page:
        exact = query.cursor is not None and query.cursor.skip > 0
        found = await self._find(query, now, exact=exact)
        # Where the content breaks ties already, there is nothing more to sort by.
        may_share = not exact and query.table.is_ordered and len(found.rows) > query.limit
        if may_share and _share_key(found.rows, query.order):
            found = await self._find(query, now, exact=True)
        return _page(query, found)

    async def _find(self, query: LogQuery, now: datetime, *, exact: bool) -> _Found:
        """The rows of a page and one more, in the direction of travel."""
        table, spent = query.table, list[Statistics]()
        bound: Bound | None = None
        if not table.is_ordered:
            end = await self._run(bound_statement(query, now), table, query.text)
            spent.append(end.statistics)
            bound = tuple(end.rows[0]) if end.rows else None
        statement = page_statement(query, now, exact=exact, bound=bound)
        result = await self._run(statement, table, query.text)
        spent.append(result.statistics)
        if bound is not None and len(result.rows) <= query.limit:
            # Rows up to the bound were deleted meanwhile: it has come too near.
            statement = page_statement(query, now, exact=exact)
            result = await self._run(statement, table, query.text)
            spent.append(result.statistics)
        rows = [LogRow.of(table, values) for values in result.rows]
        return _Found(rows, statement, _sum(spent))

    async def row(self, row_id: RowId, table: Table | None = None) -> LogRow | None:
        """One row of a table, by default that of logs, whole; None if it is not there (any more)."""
        table = table or usual_table()
        statement = instant_statement(table, row_id.timestamp_ns, row_id.arrival)
        result = await self._run(statement, table, "")
        rows = [LogRow.of(table, values) for values in result.rows]
        return next((row for row in rows if row.row_id == row_id), None)

    async def hint(self, text: str, table: Table | None = None) -> str | None:
        """For a search that found nothing: a field in it that no recent row has, with the nearest.

        Names of fields cannot be wrong by themselves, because events bring their own.
        """
        table = table or usual_table()
        asked = [name for name in _fields(text) if table.column_of(name) is None]
        if not asked or table.attributes is None:
            return None
        try:
            result = await self.store.aquery(
                attribute_names_statement(table).sql, limits=_HINT_LIMITS
            )
        except StoreError:  # a hint is not worth an error
            return None
        known = {str(row[0]) for row in result.rows} | table.known_names()
        for name in map(table.attribute_of, asked):
            if name not in known:
                meant = nearest(name, known)
                advice = f" Did you mean {' or '.join(meant)}?" if meant else ""
                return f"No recent row has a field {name!r}.{advice}"
        return None

    async def _run(self, statement: Statement, table: Table, text: str) -> Result:
        try:
            return await self.store.aquery(
                statement.sql, statement.parameters, limits=SEARCH_LIMITS
            )
        except TableMissingError as error:
            raise TableMissingError(
                f"cannot search {table.name}, which is not there: `tailrace setup {table.pack}` "
                "makes it",
                code=error.code,
            ) from error
        except StoreError as error:
            raise_as_query_error(error, text)


def raise_as_query_error(error: StoreError, text: str) -> NoReturn:
    """Raise what ClickHouse refused: as a QueryError where the search's regex is to blame."""
    if error.code == _CANNOT_COMPILE_REGEXP:
        position = next(
            (leaf.position for leaf, _ in leaves(parse(text)) if isinstance(leaf, Regex)), 0
        )
        raise QueryError(
            "cannot use this regular expression: it is not in RE2's syntax",
            text=text,
            position=position,
        ) from error
    raise error


def _sum(spent: Sequence[Statistics]) -> SearchStatistics:
    """What several statements took together."""
    return SearchStatistics(
        sum(one.rows_read for one in spent),
        sum(one.bytes_read for one in spent),
        round(sum(one.elapsed_ms for one in spent), 1),
        spent[-1].limit,
    )


def _page(query: LogQuery, found: _Found) -> Page:
    direction: Direction = query.cursor.direction if query.cursor else "older"
    shown, onward = _cut(query, found.rows, direction)
    back = _back(query, shown, direction)
    if direction == "newer":
        shown = shown[::-1]
        older, newer = back, onward
    else:
        older, newer = onward, back
    here = _cursor(query, "older", shown[0], inclusive=True) if shown else None
    if query.cursor is not None and query.cursor.skip:
        here = query.cursor
    return Page(shown, older, newer, here, found.statement, found.statistics)


def _cut(
    query: LogQuery, rows: Sequence[LogRow], direction: Direction
) -> tuple[list[LogRow], Cursor | None]:
    """The rows of this page in the direction of travel, and where the next one starts."""
    order, limit = query.order, query.limit
    if len(rows) <= limit:
        return list(rows), None
    following = rows[limit].key(order)
    shown = list(rows[:limit])
    while shown and shown[-1].key(order) == following:
        shown.pop()
    if shown:
        return shown, _cursor(query, direction, shown[-1])
    before = query.cursor.skip if query.cursor and query.cursor.key == following else 0
    onward = Cursor(
        order.text(query.table), direction, following, inclusive=True, skip=before + limit
    )
    return list(rows[:limit]), onward


def _back(query: LogQuery, shown: Sequence[LogRow], direction: Direction) -> Cursor | None:
    """The cursor of the page that lies behind."""
    reverse: Direction = "newer" if direction == "older" else "older"
    cursor = query.cursor
    if cursor is not None and cursor.skip:
        return replace(cursor, skip=max(0, cursor.skip - query.limit))
    if shown:
        return _cursor(query, reverse, shown[0])
    if cursor is not None:
        return replace(cursor, direction=reverse, inclusive=not cursor.inclusive)
    return None


def _cursor(
    query: LogQuery, direction: Direction, row: LogRow, *, inclusive: bool = False
) -> Cursor:
    order = query.order
    return Cursor(order.text(query.table), direction, row.key(order), inclusive=inclusive)


def _share_key(rows: Sequence[LogRow], order: Order) -> bool:
    return rows[0].key(order) == rows[-1].key(order)


def _fields(text: str) -> list[str]:
    return [
        leaf.field
        for leaf, _ in leaves(parse(text))
        if isinstance(leaf, Match | Regex | Compare | Range | Exists) and leaf.field is not None
    ]
