"""What the commands that print rows share: where they print, how a row looks, how they end."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tailrace.errors import QueryError
from tailrace.packs import find_usable
from tailrace.packs.explore import Kind
from tailrace.search.rows import LogRow
from tailrace.search.table import Table, Tables
from tailrace.search.visible import visible_text
from tailrace.settings import Settings

LEVEL_STYLES: Final = {
    "TRACE": "dim",
    "DEBUG": "dim",
    "INFO": "blue",
    "WARNING": "yellow",
    "ERROR": "bold red",
    "CRITICAL": "bold magenta",
}
_LEAST_WIDTHS: Final[Mapping[Kind, int]] = {"level": 8, "number": 8}
_LEAST_WIDTH: Final = 12
_MOST_WIDTH: Final = 40
"""Columns grow with what is in them, up to here; a longer value pushes what follows."""


@dataclass
class RowLines:
    """Rows as lines of a terminal, in columns: nothing in them can move the cursor or change a colour."""

    _widths: dict[str, int] = field(default_factory=dict)

    def of(self, rows: Sequence[LogRow]) -> Iterator[Text]:
        """A line a row. Columns are never narrower than in lines before."""
        for row in rows:
            for column, kind in _columns(row):
                least = self._widths.get(column, _LEAST_WIDTHS.get(kind, _LEAST_WIDTH))
                width = cell_len(visible_text(row.text(column)))
                self._widths[column] = max(least, width) if width <= _MOST_WIDTH else least
        return (self._line(row) for row in rows)

    def _line(self, row: LogRow) -> Text:
        text = Text()
        is_second = row.table.fields[row.table.time] == "second"
        text.append(row.timestamp[: 19 if is_second else 23].replace("T", " "), style="dim")
        for column, kind in _columns(row):
            shown = visible_text(row.text(column))
            rest = " " * (self._widths[column] - cell_len(shown))
            match kind:
                case "level":
                    text.append(f"  {shown}{rest}", style=LEVEL_STYLES.get(row.level, ""))
                case "message":
                    text.append(f"  {shown}")
                case "number":
                    text.append(f"  {rest}{shown}")
                case _:
                    text.append(f"  {shown}{rest}", style="cyan")
        text.rstrip()
        return text


def _columns(row: LogRow) -> list[tuple[str, Kind]]:
    """The columns of the list but the time, which begins the line."""
    table = row.table
    return [(one, table.fields[one]) for one in table.explore.columns if one != table.time]


class RowPrinter:
    """Prints rows: lines for people on a terminal, JSON lines in a pipe or when asked for."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json or not sys.stdout.isatty()
        self._lines = RowLines()
        self._console = Console(highlight=False, soft_wrap=True)

    def print(self, rows: Sequence[LogRow]) -> None:
        """Print rows and flush."""
        if self.as_json:
            for row in rows:
                sys.stdout.buffer.write(orjson.dumps(row.to_json()) + b"\n")
            sys.stdout.buffer.flush()
            return
        for line in self._lines.of(rows):
            self._console.print(line)


def chosen_values(**flags: list[str] | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Flags that filter, as a search has them."""
    return tuple((name, tuple(values)) for name, values in flags.items() if values)


def table_called(name: str, settings: Settings) -> Table:
    """The table of that name. Packs that cannot be used are told of where it may be theirs."""
    packs, problems = find_usable(settings)
    for problem in problems if name else ():
        note(str(problem))
    return Tables.of(packs).find(name)


def note(text: str) -> None:
    """Say something beside the answer, on standard error."""
    typer.echo(text, err=True)


def refuse(error: QueryError) -> NoReturn:
    """End with the search, a caret under the place and what is wrong; exit code 2."""
    typer.echo(error.with_caret(), err=True)
    raise typer.Exit(error.exit_code) from error


@contextmanager
def ending_quietly() -> Iterator[None]:
    """Ctrl-C, and a reader of our output that has had enough, are ends and not errors."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("", err=True)
    except BrokenPipeError:
        # Nobody is left to write to: neither now nor when Python flushes at its end.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115 — it is to stay open until the end
