"""The examples in the real system: by a pipe, by TCP and by HTTP, and read back from the table."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.loghub import ROOT, real_log
from tests.processes import Process, start_engine
from tests.web_system import free_port

CASES = {
    "apache": ("Apache", "source = 'apache'", {"INFO": 1405, "ERROR": 595}),
    "hdfs": ("HDFS", "startsWith(source, 'dfs.')", {"INFO": 1920, "WARNING": 80}),
    "openssh": ("OpenSSH", "source = 'sshd'", {"WARNING": 1409, "INFO": 458, "ERROR": 133}),
    "zookeeper": (
        "Zookeeper",
        "mapContains(attributes, 'line')",
        {"WARNING": 1318, "INFO": 669, "ERROR": 13},
    ),
}
FIRST = {
    "apache": "2005-12-04 04:47:44.000",
    "hdfs": "2008-11-09 20:36:15.000",
    "openssh": "-12-10 06:55:46.000",
    "zookeeper": "2015-07-29 17:41:44.747",
}


class Warehouse:
    """A real engine with the tables of the packs."""

    def __init__(self, engine: Process, folder: Path) -> None:
        self.engine = engine
        self.environment = {
            "TAILRACE_DATA_DIR": str(folder),
            "TAILRACE_CLICKHOUSE_URL": engine.url,
            "TAILRACE_COLLECTOR_PORT": "0",
        }

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query gives."""
        body = f"{sql} FORMAT JSONEachRow".encode()
        with urllib.request.urlopen(urllib.request.Request(self.engine.url, body)) as answer:
            return [json.loads(line) for line in answer]

    def run(self, *arguments: str, standard_input: Path | None = None) -> None:
        """A command of Tailrace, to its end."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TAILRACE_")}
        with open(standard_input or os.devnull, "rb") as given:
            done = subprocess.run(
                [sys.executable, "-m", "tailrace", *arguments],
                stdin=given,
                capture_output=True,
                text=True,
                env={**inherited, **self.environment},
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("examples")
    with start_engine(folder) as engine:
        made = Warehouse(engine, folder)
        made.run("setup")
        yield made


def copied(name: str, folder: Path, **addresses: str) -> str:
    """An example, with other addresses in it."""
    text = (ROOT / f"examples/{name}.yaml").read_text()
    for old, new in addresses.items():
        assert f"127.0.0.1:{old[1:]}" in text
        text = text.replace(f"127.0.0.1:{old[1:]}", new)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", CASES)
def test_a_real_file_by_pipe_tcp_and_http(name: str, warehouse: Warehouse, tmp_path: Path) -> None:
    log, where, levels = CASES[name]
    path = real_log(log)
    engine_address = warehouse.engine.url.removeprefix("http://")
    example = copied(name, tmp_path, p8123=engine_address)
    count = f"SELECT count() AS n FROM logs.application_logs WHERE {where}"

    warehouse.run("collect", example, standard_input=path)
    assert warehouse.rows(count) == [{"n": 2000}]

    tcp, http = free_port(), free_port()
    listen = copied("listen", tmp_path, p9010=f"127.0.0.1:{tcp}", p9011=f"127.0.0.1:{http}")
    with Process(["collect", example, listen], warehouse.environment) as collector:
        collector.wait_for(lambda: "collector is ready" in collector.log, "readiness")
        with socket.create_connection(("127.0.0.1", tcp)) as connection:
            connection.sendall(path.read_bytes())
        collector.wait_for(lambda: warehouse.rows(count) == [{"n": 4000}], "what came by TCP")
        request = urllib.request.Request(f"http://127.0.0.1:{http}/", path.read_bytes())
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        collector.wait_for(lambda: warehouse.rows(count) == [{"n": 6000}], "what came by HTTP")
        assert collector.stop() == 0

    found = warehouse.rows(
        f"SELECT log_level, count() AS n FROM logs.application_logs WHERE {where} GROUP BY 1"
    )
    assert {row["log_level"]: row["n"] for row in found} == {k: 3 * n for k, n in levels.items()}
    uneven = warehouse.rows(
        "SELECT timestamp, log_level, source, message, attributes, count() AS n "
        f"FROM logs.application_logs WHERE {where} GROUP BY ALL HAVING n % 3 != 0"
    )
    assert uneven == []
    [first] = warehouse.rows(
        f"SELECT toString(min(timestamp)) AS at FROM logs.application_logs WHERE {where}"
    )
    assert FIRST[name] in first["at"]
    assert warehouse.rows("SELECT reason, raw FROM logs.rejected") == []


def test_a_broken_example_ends_with_78_and_says_where(warehouse: Warehouse, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((ROOT / "examples/apache.yaml").read_text().replace("table:", "tabel:"))
    with Process(["collect", str(wrong)], warehouse.environment) as collector:
        assert collector.wait() == 78
    assert 'sinks.clickhouse.tabel: unknown option; did you mean "table"?' in collector.log
