"""The example `requests-influxdb.yaml` before a real InfluxDB: one file, two stores, the same in both."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.influxdb_server import InfluxDB, influxdb_server
from tests.integration.collect_system import Collector, Engine, engine_with_tables, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "requests-influxdb.yaml"
LINES_A_SEC = 10_000
SECS = int(os.environ.get("TAILRACE_INFLUXDB_SECS", "5"))
"""For how long the file grows; 60 is the claim, which takes too long for every day."""

Requests = Counter[tuple[str, str, int, int, float]]
"""How often each request is there: customer, path, status, Unix time in seconds, seconds taken."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = engine_with_tables(tmp_path_factory.mktemp("engine"))
    with engine.process:
        yield engine


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[InfluxDB]:
    folder = tmp_path / "influxdb"
    folder.mkdir()
    with influxdb_server(folder, "requests") as client:
        yield client


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "api_requests.log"


def collector(engine: Engine, influxdb: InfluxDB, log: Path) -> Collector:
    pipeline = yaml.safe_load(EXAMPLE.read_text())
    pipeline["sources"]["requests_file"]["include"] = [str(log)]
    pipeline["sinks"]["clickhouse"]["endpoint"] = engine.url
    pipeline["sinks"]["influxdb"]["endpoint"] = influxdb.url
    return Collector(pipeline, log.parent / "collector")


def in_file(log: Path) -> Requests:
    found = Requests()
    for line in log.read_text().splitlines():
        day, time, customer, path, status, seconds = line.split()
        moment = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)
        found[customer, path, int(status), int(moment.timestamp()), float(seconds)] += 1
    return found


def in_clickhouse(engine: Engine) -> Requests:
    rows = engine.query(
        "SELECT customer_id, path, status, toUnixTimestamp(timestamp) AS time, "
        "toFloat64(seconds) AS seconds, toUInt32(count()) AS times "
        "FROM logs.api_requests GROUP BY ALL"
    )
    return Requests({_key(row): row["times"] for row in rows})


def in_influxdb(influxdb: InfluxDB) -> Requests:
    found = Requests()
    for row in influxdb.query("SELECT customer_id, path, status, seconds FROM requests"):
        found[_key({**row, "time": row["time"] // 1_000_000_000})] += 1
    return found


def _key(row: dict[str, Any]) -> tuple[str, str, int, int, float]:
    return row["customer_id"], row["path"], int(row["status"]), row["time"], float(row["seconds"])


def count(influxdb: InfluxDB) -> int:
    rows = influxdb.query("SELECT count(seconds) FROM requests")
    return int(rows[0]["count"]) if rows else 0


def have(influxdb: InfluxDB, points: int) -> Callable[[], bool]:
    return lambda: count(influxdb) >= points


def test_a_file_that_grows_quickly_is_in_both_whole_though_the_collector_is_killed(
    engine: Engine, influxdb: InfluxDB, log: Path
) -> None:
    lines = LINES_A_SEC * SECS
    growing = subprocess.Popen(
        [
            *(sys.executable, "-m", "tailrace", "generate", "requests", "--to", str(log)),
            *("--seed", "3", "--count", str(lines), "--rate", str(LINES_A_SEC)),
        ],
        stderr=subprocess.DEVNULL,
    )
    with growing:
        eventually(log.exists, "the file")
        for part in (0.2, 0.5):
            killed = collector(engine, influxdb, log)
            eventually(have(influxdb, round(part * lines)), "points", SECS + 120)
            killed.kill()
        with collector(engine, influxdb, log):
            assert growing.wait(SECS * 10 + 60) == 0
            eventually(have(influxdb, lines), f"{lines} points", SECS + 120)
            rows = "SELECT toUInt32(count()) FROM logs.api_requests"
            eventually(lambda: engine.value(rows) >= lines, f"{lines} rows", SECS + 120)
    written = in_file(log)
    assert written.total() == lines
    assert in_influxdb(influxdb) == written
    assert in_clickhouse(engine) == written


def test_influxdbs_own_statistics_are_those_of_the_tables(
    engine: Engine, influxdb: InfluxDB, log: Path
) -> None:
    engine.execute("TRUNCATE TABLE logs.api_requests")
    subprocess.run(
        [
            *(sys.executable, "-m", "tailrace", "generate", "requests", "--to", str(log)),
            *("--seed", "4", "--count", "20000"),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    with collector(engine, influxdb, log):
        eventually(have(influxdb, 20_000), "points")
        rows = "SELECT toUInt32(count()) FROM logs.api_requests"
        eventually(lambda: engine.value(rows) >= 20_000, "rows")
    query = "SELECT count(seconds), mean(seconds), max(seconds) FROM requests GROUP BY customer_id"
    ours = engine.query(
        "SELECT customer_id, toUInt32(count()) AS count, avg(seconds) AS mean, "
        "toFloat64(max(seconds)) AS max FROM logs.api_requests GROUP BY customer_id"
    )
    theirs = {row["customer_id"]: row for row in influxdb.query(query)}
    assert len(ours) == len(theirs) == 50
    for row in ours:
        other = theirs[row["customer_id"]]
        assert (row["count"], row["max"]) == (other["count"], other["max"])
        assert row["mean"] == pytest.approx(other["mean"], rel=1e-9)
