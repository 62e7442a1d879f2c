"""An engine with tables and a collector before it, both as real commands, for tests."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from tests.processes import Process, answers, start_engine

INTAKE = {
    "type": "clickhouse",
    "database": "logs",
    "table": "intake",
    "format": "json_as_string",
    "batch": {"max_bytes": 20_000_000, "timeout_secs": 0.05},
}
TCP = {
    "type": "socket",
    "mode": "tcp",
    "address": "127.0.0.1:0",
    "port_key": "",
    "decoding": {"codec": "json"},
}
HTTP = {
    "type": "http_server",
    "address": "127.0.0.1:0",
    "path_key": "",
    "framing": {"method": "newline_delimited"},
    "decoding": {"codec": "json"},
}
WITHIN_SECS = 60.0


@dataclass
class Engine:
    """A running engine with the logs pack's tables."""

    process: Process
    data_dir: Path

    @property
    def url(self) -> str:
        """Its address."""
        return self.process.url

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query."""
        with urlopen(Request(f"{self.url}/", f"{sql} FORMAT JSONEachRow".encode())) as response:
            return [json.loads(line) for line in response.read().splitlines()]

    def value(self, sql: str) -> Any:
        """The one value that a query gives."""
        (row,) = self.query(sql)
        (value,) = row.values()
        return value

    def execute(self, sql: str) -> None:
        """Run a command."""
        with urlopen(Request(f"{self.url}/", sql.encode())):
            pass

    def clear(self) -> None:
        """Take every row out of the log tables."""
        self.execute("TRUNCATE TABLE logs.application_logs")
        self.execute("TRUNCATE TABLE logs.rejected")


def engine_with_tables(data_dir: Path) -> Engine:
    """Start an engine and set up its tables."""
    process = start_engine(data_dir)
    try:
        subprocess.run(
            [sys.executable, "-m", "tailrace", "setup", "--clickhouse", process.url],
            check=True,
            capture_output=True,
        )
    except BaseException:
        process.kill()
        raise
    return Engine(process, data_dir)


class Collector(Process):
    """A running `tailrace collect`, with the ports that its sources got."""

    def __init__(
        self,
        configuration: Mapping[str, Any],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        *,
        path: Path | None = None,
        waits: bool = True,
    ) -> None:
        """`waits`: until it is ready; before that, its ports are not known.

        `path`: where the configuration is written, if not into `folder`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = path or folder / "pipeline.yaml"
        path.write_text(yaml.safe_dump(dict(configuration)))
        super().__init__(
            [
                "collect",
                str(path),
                "--data-dir",
                str(folder / "data"),
                "--collector-port",
                "0",
            ],
            environment,
        )
        self.ports: dict[str, int] = {}
        self.own_port = 0
        if waits:
            self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        try:
            self.wait_for(lambda: "collector is ready" in self.log, "start of the collector")
        except BaseException:
            self.kill()
            raise
        said = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        self.ports = {line["source"]: line["port"] for line in said if line["event"] == "listening"}
        (ready,) = (line for line in said if line["event"] == "collector is ready")
        self.own_port = ready["port"]

    def send(self, data: bytes, source: str = "tcp") -> None:
        """Send bytes over a TCP connection of their own."""
        with socket.create_connection(("127.0.0.1", self.ports[source])) as connection:
            connection.sendall(data)

    def post(
        self, body: bytes, source: str = "http", path: str = "/", **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON of a POST."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(f"http://127.0.0.1:{self.ports[source]}{path}", body, named)
        try:
            with urlopen(request, timeout=WITHIN_SECS) as response:
                return response.status, json.loads(response.read())
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def page(self, path: str) -> str:
        """One of its own pages."""
        with urlopen(f"http://127.0.0.1:{self.own_port}{path}") as response:
            return bytes(response.read()).decode()

    def metric(self, name: str, component_id: str) -> float:
        """The sum of a metric of one component."""
        beginning = f'{name}{{component_id="{component_id}"'
        lines = self.page("/metrics").splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(beginning))

    def is_idle(self) -> bool:
        """Whether nothing waits in its buffers."""
        lines = self.page("/metrics").splitlines()
        return all(line.endswith(" 0.0") for line in lines if line.startswith("buffer_events{"))

    def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        return answers(f"http://127.0.0.1:{self.own_port}/readyz")


def pipeline(engine_url: str, **sources: Mapping[str, Any]) -> dict[str, Any]:
    """Sources whose lines go to `logs.intake` as they are."""
    sink = {**deepcopy(INTAKE), "inputs": list(sources), "endpoint": engine_url}
    return {"sources": deepcopy(sources), "sinks": {"out": sink}}


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The events in a file that a sink writes; without the last line as long as it has not ended."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def eventually(condition: Callable[[], Any], what: str, within_secs: float = WITHIN_SECS) -> Any:
    """The condition's value, once it is true. What takes long is asked for less and less often: the
    question is mostly a query, which takes its time from what is waited for."""
    deadline = time.monotonic() + within_secs
    pause_secs = 0.01
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {within_secs:g} s for {what}"
        time.sleep(pause_secs)
        pause_secs = min(1.3 * pause_secs, 0.1)
