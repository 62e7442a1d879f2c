"""The pages with an engine and a collector behind them, all real commands, for the further intakes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.collect_system import (
    HTTP,
    TCP,
    Collector,
    Engine,
    eventually,
    pipeline,
)
from tests.processes import Process
from tests.web_system import start_web


@dataclass
class IntakeSystem:
    """What runs; `url` is that of the pages, which have the doors."""

    engine: Engine
    collector: Collector
    web: Process

    @property
    def url(self) -> str:
        """The address of the pages."""
        return self.web.url

    def wait_for(self, rows: int, table: str = "application_logs") -> None:
        """Wait until the table has that many rows; it must not have more."""
        count = f"SELECT count() FROM logs.{table}"
        eventually(lambda: int(self.engine.value(count)) >= rows, f"{rows} rows in {table}")
        assert int(self.engine.value(count)) == rows

    def rows(self, columns: str = "*") -> list[dict[str, Any]]:
        """What is stored, in the order of its timestamps."""
        return self.engine.query(
            f"SELECT {columns} FROM logs.application_logs ORDER BY timestamp, arrival"
        )


@contextmanager
def running(engine: Engine, folder: Path) -> Iterator[IntakeSystem]:
    """A collector and pages over an engine, stopped at the end."""
    configuration = pipeline(engine.url, http=HTTP, tcp=TCP)
    with Collector(configuration, folder / "collector") as collector:
        environment = {
            "TAILRACE_CLICKHOUSE_URL": engine.url,
            "TAILRACE_INTAKE_HTTP": f"127.0.0.1:{collector.ports['http']}",
            "TAILRACE_COLLECTOR_PORT": str(collector.own_port),
            "TAILRACE_DATA_DIR": str(folder / "web"),
        }
        with start_web(environment) as web:
            yield IntakeSystem(engine, collector, web)
