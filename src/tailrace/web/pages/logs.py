"""`/`: the log explorer. Rows, what lies around them, and links: the URL is the whole state.

The rows are the answer; the histogram, the counts and the collector's state are asked for at the same
time and left out, and said to be, where they take too long.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tailrace.errors import QueryError, StoreError, StoreUnavailableError
from tailrace.search.cursor import Cursor
from tailrace.search.logs import Page
from tailrace.search.query import LogQuery, Order, OrderColumn
from tailrace.search.rows import LogRow, RowId
from tailrace.search.summary import FACETS, Facets, Histogram
from tailrace.search.times import PRESETS, TimeRange
from tailrace.web.context import Context, Shared
from tailrace.web.delivery import Delivery
from tailrace.web.pages.chart import Chart, draw
from tailrace.web.parameters import Searched, SearchState, keep, range_label
from tailrace.web.problems import RETRY_AFTER_SECS, status_of
from tailrace.web.render import highlights

router = APIRouter(include_in_schema=False)

COLUMNS: Final[dict[OrderColumn, str]] = {
    "timestamp": "Timestamp",
    "level": "Level",
    "source": "Source",
    "message": "Message",
}
ROWS_BEFORE: Final = 12
"""Newer rows that a permalink shows, with its own."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Around:
    """What is shown around the rows; None where it took too long or failed."""

    chart: Chart | None
    total: int | None
    facets: Facets | None
    delivery: Delivery
    within: str = ""
    """The time that was counted, where that is not all that was asked for."""


@router.head("/", response_model=None)
@router.get("/", response_model=None)
async def explorer(
    shared: Shared,
    state: Searched,
    opened: Annotated[str, Query(alias="open")] = "",
    after: str = "",
    live: str = "",
) -> Response:
    """The page; with a wrong search 400 and what is wrong with it, 503 while ClickHouse is down.

    `open` is the row to show whole, `after` one that the page begins behind.
    """
    now = shared.now()
    around: Around | None = None
    page: Page | None = None
    problem: QueryError | StoreError | None = None
    row: LogRow | None = None
    hint: str | None = None
    try:
        if after and not state.cursor:
            state = replace(state, cursor=_behind(after).encode())
        query = await _query(shared, state, opened, now)
        found, around = await asyncio.gather(
            shared.search.page(query, now), _around(shared, state, query, now)
        )
        if query.cursor and query.cursor.direction == "newer" and not found.newer:
            # Nothing is newer than this page: show the newest one, which is full and live.
            return RedirectResponse(replace(state, cursor="").url(), status_code=303)
        row = await _opened(shared, opened)
        page = found
        hint = None if found.rows else await shared.search.hint(state.q)
    except StoreUnavailableError as error:
        return _engine_down(shared, error)
    except (QueryError, StoreError) as error:
        page, problem = None, error
    html = shared.renderer.render(
        "logs.html",
        **_values(state, page, around, now),
        problem=problem,
        hint=hint,
        settings=shared.settings,
        opened=row,
        is_live=_can_be_live(state, page) and live != "0" and not opened,
    )
    return HTMLResponse(
        html,
        status_of(problem) if problem else 200,
        headers={"Cache-Control": "no-store"},
    )


async def _query(shared: Context, state: SearchState, opened: str, now: datetime) -> LogQuery:
    """The page's query. A permalink without a page begins a few rows before its own."""
    query = state.query(now)
    if not opened or state.cursor or query.order != Order():
        return query
    row_id = RowId.decode(opened)
    key = (row_id.timestamp_ns, row_id.arrival)
    upwards = Cursor(str(Order()), "newer", key, inclusive=True)
    before = await shared.search.page(
        replace(query, cursor=upwards, limit=min(ROWS_BEFORE, query.limit)), now
    )
    start = before.here or Cursor(str(Order()), "older", key, inclusive=True)
    return replace(query, cursor=start)


def _behind(row: str) -> Cursor:
    row_id = RowId.decode(row)
    return Cursor(str(Order()), "older", (row_id.timestamp_ns, row_id.arrival))


async def _opened(shared: Context, opened: str) -> LogRow | None:
    return await shared.search.row(RowId.decode(opened)) if opened else None


async def _around(shared: Context, state: SearchState, query: LogQuery, now: datetime) -> Around:
    """What can be counted in time: of all time, where that is asked, perhaps only the last hour."""
    counts, delivery = await asyncio.gather(
        _counts(shared, query, now), shared.collector.delivery()
    )
    within = ""
    if counts is None and query.range == TimeRange():
        hour = replace(query, range=TimeRange(start=now - timedelta(hours=1)))
        counts = await _counts(shared, hour, now)
        within = "in the last hour" if counts else ""
    histogram, facets = counts or (None, None)
    chart = draw(histogram, state) if histogram else None
    return Around(chart, histogram.total if histogram else None, facets, delivery, within)


async def _counts(
    shared: Context, query: LogQuery, now: datetime
) -> tuple[Histogram | None, Facets] | None:
    """Histogram (None without rows) and facets, or None where ClickHouse takes too long."""
    work = asyncio.gather(
        shared.summaries.histogram(query, now), shared.summaries.facets(query, now)
    )
    return await _or_none(work)


async def _or_none(work: Awaitable[T]) -> T | None:
    """A summary, or None where ClickHouse would not finish it in its time."""
    try:
        return await work
    except StoreUnavailableError:
        raise
    except StoreError:
        return None


def _can_be_live(state: SearchState, page: Page | None) -> bool:
    """Only the newest page, newest first, with an open end, has something to wait for."""
    return (
        page is not None
        and not state.cursor
        and not state.end
        and Order.parse(state.order) == Order()
    )


def _values(
    state: SearchState, page: Page | None, around: Around | None, now: datetime
) -> dict[str, object]:
    """What the template of the explorer needs, but for what depends on the opened row."""
    older = page.older.encode() if page and page.older else ""
    newer = page.newer.encode() if page and page.newer and state.cursor else ""
    here = page.here.encode() if page and page.here else ""
    return {
        "state": state,
        "page": page,
        "around": around,
        "today": now.date(),
        "columns": COLUMNS,
        "order": Order() if page is None else Order.parse(state.order),
        "sort_urls": {column: _sort_url(state, column) for column in COLUMNS},
        "facets": tuple(FACETS),
        "presets": [
            (
                start,
                label,
                replace(state, start=start, end="", cursor="").url(),
                state.start == start and not state.end,
            )
            for start, label in (*PRESETS.items(), ("", "All time"))
        ],
        "range_label": range_label(state.start, state.end),
        "older_url": replace(state, cursor=older).url() if older else "",
        "newer_url": replace(state, cursor=newer).url() if newer else "",
        "all_time_url": replace(state, start="", end="", cursor="").url(),
        "newest_url": replace(state, cursor="").url() if state.cursor else "",
        "here": replace(state, cursor=here),
        "live_url": state.filters().url("/api/v1/logs/tail"),
        "api_url": state.url("/api/v1/logs"),
        "marks": highlights(state.q) if page is not None else [],
        "keep_url": lambda name, value: _term_url(state, keep(name, value)),
        "exclude_url": lambda name, value: _term_url(state, f"-{keep(name, value)}"),
        "context_url": _context_url,
        "moment": _moment,
    }


def _moment(row: LogRow) -> datetime:
    return datetime.fromtimestamp(row.timestamp_ns // 1_000_000_000, UTC)


def _sort_url(state: SearchState, column: OrderColumn) -> str:
    """A click sorts by the column, a second one the other way; time begins with the newest."""
    current = Order.parse(state.order) if _is_order(state.order) else Order()
    if current.column == column:
        chosen = Order(column, descending=not current.descending)
    else:
        chosen = Order(column, descending=column in ("timestamp", "level"))
    text = "" if chosen == Order() else str(chosen)
    return replace(state, order=text, cursor="").url()


def _is_order(text: str) -> bool:
    return text.removeprefix("-") in COLUMNS


def _term_url(state: SearchState, term: str) -> str:
    text = state.q.strip()
    joined = f"({text}) {term}" if " OR " in text else f"{text} {term}".strip()
    return replace(state, q=joined, cursor="").url()


def _context_url(row: LogRow) -> str:
    """The rows around one row, of its source and host, whatever the search."""
    around = SearchState(
        source=(row.source,) if row.source else (),
        host=(row.host,) if row.host else (),
    )
    row_id = row.row_id.encode()
    return f"{around.url(open=row_id)}#{row_id}"


def _engine_down(shared: Context, error: StoreUnavailableError) -> HTMLResponse:
    html = shared.renderer.render("down.html", detail=str(error), retry_after_secs=RETRY_AFTER_SECS)
    headers = {
        "Retry-After": str(RETRY_AFTER_SECS),
        "Refresh": str(RETRY_AFTER_SECS),
        "Cache-Control": "no-store",
    }
    return HTMLResponse(html, 503, headers=headers)
