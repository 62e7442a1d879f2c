"""`tailrace setup`: bring ClickHouse's tables to what the packs say."""

from typing import Annotated

import typer

from tailrace.cli.options import ClickhouseUrl, EnginePort, Packs, RetentionDays
from tailrace.packs import find_required
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
    chosen = find_required(settings, packs)
    with Store.from_settings(settings) as store:
        if dry_run:
            set_up(store, chosen, settings, show=lambda sql: typer.echo(f"{sql};\n"))
            return
        for report in set_up(store, chosen, settings):
            typer.echo(f"{report.pack}: {', '.join(report.done) or 'everything is there'}")
