"""The command line: one file a command.

Only the command that is called is imported, so that `tailrace search` does not pay for the
collector's imports.
"""

import sys
from importlib import import_module

import typer

from tailrace import __version__
from tailrace.errors import TailraceError
from tailrace.supervisor import die_with_supervisor

COMMANDS = {
    "demo": "Start everything and a generator of logs, and print the page's address",
    "up": "Start the engine, the collector and the pages, and keep them alive",
    "engine": "Serve the embedded ClickHouse over ClickHouse's HTTP interface",
    "collect": "Run pipelines written in Vector's configuration language",
    "web": "Serve the pages and the REST API",
    "setup": "Create or update the tables of the packs",
    "generate": "Make events of a pack and send them somewhere",
    "validate": "Check pipeline files",
    "test": "Run the unit tests that pipeline files contain",
    "search": "Search the logs from the terminal",
    "tail": "Follow the logs in the terminal",
    "sql": "Run a read-only SQL query",
    "rejected": "List, retry or drop what could not be stored",
    "top": "Show what flows through the running collector",
    "doctor": "Add up what came in and what is stored, and look after the whole",
}
"""Each command's one-line help; its code is the function of its name in `cli/<name>.py`."""

INTERRUPTED = 130
"""The exit code of shells, and of typer, after Ctrl-C."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tailrace {__version__}")
        raise typer.Exit


def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version"
    ),
) -> None:
    """Real-time log and event analytics on ClickHouse."""


def build_app(called: str | None) -> typer.Typer:
    """The commands, of which only `called` is imported; the others are there to be listed."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name, summary in COMMANDS.items():
        function = root
        if name == called:
            function = getattr(import_module(f"tailrace.cli.{name}"), name)
        app.command(name, help=summary)(function)
    return app


def main() -> None:
    """Run `tailrace`; an error of ours becomes its message and its exit code."""
    called = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        die_with_supervisor()
        build_app(called)(prog_name="tailrace")
    except TailraceError as error:
        typer.echo(f"tailrace: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # while modules are imported; typer looks after the rest
        sys.exit(INTERRUPTED)
