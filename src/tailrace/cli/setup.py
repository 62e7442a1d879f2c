"""`tailrace setup`: bring ClickHouse's tables to what the packs say.

What is wrong with one pack keeps no other from getting its tables; it is told at the end.
"""

from collections.abc import Iterator
from typing import Annotated

import typer

from tailrace.cli.options import ClickhouseUrl, EnginePort, Packs, RetentionDays
from tailrace.errors import ConfigurationError, StoreError, StoreUnavailableError, TailraceError
from tailrace.packs import Pack, find_required, find_usable
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.migrations import set_up


def setup(
    packs: Packs = None,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
    retention_days: RetentionDays = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that would run, and run none of it")
    ] = False,
) -> None:
    """Create or update the tables of the named packs and those that they use, or of all."""
    settings = Settings.read(
        clickhouse_url=clickhouse, engine_port=engine_port, retention_days=retention_days
    )
    chosen, problems = _chosen(settings, packs)
    with Store.from_settings(settings) as store:
        if dry_run:
            set_up(store, chosen, settings, show=lambda sql: typer.echo(f"{sql};\n"))
        else:
            problems += list(_set_up_each(store, chosen, settings))
    if problems:
        *others, last = problems
        for problem in others:
            typer.echo(f"tailrace: {problem}", err=True)
        raise last


def _chosen(settings: Settings, names: list[str] | None) -> tuple[list[Pack], list[TailraceError]]:
    """The packs to set up, and what is wrong with others that were not named."""
    if names:
        return find_required(settings, names), []
    usable, wrong = find_usable(settings)
    problems: list[TailraceError] = [*wrong]
    found: dict[str, Pack] = {}
    for pack in usable:
        try:
            found |= {one.name: one for one in find_required(settings, [pack.name])}
        except ConfigurationError as error:
            problems.append(error)
    return list(found.values()), problems


def _set_up_each(store: Store, packs: list[Pack], settings: Settings) -> Iterator[TailraceError]:
    """Set up one after the other; what was wrong with them."""
    for pack in packs:
        try:
            [report] = set_up(store, [pack], settings)
            typer.echo(f"{report.pack}: {', '.join(report.done) or 'everything is there'}")
        except StoreUnavailableError:
            raise
        except (StoreError, ConfigurationError) as error:
            yield error
