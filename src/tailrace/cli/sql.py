"""`tailrace sql`: SQL that can only read, in the terminal."""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain, islice
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailrace.cli.options import ClickhouseUrl, EnginePort, JsonLines
from tailrace.cli.terminal import ending_quietly, note
from tailrace.search.visible import visible_text
from tailrace.settings import Settings
from tailrace.store import Limits, Store

MOST_ON_A_TERMINAL: Final = 1_000
_TIME_WIDTH: Final = len("2026-11-22 10:42:15.118204")
_NUMBER: Final = re.compile(r"^(?:Nullable\()?(?:U?Int|Float|Decimal)")


def sql(
    query: Annotated[
        str, typer.Argument(help="Such as: SELECT count() FROM logs.application_logs")
    ],
    max_rows: Annotated[
        int, typer.Option(envvar="TAILRACE_SQL_MAX_ROWS", min=1, help="Rows at most")
    ] = 1_000_000,
    max_seconds: Annotated[
        float, typer.Option(envvar="TAILRACE_SQL_MAX_SECONDS", min=0.1, help="Seconds at most")
    ] = 60.0,
    json: JsonLines = False,
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
                heads = zip(answer.columns, answer.types, strict=True)
                count = _print_table(heads, rows, min(max_rows, MOST_ON_A_TERMINAL))
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


def _print_table(heads: Iterable[tuple[str, str]], rows: Any, most: int) -> int:
    """A table of columns by name and type; texts give way where not all fits beside another."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, kind in heads:
        is_number = _NUMBER.search(kind) is not None
        least = _TIME_WIDTH if "DateTime64" in kind else None
        table.add_column(
            Text(visible_text(name)),
            overflow="fold",
            min_width=least,
            justify="right" if is_number else "left",
        )
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
        return value.isoformat(sep=" ").removesuffix("+00:00")
    if isinstance(value, Mapping | list | tuple):
        return orjson.dumps(value, default=_as_json, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def _as_json(value: object) -> object:
    """What orjson does not know: decimals, addresses, bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
