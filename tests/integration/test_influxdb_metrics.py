"""The example `requests-metrics.yaml` before a real InfluxDB 1, and metrics before a version 2."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from typing_extensions import override

from tests.influxdb_server import InfluxDB, influxdb_server
from tests.integration.collect_system import HTTP, TCP, Collector, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "requests-metrics.yaml"
LINES = 10_000
LINES_A_SEC = 4_000


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[InfluxDB]:
    folder = tmp_path / "influxdb"
    folder.mkdir()
    with influxdb_server(folder, "requests") as client:
        yield client


def example(influxdb: InfluxDB, log: Path) -> Collector:
    pipeline = yaml.safe_load(EXAMPLE.read_text())
    pipeline["sources"]["requests_file"]["include"] = [str(log)]
    pipeline["sinks"]["influxdb"]["endpoint"] = influxdb.url
    return Collector(pipeline, log.parent / "collector")


def growing(log: Path, seed: int) -> subprocess.Popen[bytes]:
    """What appends one half of the lines to the file."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tailrace", "generate", "requests", "--to", str(log)),
            *("--seed", str(seed), "--count", str(LINES // 2), "--rate", str(LINES_A_SEC)),
        ],
        stderr=subprocess.DEVNULL,
    )


def counted(influxdb: InfluxDB) -> int:
    rows = influxdb.query('SELECT sum(value) FROM "api.requests_total"')
    return int(rows[0]["sum"]) if rows else 0


def have(influxdb: InfluxDB, requests: int) -> Callable[[], bool]:
    return lambda: counted(influxdb) >= requests


def test_a_file_that_grows_is_counted_whole_though_influxdb_and_the_collector_are_killed(
    influxdb: InfluxDB, tmp_path: Path
) -> None:
    log = tmp_path / "api_requests.log"
    with growing(log, seed=5) as first_half:
        eventually(log.exists, "the file")
        killed = example(influxdb, log)
        eventually(have(influxdb, LINES // 5), "metrics", 120)
        influxdb.kill()
        assert first_half.wait(120) == 0
    # All of it may have been delivered before the kill: this comes afterwards.
    with growing(log, seed=6) as second_half:
        killed.wait_for(lambda: "no answer from" in killed.log, "the collector to see it")
        killed.kill()
        with example(influxdb, log):
            influxdb.restart()
            assert second_half.wait(120) == 0
            eventually(have(influxdb, LINES), f"{LINES} requests", 120)
    requests = [line.split() for line in log.read_text().splitlines()]
    assert len(requests) == LINES
    rows = influxdb.query(
        'SELECT sum(value) FROM "api.requests_total" GROUP BY customer_id, status'
    )
    found = {(row["customer_id"], row["status"]): row["sum"] for row in rows}
    assert found == Counter((customer, status) for _, _, customer, _, status, _ in requests)
    assert_seconds(influxdb, requests)


def assert_seconds(influxdb: InfluxDB, requests: list[list[str]]) -> None:
    """How long each customer's requests took on each path is what the file says."""
    taken = defaultdict(list)
    for _, _, customer, path, _, seconds in requests:
        taken[customer, path].append(float(seconds))
    rows = influxdb.query(
        'SELECT sum(count) AS count, sum(sum) AS sum, min(min) AS min, max("quantile_0.99") AS max '
        'FROM "api.request_seconds" GROUP BY customer_id, path'
    )
    assert {(row["customer_id"], row["path"]) for row in rows} == set(taken)
    for row in rows:
        own = taken[row["customer_id"], row["path"]]
        assert (row["count"], row["min"], row["max"]) == (len(own), min(own), max(own))
        assert row["sum"] == pytest.approx(sum(own), rel=1e-9)


def test_absolute_counters_and_incremental_gauges_outlive_a_kill_of_the_collector(
    influxdb: InfluxDB, tmp_path: Path
) -> None:
    sink = {"type": "influxdb_metrics", "inputs": ["metrics"], "database": "requests"}
    pipeline = {
        "sources": {"http": HTTP},
        "transforms": {
            "metrics": {"type": "log_to_metric", "inputs": ["http"], "all_metrics": True}
        },
        "sinks": {"influxdb": {**sink, "endpoint": influxdb.url, "batch": {"timeout_secs": 0.1}}},
    }
    counters = [100, 103, 110, 4, 9, 11]  # 10 come until it begins anew, then 7
    gauges = [5, -2, 4, 1, -1, 3]
    bodies = [
        "\n".join(
            json.dumps(
                {
                    **{"name": name, "tags": {"host": host}, "kind": kind},
                    **{"timestamp": f"2026-01-02T03:04:0{number}Z", value: {"value": said}},
                }
            )
            for host in ("a", "b")
            for name, kind, value, said in (
                ("hits", "absolute", "counter", counted),
                ("users", "incremental", "gauge", changed),
            )
        ).encode()
        for number, (counted, changed) in enumerate(zip(counters, gauges, strict=True))
    ]
    killed = Collector(pipeline, tmp_path / "collector")
    for body in bodies[:2]:
        killed.post(body)
    eventually(lambda: influxdb.query('SELECT value FROM "hits"'), "the first counters")
    influxdb.kill()
    for body in bodies[2:4]:
        killed.post(body)
    killed.wait_for(lambda: "no answer from" in killed.log, "the server to be missed")
    killed.kill()
    influxdb.restart()
    with Collector(pipeline, tmp_path / "collector") as collector:
        for body in bodies[4:]:
            collector.post(body)
        eventually(
            lambda: len(influxdb.query('SELECT value FROM "users"')) == 2 * len(gauges), "all"
        )
        eventually(lambda: influxdb.query('SELECT sum(value) FROM "hits"')[0]["sum"] >= 34, "all")
    for host in ("a", "b"):
        [hits] = influxdb.query(f"SELECT sum(value) FROM \"hits\" WHERE host = '{host}'")
        assert hits["sum"] == 17
        users = influxdb.query(f"SELECT value FROM \"users\" WHERE host = '{host}'")
        assert [row["value"] for row in users] == [5, 3, 7, 8, 7, 10]


@dataclass
class Version2:
    """Takes points as InfluxDB 2 does: of those that agree in series and time it keeps the last."""

    points: dict[tuple[str, str], str] = field(default_factory=dict)
    """The fields by series and time."""
    refused: int = 0
    port: int = 0

    def take(self, path: str, token: str | None, body: str) -> int:
        """The status of the answer to a request."""
        address = urlsplit(path)
        query = dict(parse_qsl(address.query))
        expected = {"org": "o", "bucket": "b", "precision": "ns"}
        if (address.path, query, token) != ("/api/v2/write", expected, "Token t"):
            self.refused += 1
            return 401
        for point in body.splitlines():
            series, fields, time = point.split(" ")
            self.points[series, time] = fields
        return 204

    @contextmanager
    def runs(self) -> Iterator[None]:
        """Whether it can be reached; what it has outlives that."""
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self.send_response(store.take(self.path, self.headers["authorization"], body))
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", self.port), Handler) as server:
            self.port = server.server_port
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def total(self) -> float:
        """The sum of all counters."""
        values = (fields.partition("value=") for fields in self.points.values())
        return sum(float(value) for _, is_counter, value in values if is_counter)


def test_metrics_of_one_moment_are_all_there_in_version_2_which_is_away_for_a_while(
    tmp_path: Path,
) -> None:
    server = Version2()
    with server.runs():
        pass
    sink = {
        **{"type": "influxdb_metrics", "inputs": ["metrics"], "default_namespace": "app"},
        **{"endpoint": f"http://127.0.0.1:{server.port}", "tags": {"region": "north"}},
        **{"org": "o", "bucket": "b", "token": "t", "batch": {"timeout_secs": 0.1}},
    }
    pipeline = {
        "sources": {"tcp": TCP},
        "transforms": {
            "metrics": {"type": "log_to_metric", "inputs": ["tcp"], "all_metrics": True}
        },
        "sinks": {"influxdb": sink},
    }
    # Most logs' times are no finer than this: batch after batch says the same series and time.
    metric = {"name": "hits", "kind": "incremental", "timestamp": "2026-01-02T03:04:05.678Z"}
    lines = b"".join(
        json.dumps({**metric, "counter": {"value": 1}, "tags": {"n": str(number % 2)}}).encode()
        + b"\n"
        for number in range(1000)
    )
    histogram = {"buckets": [{"upper_limit": 1.5, "count": 2}], "count": 2, "sum": 2.5}
    with Collector(pipeline, tmp_path / "collector") as collector:
        collector.send(lines)
        collector.wait_for(lambda: "no answer from" in collector.log, "the server to be missed")
        for part in range(1, 4):
            with server.runs():
                eventually(lambda: server.total() >= 1000 * part, "the counters")  # noqa: B023
            collector.send(lines)
        with server.runs():
            collector.send(json.dumps({**metric, "histogram": histogram}).encode() + b"\n")
            eventually(lambda: any("bucket" in one for one in server.points.values()), "the last")
            eventually(lambda: server.total() >= 4000, "the counters")
    assert (server.total(), server.refused) == (4000, 0)
    series = Counter(series for series, _ in server.points)
    assert series == {
        "app.hits,metric_type=counter,n=0,region=north": 2000,
        "app.hits,metric_type=counter,n=1,region=north": 2000,
        "app.hits,metric_type=histogram,region=north": 1,
    }
    assert "bucket_1.5=2u,count=2u,sum=2.5" in server.points.values()
    within = {time[: len("1767323045678")] for _, time in server.points}
    assert within == {"1767323045678"}
