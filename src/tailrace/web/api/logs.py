"""`/api/v1/logs`: search, one row, and the live tail."""

from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tailrace.search.logs import Page
from tailrace.search.query import LogQuery
from tailrace.search.rows import RowId
from tailrace.search.tail import News, check_can_follow
from tailrace.web.context import Context, Shared
from tailrace.web.live import Trouble
from tailrace.web.parameters import Chosen, Searched

router = APIRouter(prefix="/api/v1", tags=["logs"])

HEARTBEAT_SECS = 15.0


class LogRowModel(BaseModel):
    """One row of the logs; rows of other tables have `id` and the fields of their pack.yaml.

    `truncated` is there, and true, where a message was cut for the list.
    """

    id: str = Field(examples=["GMq2e5c1AAAZ5pHbmAAAAbq9a1M"])
    timestamp: str = Field(examples=["2026-11-22T10:42:15.118204Z"])
    log_level: str = Field(examples=["ERROR"])
    message: str = Field(examples=["card declined order=48217 reason=insufficient_funds"])
    source: str = Field(examples=["payment"])
    host: str = Field(examples=["pay-3"])
    trace_id: str = Field(examples=["4bf92f3577b34da6a3ce929d0e0e4736"])
    span_id: str = Field(examples=["00f067aa0ba902b7"])
    attributes: dict[str, str] = Field(examples=[{"order_id": "48217", "duration_ms": "182"}])
    received_at: str = Field(examples=["2026-11-22T10:42:15.204Z"])
    truncated: bool = False


class StatisticsModel(BaseModel):
    """What the answer took."""

    rows_read: int = Field(examples=[8192])
    bytes_read: int = Field(examples=[1204000])
    elapsed_ms: float = Field(examples=[8.4])
    limit: str | None = Field(None, description="The limit that cut the answer short")


class LogPageModel(BaseModel):
    """Rows in their order; `next` and `prev` go on from there."""

    rows: list[LogRowModel]
    next: str | None = Field(description="`cursor` of the page further down the order")
    prev: str | None = Field(description="`cursor` of the page further up the order")
    statistics: StatisticsModel
    sql: str = Field(description="The SQL that ran")
    parameters: dict[str, Any] = Field(description="The values of its {p0:Type} …")


def json_answer(value: object) -> Response:
    """A value as JSON that no cache keeps."""
    return Response(
        orjson.dumps(value), media_type="application/json", headers={"Cache-Control": "no-store"}
    )


@router.get("/logs", response_model=LogPageModel, summary="Search the logs")
async def list_logs(shared: Shared, state: Searched) -> Response:
    """A page of rows that match, newest first unless told otherwise."""
    now = shared.now()
    return json_answer(page_json(await shared.search.page(state.query(now), now)))


def page_json(page: Page) -> dict[str, object]:
    """A page as the API gives it."""
    return {
        "rows": [row.to_json() for row in page.rows],
        "next": page.older.encode() if page.older else None,
        "prev": page.newer.encode() if page.newer else None,
        "statistics": asdict(page.statistics),
        "sql": page.statement.sql,
        "parameters": page.statement.parameters,
    }


@router.get(
    "/logs/tail",
    summary="Follow the logs",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def tail_logs(shared: Shared, state: Searched) -> StreamingResponse:
    """Server-sent events: `rows` with `{"rows": […], "dropped": n}` for rows as they become visible.

    Rows that are alike in every field share an `id`; from the second on, each has its number as `copy`.
    `trouble` and `recovered` tell of a ClickHouse that went away and came back. `dropped` counts
    rows that came too fast to be sent; a search finds them.
    """
    now = shared.now()
    # A wrong search or a ClickHouse that is down is an answer, not a broken stream.
    state.query(now)
    query = state.filters().query(now)
    check_can_follow(state.table)
    await shared.search.page(replace(query, limit=1), now)
    if not shared.hub.admits(query):
        raise HTTPException(429, "cannot follow so many different searches at once: close some")
    return StreamingResponse(
        _events(shared, query),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(shared: Context, query: LogQuery) -> AsyncIterator[bytes]:
    try:
        async with shared.hub.watch(query) as watcher:
            shared.metrics.watchers.set(shared.hub.watching)
            yield b": connected\n\n"
            async for event in watcher.events(HEARTBEAT_SECS):
                yield _event(event)
    finally:
        # Whoever goes away cancels this.
        shared.metrics.watchers.set(shared.hub.watching)


def _event(event: News | Trouble | None) -> bytes:
    match event:
        case None:
            return b": still here\n\n"
        case News(rows, dropped):
            body = orjson.dumps({"rows": [row.to_json() for row in rows], "dropped": dropped})
            return b"event: rows\ndata: " + body + b"\n\n"
        case Trouble(None):
            return b"event: recovered\ndata: {}\n\n"
        case Trouble(detail):
            return b"event: trouble\ndata: " + orjson.dumps({"detail": detail}) + b"\n\n"


@router.get("/logs/{row_id}", response_model=LogRowModel, summary="One row, whole")
async def get_log(
    shared: Shared, table: Chosen, row_id: Annotated[str, Path(description="`id` of a row")]
) -> Response:
    """The row with that id."""
    row = await shared.search.row(RowId.decode(row_id), table[0])
    if row is None:
        raise HTTPException(404, f"cannot find the row {row_id!r}: it may have been deleted by age")
    return json_answer(row.to_json())
