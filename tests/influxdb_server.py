"""A real InfluxDB 1 on loopback for tests, in a temporary folder, stopped by its own process id."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx

from tests.integration.collect_system import eventually
from tests.needs import need_shipper
from tests.web_system import free_port

CONFIGURATION = """\
reporting-disabled = true
bind-address = "127.0.0.1:{backup_port}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


class InfluxDB:
    """A running server and one database of it."""

    def __init__(self, port: int, database: str, command: list[str], log: IO[bytes]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._database = database
        self._command = command
        self._log = log
        self._process = self._started()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._process.kill()
        self._process.wait(30)

    def restart(self) -> None:
        """Start it again, where it was, with what it has on disk."""
        self._process = self._started()
        eventually(self.is_ready, "InfluxDB to answer again")

    def stop(self) -> None:
        """End it in order, if it runs."""
        self._process.terminate()
        self._process.wait(60)

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT)

    def query(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query with their tags; times are nanoseconds since 1970."""
        parameters = {"q": query, "db": self._database, "epoch": "ns"}
        answer = httpx.post(f"{self.url}/query", data=parameters, timeout=120).json()
        [result] = answer["results"]
        assert "error" not in result, result
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
            for series in result.get("series", [])
            for values in series["values"]
        ]

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.url}/ping", timeout=60).is_success
        except httpx.TransportError:
            return False


@contextmanager
def influxdb_server(folder: Path, database: str) -> Iterator[InfluxDB]:
    """A server with an empty database."""
    program = need_shipper("influxd", "bin")
    port, backup_port = free_port(), free_port()
    configuration = folder / "influxdb.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, port=port, backup_port=backup_port)
    )
    with (folder / "influxdb.log").open("wb") as log:
        found = InfluxDB(port, database, [str(program), "-config", str(configuration)], log)
        try:
            eventually(found.is_ready, "InfluxDB to answer")
            found.query(f"CREATE DATABASE {database}")
            yield found
        finally:
            found.stop()
