"""`tailrace collect`: runs pipelines written in Vector's configuration language."""

from pathlib import Path
from typing import Annotated

import typer

from tailrace.cli.options import ClickhouseUrl, CollectorPort, DataDir, LogLevel
from tailrace.collect.config import INTERPOLATION_FLAG, INTERPOLATION_VARIABLE
from tailrace.collect.run import run
from tailrace.settings import Settings
from tailrace.telemetry import configure_logging

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML, TOML or JSON")]
Interpolate = Annotated[
    bool,
    typer.Option(
        INTERPOLATION_FLAG,
        envvar=INTERPOLATION_VARIABLE,
        help="Replace ${VARIABLES} in the files by the environment's",
    ),
]
TransformWorkers = Annotated[
    int | None,
    typer.Option(envvar="TAILRACE_TRANSFORM_WORKERS", help="Processes that run transforms"),
]


def collect(
    files: Files,
    data_dir: DataDir = None,
    clickhouse: ClickhouseUrl = None,
    collector_port: CollectorPort = None,
    transform_workers: TransformWorkers = None,
    log_level: LogLevel = None,
    interpolate: Interpolate = False,
) -> None:
    """Take events in, keep them safe, and deliver them."""
    settings = Settings.read(
        data_dir=data_dir,
        clickhouse_url=clickhouse,
        collector_port=collector_port,
        transform_workers=transform_workers,
        log_level=log_level,
    )
    configure_logging(settings)
    run(files, settings, interpolate=interpolate)
