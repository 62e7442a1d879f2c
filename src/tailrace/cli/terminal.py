"""What the commands that print rows share: where they print, how a row looks, how they end."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

import orjson
import typer
from rich.console import Console
from rich.text import Text

from tailrace.errors import QueryError
from tailrace.search.rows import LogRow
from tailrace.search.visible import visible_text

LEVEL_STYLES: Final = {
    "TRACE": "dim",
    "DEBUG": "dim",
    "INFO": "blue",
    "WARNING": "yellow",
    "ERROR": "bold red",
    "CRITICAL": "bold magenta",
}
_LEVEL_WIDTH: Final = 8
_SOURCE_WIDTH: Final = 12
_NUMBER_WIDTH: Final = 8


def row_line(row: LogRow) -> Text:
    """A row for a terminal: nothing in it can move the cursor or change a colour."""
    text = Text()
    text.append(row.timestamp[:23].replace("T", " "), style="dim")
    table = row.table
    for column in table.explore.columns:
        if column == table.time:
            continue
        shown = visible_text(row.text(column))
        match table.fields[column]:
            case "level":
                text.append(f"  {shown:<{_LEVEL_WIDTH}}", style=LEVEL_STYLES.get(row.level, ""))
            case "message":
                text.append(f"  {shown}")
            case "number":
                text.append(f"  {shown:>{_NUMBER_WIDTH}}")
            case _:
                text.append(f"  {shown:<{_SOURCE_WIDTH}}", style="cyan")
    return text


class RowPrinter:
    """Prints rows: lines for people on a terminal, JSON lines in a pipe or when asked for."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json or not sys.stdout.isatty()
        self._console = Console(highlight=False, soft_wrap=True)

    def print(self, rows: Sequence[LogRow]) -> None:
        """Print rows and flush."""
        if self.as_json:
            for row in rows:
                sys.stdout.buffer.write(orjson.dumps(row.to_json()) + b"\n")
            sys.stdout.buffer.flush()
            return
        for row in rows:
            self._console.print(row_line(row))


def chosen_values(**flags: list[str] | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Flags that filter, as a search has them."""
    return tuple((name, tuple(values)) for name, values in flags.items() if values)


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
