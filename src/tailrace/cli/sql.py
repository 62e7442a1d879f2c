"""`tailrace sql`: SQL that can only read, in the terminal."""

import sys
from collections.abc import Mapping
from datetime import datetime
from itertools import chain, islice
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailrace.cli.options import ClickhouseUrl, EnginePort
from tailrace.cli.terminal import ending_quietly, note
from tailrace.search.visible import visible_text
from tailrace.settings import Settings
from tailrace.store import Limits, Store

MOST_ON_A_TERMINAL: Final = 1_000


def sql(
    query: Annotated[
        str, typer.Argument(help="Such as: SELECT count() FROM logs.application_logs")
    ],
    max_rows: Annotated[int, typer.Option(min=1, help="Rows at most")] = 1_000_000,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Seconds at most")] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on a terminal, too")] = False,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
) -> None:
    """Run one query that reads: a table on a terminal, JSON lines in a pipe."""
    settings = Settings.read(clickhouse_url=clickhouse, engine_port=engine_port)
    limits = Limits(max_seconds=max_seconds, max_rows=max_rows)
    with ending_quietly(), Store.from_settings(settings) as store:
        with store.stream(query, limits=limits) as answer:
            rows = islice(chain.from_iterable(answer.blocks), max_rows + 1)
            if json or not sys.stdout.isatty():
                count = _print_json(answer.columns, rows, max_rows)
            else:
                count = _print_table(answer.columns, rows, min(max_rows, MOST_ON_A_TERMINAL))
        if count > max_rows:
            note(f"cut at {max_rows:,} rows; --max-rows allows more")


def _print_json(columns: tuple[str, ...], rows: Any, most: int) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):
        if count <= most:
            line = orjson.dumps(
                dict(zip(columns, row, strict=True)),
                default=_as_json,
                option=orjson.OPT_NON_STR_KEYS,
            )
            sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
    return count


def _print_table(columns: tuple[str, ...], rows: Any, most: int) -> int:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(visible_text(column)), overflow="fold")
    count = 0
    for count, row in enumerate(rows, start=1):
        if count > most:
            note(f"only the first {most:,} rows are shown; a pipe or --json gets more")
            break
        table.add_row(*(Text(visible_text(_as_text(value))) for value in row))
    Console(highlight=False).print(table)
    return count


def _as_text(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, Mapping | list | tuple):
        return orjson.dumps(value, default=_as_json, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def _as_json(value: object) -> object:
    """What orjson does not know: decimals, addresses, bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
