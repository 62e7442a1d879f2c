"""`tailrace search`: logs and other tables, searched from the terminal."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from tailrace.cli.options import ClickhouseUrl, EnginePort, JsonLines, TableName, only
from tailrace.cli.terminal import (
    RowPrinter,
    chosen_values,
    ending_quietly,
    note,
    refuse,
    table_called,
)
from tailrace.clock import utc_now
from tailrace.errors import QueryError
from tailrace.search.logs import LogSearch
from tailrace.search.query import MAX_LIMIT, LogQuery
from tailrace.search.rows import LogRow
from tailrace.search.times import parse_range
from tailrace.settings import Settings
from tailrace.store import Store


def search(  # noqa: PLR0913 — each is a flag
    query: Annotated[str, typer.Argument(help='Such as: level:error "card declined"')] = "",
    since: Annotated[
        str,
        typer.Option(
            envvar="TAILRACE_SEARCH_SINCE", help="From then on: 15m, 1 hour ago, 2026-11-22T10:00Z"
        ),
    ] = "",
    until: Annotated[str, typer.Option(envvar="TAILRACE_SEARCH_UNTIL", help="Before then")] = "",
    limit: Annotated[
        int,
        typer.Option(
            envvar="TAILRACE_SEARCH_LIMIT", min=1, help="The newest rows, at most so many"
        ),
    ] = 100,
    level: Annotated[list[str] | None, only("search", "level")] = None,
    source: Annotated[list[str] | None, only("search", "source")] = None,
    table: TableName = "",
    json: JsonLines = False,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
) -> None:
    """Print the newest rows that match, oldest of them first."""
    settings = Settings.read(clickhouse_url=clickhouse, engine_port=engine_port)
    now = utc_now()
    with ending_quietly(), Store.from_settings(settings) as store:
        try:
            wanted = LogQuery(
                text=query,
                chosen=chosen_values(level=level, source=source),
                range=parse_range(since, until, now),
                table=table_called(table, settings),
            )
            rows, hint = asyncio.run(_newest(LogSearch(store), wanted, limit, now))
        except QueryError as error:
            refuse(error)
        RowPrinter(json).print(rows[::-1])
        if not rows:
            note(hint or "no rows match")


async def _newest(
    logs: LogSearch, query: LogQuery, limit: int, now: datetime
) -> tuple[list[LogRow], str | None]:
    """Up to `limit` rows, page by page, and a hint where there are none."""
    rows: list[LogRow] = []
    while len(rows) < limit:
        page = await logs.page(replace(query, limit=min(MAX_LIMIT, limit - len(rows))), now)
        rows += page.rows
        if page.older is None:
            break
        query = replace(query, cursor=page.older)
    return rows, None if rows else await logs.hint(query.text, query.table)
