"""The parameters of a search in a URL: what they mean, and how to write them.

The URL is the state: pages, the API and the live tail read the same names.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Self, cast
from urllib.parse import urlencode

from fastapi import Depends, Query, Request

from tailrace.search.cursor import decode_cursor
from tailrace.search.query import MAX_LIMIT, LogQuery, Order
from tailrace.search.table import Table, Tables, usual_table
from tailrace.search.times import PRESETS, parse_range


@dataclass(frozen=True, slots=True)
class SearchState:
    """The parameters as they were typed, for one table."""

    table: Table = field(default_factory=usual_table)
    is_named: bool = False
    """Whether the table has to stand in addresses: it is not the one that is meant without a name."""
    q: str = ""
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The filters in use, by name."""
    start: str = ""
    end: str = ""
    order: str = ""
    cursor: str = ""
    limit: int = 100
    columns: tuple[str, ...] = ()
    """The fields that the page lists, where they are not those of the table's own list."""

    def query(self, now: datetime) -> LogQuery:
        """What they mean; QueryError where they mean nothing."""
        return LogQuery(
            text=self.q,
            chosen=self.chosen,
            range=parse_range(self.start, self.end, now),
            order=Order.parse(self.order, self.table),
            limit=self.limit,
            cursor=decode_cursor(self.cursor) if self.cursor else None,
            table=self.table,
        )

    def filters(self) -> Self:
        """Only what says which rows belong: no order, no page."""
        return replace(self, order="", cursor="", limit=100, columns=())

    def url(self, path: str = "/", **more: str) -> str:
        """These parameters, without those that are empty or the default, on `path`."""
        pairs = [("table", self.table.name if self.is_named else ""), ("q", self.q)]
        pairs += [(name, value) for name, values in self.chosen for value in values]
        pairs += [("from", self.start), ("to", self.end), ("order", self.order)]
        pairs += [("columns", name) for name in self.columns]
        pairs += [("cursor", self.cursor), *more.items()]
        given = [(name, value) for name, value in pairs if value]
        if self.limit != 100:
            given.append(("limit", str(self.limit)))
        return f"{path}?{urlencode(given)}" if given else path

    def values(self, facet: str) -> tuple[str, ...]:
        """The values that a filter lets through; none where it is not in use."""
        return next((values for name, values in self.chosen if name == facet), ())

    def toggled(self, facet: str, value: str) -> Self:
        """With a value of a filter added, or taken away if it is there."""
        now = self.values(facet)
        changed = tuple(one for one in now if one != value) if value in now else (*now, value)
        chosen = {**dict(self.chosen), facet: changed}
        kept = tuple((name, chosen[name]) for name in self.table.filters if chosen.get(name))
        return replace(self, cursor="", chosen=kept)

    def with_only(self, **chosen: str) -> Self:
        """The same table with these filters alone; '' is none."""
        kept = tuple((name, (value,)) for name, value in chosen.items() if value)
        return type(self)(self.table, self.is_named, chosen=kept, columns=self.columns)


async def _table(
    request: Request,
    table: Annotated[
        str,
        Query(
            description="Which table, `database.table` or `table`; by default that of logs. Others "
            "have filters of their own, as their pack.yaml says",
            examples=["logs.application_logs"],
        ),
    ] = "",
) -> tuple[Table, bool]:
    tables = cast(Tables, request.app.state.context.tables)
    found = tables.find(table)
    return found, found is not tables.all[0]


Chosen = Annotated[tuple[Table, bool], Depends(_table)]


async def _filters(
    request: Request,
    chosen_table: Chosen,
    q: Annotated[
        str,
        Query(
            description='Search: words, "phrases", *parts*, /regex/, field:value, comparisons, '
            "ranges, AND, OR, NOT, parentheses",
            examples=['level:error source:payment "card declined" -healthcheck', "status:>=500"],
        ),
    ] = "",
    level: Annotated[
        list[str] | None, Query(description="Only these levels", examples=[["ERROR", "CRITICAL"]])
    ] = None,
    source: Annotated[
        list[str] | None, Query(description="Only these sources", examples=[["payment"]])
    ] = None,
    host: Annotated[list[str] | None, Query(description="Only these hosts")] = None,
    start: Annotated[
        str,
        Query(
            alias="from",
            description="From this moment on: ISO 8601, seconds since 1970, 15m, 1 hour ago",
            examples=["15m", "2026-11-22T10:00:00Z"],
        ),
    ] = "",
    end: Annotated[str, Query(alias="to", description="Before this moment")] = "",
) -> SearchState:
    table, is_named = chosen_table
    described = {"level": level, "source": source, "host": host}
    given = {name: request.query_params.getlist(name) for name in table.filters}
    # A filter that another table has is an error of the query, which says which there are.
    chosen = tuple(
        (name, tuple(values)) for name, values in {**given, **described}.items() if values
    )
    return SearchState(table, is_named, q, chosen, start, end)


async def _state(
    filters: Annotated[SearchState, Depends(_filters)],
    order: Annotated[
        str,
        Query(
            description="A column of the list: timestamp, level, source or message; with a - from "
            "the greatest down. By default -timestamp",
            examples=["-timestamp"],
        ),
    ] = "",
    cursor: Annotated[str, Query(description="`next` or `prev` of an earlier answer")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows a page")] = 100,
    columns: Annotated[
        list[str] | None,
        Query(description="Fields that the page lists; rows of the API have all of them"),
    ] = None,
) -> SearchState:
    listed = filters.table.listed(columns or ())
    return replace(filters, order=order, cursor=cursor, limit=limit, columns=listed)


Searched = Annotated[SearchState, Depends(_state)]


def range_label(start: str, end: str) -> str:
    """A range as the button of its chooser says it."""
    if not start and not end:
        return "All time"
    if start in PRESETS and not end:
        return PRESETS[start]
    return f"{start or '…'} – {end or 'now'}"


def keep(name: str, value: str) -> str:
    """A term of the search language that keeps only rows with this very value."""
    return f'{_name(name)}:"{_escape(value)}"'


def _name(name: str) -> str:
    plain = name.replace("_", "").replace(".", "").replace("-", "").isalnum()
    return (
        name
        if plain and name.isascii() and not name[0].isdigit() and name[0] not in ".-"
        else (f'"{_escape(name)}"')
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
