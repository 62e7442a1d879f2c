"""`tailrace web`: the pages and the REST API."""

from typing import Annotated

import typer

from tailrace.cli.options import (
    ClickhouseUrl,
    CollectorPort,
    DataDir,
    EnginePort,
    IntakeHttp,
    LogLevel,
    WebHost,
    WebPort,
)
from tailrace.settings import Settings
from tailrace.telemetry import configure_logging


def web(  # noqa: PLR0913 — one argument a flag
    web_host: WebHost = None,
    web_port: WebPort = None,
    clickhouse: ClickhouseUrl = None,
    clickhouse_user: Annotated[
        str | None,
        typer.Option(
            envvar="TAILRACE_CLICKHOUSE_USER",
            help="User name for ClickHouse (the password: TAILRACE_CLICKHOUSE_PASSWORD)",
        ),
    ] = None,
    engine_port: EnginePort = None,
    collector_port: CollectorPort = None,
    data_dir: DataDir = None,
    intake_http: IntakeHttp = None,
    log_level: LogLevel = None,
) -> None:
    """Serve the pages and the REST API."""
    from tailrace.web.server import run

    settings = Settings.read(
        web_host=web_host,
        web_port=web_port,
        clickhouse_url=clickhouse,
        clickhouse_user=clickhouse_user,
        engine_port=engine_port,
        collector_port=collector_port,
        data_dir=data_dir,
        intake_http=intake_http,
        log_level=log_level,
    )
    configure_logging(settings)
    run(settings)
