"""`tailrace engine`: the embedded ClickHouse, served."""

from pathlib import Path
from typing import Annotated

import typer

from tailrace.settings import Settings
from tailrace.telemetry import configure_logging


def engine(
    data_dir: Annotated[
        Path | None,
        typer.Option(envvar="TAILRACE_DATA_DIR", help="Folder of everything that Tailrace keeps"),
    ] = None,
    engine_host: Annotated[
        str | None, typer.Option(envvar="TAILRACE_ENGINE_HOST", help="Address to listen on")
    ] = None,
    engine_port: Annotated[
        int | None, typer.Option(envvar="TAILRACE_ENGINE_PORT", help="Port to listen on")
    ] = None,
    clickhouse_user: Annotated[
        str | None,
        typer.Option(envvar="TAILRACE_CLICKHOUSE_USER", help="User name that clients must give"),
    ] = None,
    clickhouse_password: Annotated[
        str | None,
        typer.Option(envvar="TAILRACE_CLICKHOUSE_PASSWORD", help="Password of that user"),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(envvar="TAILRACE_LOG_LEVEL", help="debug, info, warning or error"),
    ] = None,
) -> None:
    """Serve the embedded ClickHouse over ClickHouse's HTTP interface."""
    from tailrace.engine.server import run

    settings = Settings.read(
        data_dir=data_dir,
        engine_host=engine_host,
        engine_port=engine_port,
        clickhouse_user=clickhouse_user,
        clickhouse_password=clickhouse_password,
        log_level=log_level,
    )
    configure_logging(settings)
    run(settings)
