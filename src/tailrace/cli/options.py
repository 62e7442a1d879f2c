"""The flags that several commands share, each defined once.

A flag's default is None, which means: as the environment or `tailrace.settings` says.
"""

from pathlib import Path
from typing import Annotated, Any

import typer


def only(command: str, filtered: str) -> Any:
    """The flag by which a command keeps only rows with certain values, `--level` and its like."""
    return typer.Option(
        envvar=f"TAILRACE_{command.upper()}_{filtered.upper()}",
        help=f"Only this {filtered}; may be repeated",
    )


DataDir = Annotated[
    Path | None,
    typer.Option(envvar="TAILRACE_DATA_DIR", help="Folder of everything that Tailrace keeps"),
]
ClickhouseUrl = Annotated[
    str | None,
    typer.Option(
        "--clickhouse",
        envvar="TAILRACE_CLICKHOUSE_URL",
        metavar="URL",
        help="HTTP address of a ClickHouse server, in place of the embedded engine",
    ),
]
TableName = Annotated[
    str,
    typer.Option(
        "--table",
        envvar="TAILRACE_TABLE",
        help="Which table, as logs.application_logs or application_logs",
        show_default="that of the logs",
    ),
]
JsonLines = Annotated[
    bool,
    typer.Option("--json", envvar="TAILRACE_JSON", help="JSON lines on a terminal, too"),
]
EngineHost = Annotated[
    str | None,
    typer.Option(envvar="TAILRACE_ENGINE_HOST", help="Address that the engine listens on"),
]
EnginePort = Annotated[
    int | None,
    typer.Option(envvar="TAILRACE_ENGINE_PORT", help="Port of the engine's HTTP interface"),
]
WebHost = Annotated[
    str | None,
    typer.Option(envvar="TAILRACE_WEB_HOST", help="Address that the pages listen on"),
]
WebPort = Annotated[
    int | None,
    typer.Option(envvar="TAILRACE_WEB_PORT", help="Port of the pages and the REST API"),
]
Workers = Annotated[
    int | None,
    typer.Option(
        envvar="TAILRACE_WORKERS",
        help="Share the work among so many: collectors for Kafka, processes for transforms",
    ),
]
IntakeTcp = Annotated[
    str | None,
    typer.Option(
        envvar="TAILRACE_INTAKE_TCP", metavar="HOST:PORT", help="Where JSON lines come in by TCP"
    ),
]
IntakeHttp = Annotated[
    str | None,
    typer.Option(
        envvar="TAILRACE_INTAKE_HTTP", metavar="HOST:PORT", help="Where JSON comes in by HTTP"
    ),
]
Collector = Annotated[
    str | None,
    typer.Option(
        envvar="TAILRACE_COLLECTOR",
        metavar="tailrace|vector",
        help="What collects: our own, or the program `vector` on the PATH with the same files",
    ),
]
CollectorPort = Annotated[
    int | None,
    typer.Option(
        envvar="TAILRACE_COLLECTOR_PORT", help="Port of the collector's health and metrics"
    ),
]
RetentionDays = Annotated[
    int | None,
    typer.Option(envvar="TAILRACE_RETENTION_DAYS", help="Days after arrival that a row is kept"),
]
LogLevel = Annotated[
    str | None,
    typer.Option(envvar="TAILRACE_LOG_LEVEL", help="debug, info, warning or error"),
]
Packs = Annotated[
    list[str] | None,
    typer.Argument(envvar="TAILRACE_PACKS", help="Which packs run", show_default="logs"),
]
