"""`tailrace tail`: logs and other tables, followed in the terminal."""

import asyncio
from dataclasses import replace
from typing import Annotated, Final

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
from tailrace.errors import QueryError, StoreUnavailableError
from tailrace.search.logs import LogSearch
from tailrace.search.query import LogQuery
from tailrace.search.tail import Follower
from tailrace.settings import Settings
from tailrace.store import Store

POLL_SECS: Final = 0.2
RETRY_SECS: Final = 1.0
FIRST_ROWS: Final = 10
"""Rows from before the start that are printed, as `tail -f` does."""


def tail(
    query: Annotated[str, typer.Argument(help="Such as: level:>=warning source:payment")] = "",
    level: Annotated[list[str] | None, only("tail", "level")] = None,
    source: Annotated[list[str] | None, only("tail", "source")] = None,
    table: TableName = "",
    json: JsonLines = False,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
) -> None:
    """Print rows as they become visible, until Ctrl-C."""
    settings = Settings.read(clickhouse_url=clickhouse, engine_port=engine_port)
    with ending_quietly(), Store.from_settings(settings) as store:
        try:
            wanted = LogQuery(
                text=query,
                chosen=chosen_values(level=level, source=source),
                table=table_called(table, settings),
            )
            asyncio.run(_follow(store, wanted, RowPrinter(json)))
        except QueryError as error:
            refuse(error)


async def _follow(store: Store, query: LogQuery, printer: RowPrinter) -> None:
    """Print what is new for ever. Only a ClickHouse that is down at the start is an error."""
    follower = Follower(store, query.table)
    await LogSearch(store).page(replace(query, limit=1), utc_now())
    is_lost, is_first = False, True
    while True:
        try:
            [news] = await follower.poll([query], utc_now())
        except StoreUnavailableError as error:
            if not is_lost:
                note(f"{error}; trying again")
            is_lost = True
            await asyncio.sleep(RETRY_SECS)
            continue
        if is_lost:
            note("ClickHouse answers again")
            is_lost = False
        printer.print(news.rows[-FIRST_ROWS:] if is_first else news.rows)
        is_first = False
        if news.dropped:
            note(f"{news.dropped:,} rows came too fast to be shown; `tailrace search` finds them")
        await asyncio.sleep(POLL_SECS)
