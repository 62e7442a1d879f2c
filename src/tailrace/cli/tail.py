"""`tailrace tail`: the logs, followed in the terminal."""

import asyncio
from typing import Annotated, Final

import typer

from tailrace.cli.options import ClickhouseUrl, EnginePort, JsonLines
from tailrace.cli.terminal import RowPrinter, ending_quietly, note, refuse
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
    level: Annotated[
        list[str] | None,
        typer.Option(envvar="TAILRACE_TAIL_LEVEL", help="Only this level; may be repeated"),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(envvar="TAILRACE_TAIL_SOURCE", help="Only this source; may be repeated"),
    ] = None,
    json: JsonLines = False,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
) -> None:
    """Print rows as they become visible, until Ctrl-C."""
    settings = Settings.read(clickhouse_url=clickhouse, engine_port=engine_port)
    wanted = LogQuery(text=query, levels=tuple(level or ()), sources=tuple(source or ()))
    with ending_quietly(), Store.from_settings(settings) as store:
        try:
            asyncio.run(_follow(store, wanted, RowPrinter(json)))
        except QueryError as error:
            refuse(error)


async def _follow(store: Store, query: LogQuery, printer: RowPrinter) -> None:
    """Print what is new for ever. Only a ClickHouse that is down at the start is an error."""
    await LogSearch(store).page(LogQuery(text=query.text, limit=1), utc_now())
    follower = Follower(store)
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
