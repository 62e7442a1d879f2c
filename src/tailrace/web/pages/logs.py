"""`/`: the explorer of logs and other tables. Rows, what lies around them, and links: the URL is the
whole state.

The rows are the answer; the histogram, the counts and the collector's state are asked for at the same
time and left out, and said to be, where they take too long.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tailrace.errors import QueryError, StoreError, StoreUnavailableError
from tailrace.search.cursor import Cursor
from tailrace.search.logs import Page
from tailrace.search.query import LogQuery, Order
from tailrace.search.rows import LogRow, RowId
from tailrace.search.summary import Facets, Histogram
from tailrace.search.table import Table
from tailrace.search.times import PRESETS, TimeRange
from tailrace.web.context import Context, Shared
from tailrace.web.delivery import Delivery
from tailrace.web.pages.chart import Chart, draw
from tailrace.web.pages.rows import columns_of, listable, listed, row_links, shape_of
from tailrace.web.panels import tables_there
from tailrace.web.parameters import Searched, SearchState, range_label
from tailrace.web.problems import RETRY_AFTER_SECS, status_of
from tailrace.web.render import highlights

router = APIRouter(include_in_schema=False)

ROWS_BEFORE: Final = 12
"""Newer rows that a permalink shows, with its own."""


@dataclass(frozen=True, slots=True)
class Around:
    """What is shown around the rows; None where counting took too long."""

    chart: Chart | None
    total: int | None
    facets: Facets
    delivery: Delivery
    tables: tuple[Table, ...]
    """Those that can be chosen: what ClickHouse has of them."""
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
            state = replace(state, cursor=_behind(state.table, after).encode())
        query = await _query(shared, state, opened, now)
        async with _all_or_none() as group:
            finding = group.create_task(shared.search.page(query, now))
            looking_around = group.create_task(_around(shared, state, query, now))
        found, around = finding.result(), looking_around.result()
        if query.cursor and query.cursor.direction == "newer" and not found.newer:
            # Nothing is newer than this page: show the newest one, which is full and live.
            return RedirectResponse(replace(state, cursor="").url(), status_code=303)
        row = await _opened(shared, state.table, opened)
        page = found
        hint = None if found.rows else await shared.search.hint(state.q, state.table)
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
        tables=around.tables if around else await _choice(shared, state.table),
        delivery=around.delivery if around else await shared.collectors.delivery(),
        is_live=_can_be_live(state, page) and live != "0" and not opened,
    )
    status = status_of(problem) if problem else 200
    again = {"Retry-After": str(RETRY_AFTER_SECS)} if status == 503 else {}
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store", **again})


@asynccontextmanager
async def _all_or_none() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks side by side. When one fails, none goes on when the page is long answered: its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _query(shared: Context, state: SearchState, opened: str, now: datetime) -> LogQuery:
    """The page's query. A permalink without a page begins a few rows before its own."""
    query = state.query(now)
    if not opened or state.cursor or query.order != Order():
        return query
    row_id = RowId.decode(opened)
    key = (row_id.timestamp_ns, row_id.arrival)
    newest_first = Order().text(state.table)
    upwards = Cursor(newest_first, "newer", key, inclusive=True)
    before = await shared.search.page(
        replace(query, cursor=upwards, limit=min(ROWS_BEFORE, query.limit)), now
    )
    start = before.here or Cursor(newest_first, "older", key, inclusive=True)
    return replace(query, cursor=start)


def _behind(table: Table, row: str) -> Cursor:
    row_id = RowId.decode(row)
    return Cursor(Order().text(table), "older", (row_id.timestamp_ns, row_id.arrival))


async def _opened(shared: Context, table: Table, opened: str) -> LogRow | None:
    return await shared.search.row(RowId.decode(opened), table) if opened else None


async def _around(shared: Context, state: SearchState, query: LogQuery, now: datetime) -> Around:
    """What can be counted in time: of all time, where that is asked, perhaps only the last hour."""
    async with _all_or_none() as group:
        counting = group.create_task(_counts(shared, query, now))
        asking = group.create_task(shared.collectors.delivery())
        choosing = group.create_task(_choice(shared, state.table))
    counts = counting.result()
    within = ""
    if not counts.is_whole and query.range == TimeRange():
        hour = replace(query, range=TimeRange(start=now - timedelta(hours=1)))
        of_hour = await _counts(shared, hour, now)
        if of_hour.is_whole:
            counts, within = of_hour, "in the last hour"
    histogram = counts.histogram
    chart = draw(histogram, state) if histogram else None
    total = histogram.total if histogram else None
    return Around(chart, total, counts.facets, asking.result(), choosing.result(), within)


async def _choice(shared: Context, shown: Table) -> tuple[Table, ...]:
    """The tables to choose from; without an answer, those there should be."""
    tables = shared.tables.all
    if len(tables) == 1:
        return tables
    try:
        there = await tables_there(shared.store, [table.name for table in tables])
    except StoreError:
        return tables
    return tuple(table for table in tables if table is shown or table.name in there)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What was counted in time. A histogram of no rows is None, too."""

    histogram: Histogram | None
    facets: Facets
    is_whole: bool


async def _counts(shared: Context, query: LogQuery, now: datetime) -> _Counts:
    async with _all_or_none() as group:
        drawing = group.create_task(_histogram(shared, query, now))
        counting = group.create_task(shared.summaries.facets(query, now))
    histogram, facets = drawing.result(), counting.result()
    is_whole = histogram is not None and None not in facets.values()
    return _Counts(histogram[0] if histogram else None, facets, is_whole)


async def _histogram(
    shared: Context, query: LogQuery, now: datetime
) -> tuple[Histogram | None] | None:
    """In a tuple, for of no rows there is none; None where ClickHouse would not finish it in its time."""
    try:
        return (await shared.summaries.histogram(query, now),)
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
        and state.table.explore.arrived is not None
        and Order.parse(state.order, state.table) == Order()
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
        "listed": list(listed(page.rows if page else ())),
        "columns": columns_of(state),
        "listable": listable(state.table),
        "sorted_by": _sorted_by(state),
        "sort_urls": {name: _sort_url(state, name) for name in state.table.columns},
        "facets": tuple(state.table.filters),
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
        "shape": shape_of(state),
        "columns_form": parse_qsl(urlsplit(replace(state, cursor="", columns=()).url()).query),
        "placeholder": _placeholder(state.table),
        "marks": highlights(state.q) if page is not None else [],
        **row_links(state),
        "moment": _moment,
    }


def _moment(row: LogRow) -> datetime:
    return datetime.fromtimestamp(row.timestamp_ns // 1_000_000_000, UTC)


def _placeholder(table: Table) -> str:
    """A search as an example."""
    if table.attributes is not None:
        return 'level:error "card declined" status:>=500 -healthcheck'
    forms = {"number": "{}:>=0", "text": "{}:…"}
    fields = ((table.label(column), kind) for column, kind in table.fields.items())
    return " ".join([forms[kind].format(name) for name, kind in fields if kind in forms][:3])


def _sorted_by(state: SearchState) -> tuple[str, bool]:
    """The name of the column that sorts, and whether its greatest comes first."""
    try:
        order = Order.parse(state.order, state.table)
    except QueryError:
        order = Order()
    return order.column or state.table.label(state.table.time), order.descending


def _sort_url(state: SearchState, name: str) -> str:
    """A click sorts by the column, a second one the other way; time begins with the newest."""
    table = state.table
    column, is_descending = _sorted_by(state)
    if column == name:
        descending = not is_descending
    else:
        descending = table.fields[table.columns[name]] not in ("text", "message")
    is_time = table.columns[name] == table.time
    text = "" if is_time and descending else f"{'-' if descending else ''}{name}"
    return replace(state, order=text, cursor="").url()


def _engine_down(shared: Context, error: StoreUnavailableError) -> HTMLResponse:
    html = shared.renderer.render("down.html", detail=str(error), retry_after_secs=RETRY_AFTER_SECS)
    headers = {
        "Retry-After": str(RETRY_AFTER_SECS),
        "Refresh": str(RETRY_AFTER_SECS),
        "Cache-Control": "no-store",
    }
    return HTMLResponse(html, 503, headers=headers)
