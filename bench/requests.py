"""Measures the pack `requests` at a number of rows, and holds its answers against the raw table's.

    python -m bench.requests --rows 100000000

Rows come from `numbers()` through the pack's own views: 50 customers, four paths, seven statuses,
latencies from 0.1 to 2.0 s in milliseconds, times of 30 days. Each question is asked by HTTP as a
person would, a number of times, and its answer compared with one that ClickHouse makes from the
values themselves. docs/packs/requests.md has the figures of one run.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

from bench.system import System, data_folder, running_system

ROWS_AN_INSERT = 1_000_000
RUNS = 30
PANEL_RUNS = 5
STATS = "customers/{}/stats?from_date={}"
READY = "SELECT 'ready' FROM system.tables WHERE name = 'api_requests' AND comment = ''"
ROLLUPS = ("day", "millisecond", "minute", "hour", "status", "latency")
RANGES = ("1h", "24h", "7d", "30d")
INSERT = """
INSERT INTO logs.api_requests (timestamp, customer_id, path, status, seconds, file)
SELECT
    toDateTime({now}, 'UTC') - rand64(1) % (30 * 86400),
    concat('cust_', toString(1 + rand64(2) % 50)),
    concat('/api/v1/resource', toString(1 + rand64(3) % 4)),
    [200, 201, 400, 401, 403, 404, 500][1 + rand64(4) % 7],
    toDecimal64(100 + rand64(5) % 1901, 6) / 1000,
    'api_requests.log'
FROM numbers({first}, {rows})
SETTINGS max_insert_threads = 1, min_insert_block_size_rows = 1000000
"""
RAW = """
WITH arraySort(groupArray(toUInt32(round(seconds * 1000)))) AS sorted, count() AS n
SELECT
    n AS total_requests,
    countIf(status < 400) AS successful_requests,
    countIf(status >= 400) AS failed_requests,
    round(100 * successful_requests / n, 5) AS uptime,
    round(sum(toUInt64(seconds * 1000000)) / n / 1000000, 5) AS average_latency,
    sorted[intDiv(n, 2) + 1] / 1000 AS median_latency,
    sorted[if(n >= 100, intDiv(n * 99, 100), n)] / 1000 AS p99_latency
FROM logs.api_requests
WHERE timestamp >= toDateTime('{since} 00:00:00', 'UTC') {where}
FORMAT JSONEachRow
SETTINGS output_format_json_quote_64bit_integers = 0
"""


def main() -> None:
    """Fill, ask, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where the data goes (default: a temporary one)"
    )
    options = parser.parse_args()
    os.environ["TAILRACE_PACKS"] = "requests"
    with data_folder(options.folder) as folder, running_system(folder) as system:
        wait_for_tables(system)
        print(f"filled at {options.rows / timed(lambda: fill(system, options.rows)):,.0f} rows/s")
        print_sizes(system)
        measure(system)
        print(f"merged in {timed(lambda: merge(system)):,.0f} s")
        print_sizes(system)
        measure(system)


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def wait_for_tables(system: System) -> None:
    """Until `tailrace setup` has made the last of them."""
    while "ready" not in system.sql(READY):
        time.sleep(0.1)


def fill(system: System, rows: int) -> None:
    """Insert rows through the views."""
    now = int(time.time())
    for first in range(0, rows, ROWS_AN_INSERT):
        system.sql(INSERT.format(now=now, first=first, rows=min(ROWS_AN_INSERT, rows - first)))


def merge(system: System) -> None:
    """Let the rollups have one part each."""
    for table in ROLLUPS:
        system.sql(f"OPTIMIZE TABLE logs.api_requests_by_{table} FINAL")


def print_sizes(system: System, tables: str = "logs.api%") -> None:
    """Rows, parts and bytes of each of these tables."""
    sizes = system.sql(
        "SELECT table, sum(rows), count(), sum(bytes_on_disk) FROM system.parts "
        f"WHERE active AND concat(database, '.', table) LIKE '{tables}' "
        "GROUP BY table ORDER BY table"
    )
    for line in sizes.splitlines():
        table, rows, parts, size = line.split("\t")
        print(f"  {table}: {int(rows):,} rows, {parts} parts, {int(size) / 1e6:,.1f} MB")


def measure(system: System) -> None:
    """Each question: how long it takes, and whether its answer is the raw table's."""
    today = datetime.now(UTC).date()
    for since in ("1970-01-01", str(today - timedelta(days=10))):
        compare(system, STATS.format("cust_1", since), since, "AND customer_id = 'cust_1'")
        compare(system, STATS.format("customer", since).replace("stats", "stats/all"), since, "")
    for asked in (
        "by=all",
        "by=path",
        "by=customer",
        "by=customer,path",
        "by=customer&apdex=0.333",
    ):
        path = f"api/v1/requests/slo?{asked}"
        print(f"GET /{path}: {latencies(system, path)}")
    for span in RANGES:
        measure_panels(system, span)


def measure_panels(system: System, span: str, pack: str = "requests") -> None:
    """The panels of a pack's dashboard: the slowest, and all of them, as medians of a few answers."""
    address = f"/api/v1/dashboards/{pack}"
    panels = cast("list[dict[str, str]]", system.get_json(address)["panels"])
    found = {}
    for panel in panels:
        path = f"{address}/panels/{panel['name']}?from={span}"
        times = sorted(timed(partial(system.get_json, path)) for _ in range(PANEL_RUNS))
        found[panel["name"]] = times[PANEL_RUNS // 2] * 1000
    slowest = max(found, key=lambda name: found[name])
    print(
        f"dashboard, {span}: {sum(found.values()):.0f} ms for {len(found)} panels, "
        f"at most {found[slowest]:.0f} ms ({slowest})"
    )


def compare(system: System, path: str, since: str, where: str) -> None:
    """Ask by HTTP and from the raw table."""
    raw: list[str] = []
    raw_secs = timed(lambda: raw.append(system.sql(RAW.format(since=since, where=where))))
    expected, found = json.loads(raw[0]), system.get_json(f"/{path}")
    verdict = "equal to" if expected == found else f"NOT EQUAL: {expected} in"
    print(f"GET /{path}: {latencies(system, path)}; {verdict} the raw query, {raw_secs:,.2f} s")
    if expected != found:
        print(f"  {found}")


def latencies(system: System, path: str) -> str:
    """Least, median and 95th percentile of a number of answers."""
    times = sorted(timed(lambda: system.get_json(f"/{path}")) * 1000 for _ in range(RUNS))
    return (
        f"{times[0]:.1f} ms at least, median {times[RUNS // 2]:.1f} ms, "
        f"p95 {times[RUNS * 95 // 100]:.1f} ms"
    )


if __name__ == "__main__":
    main()
