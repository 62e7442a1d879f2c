"""The parameters of a log search in a URL: what they mean, and how to write them.

The URL is the state: pages, the API and the live tail read the same names.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Self
from urllib.parse import urlencode

from fastapi import Depends, Query

from tailrace.search.cursor import decode_cursor
from tailrace.search.query import MAX_LIMIT, LogQuery, Order
from tailrace.search.times import PRESETS, parse_range


@dataclass(frozen=True, slots=True)
class SearchState:
    """The parameters as they were typed."""

    q: str = ""
    level: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    order: str = ""
    cursor: str = ""
    limit: int = 100

    def query(self, now: datetime) -> LogQuery:
        """What they mean; QueryError where they mean nothing."""
        return LogQuery(
            text=self.q,
            levels=self.level,
            sources=self.source,
            hosts=self.host,
            range=parse_range(self.start, self.end, now),
            order=Order.parse(self.order),
            limit=self.limit,
            cursor=decode_cursor(self.cursor) if self.cursor else None,
        )

    def filters(self) -> Self:
        """Only what says which rows belong: no order, no page."""
        return replace(self, order="", cursor="", limit=100)

    def url(self, path: str = "/", **more: str) -> str:
        """These parameters, without those that are empty or the default, on `path`."""
        pairs = [("q", self.q)]
        pairs += [("level", value) for value in self.level]
        pairs += [("source", value) for value in self.source]
        pairs += [("host", value) for value in self.host]
        pairs += [("from", self.start), ("to", self.end), ("order", self.order)]
        pairs += [("cursor", self.cursor), *more.items()]
        given = [(name, value) for name, value in pairs if value]
        if self.limit != 100:
            given.append(("limit", str(self.limit)))
        return f"{path}?{urlencode(given)}" if given else path

    def toggled(self, facet: str, value: str) -> Self:
        """With a value of `level`, `source` or `host` added, or taken away if it is there."""
        chosen: tuple[str, ...] = getattr(self, facet)
        changed: Any = (
            tuple(one for one in chosen if one != value) if value in chosen else (*chosen, value)
        )
        return replace(self, cursor="", **{facet: changed})


async def _filters(
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
    return SearchState(q, tuple(level or ()), tuple(source or ()), tuple(host or ()), start, end)


async def _state(
    filters: Annotated[SearchState, Depends(_filters)],
    order: Annotated[
        str,
        Query(
            description="timestamp, level, source or message; with a - from the greatest down. "
            "By default -timestamp",
            examples=["-timestamp"],
        ),
    ] = "",
    cursor: Annotated[str, Query(description="`next` or `prev` of an earlier answer")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows a page")] = 100,
) -> SearchState:
    return replace(filters, order=order, cursor=cursor, limit=limit)


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
