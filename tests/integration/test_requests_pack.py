"""The pack `requests` in the real system: from the growing file to the answers, each line once."""

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typing_extensions import override

from tailrace.packs import find_packs
from tailrace.packs.requests.classes import upto_ms
from tailrace.settings import Settings
from tests.integration.collect_system import Collector, Engine, engine_with_tables, eventually
from tests.processes import Process
from tests.web_system import start_web

TABLES = (
    "api_requests",
    *(
        f"api_requests_by_{what}"
        for what in ("day", "millisecond", "minute", "hour", "status", "latency")
    ),
)
REFERENCE = """\
2024-09-29 01:00:00 cust_1 /api/v1/resource1 200 0.5
2024-09-29 01:00:01 cust_1 /api/v1/resource2 201 0.6
2024-09-29 01:00:01 cust_1 /api/v1/resource1 500 0.9
2024-09-29 01:00:03 cust_1 /api/v1/resource3 404 0.7
2024-09-29 01:00:04 cust_1 /api/v1/resource1 200 1.5
"""
ONES, ALL = "WHERE customer_id != ''", "WHERE customer_id = ''"
SUMS = "SELECT toUInt32(count()) AS raw" + "".join(
    f", (SELECT toUInt32(sum(requests)) FROM logs.{table} {of}) AS sum_{number}"
    for number, (table, of) in enumerate(
        [(table, of) for table in TABLES[1:3] for of in (ONES, ALL)]
        + [(table, "") for table in TABLES[3:]]
    )
)
SUMS += " FROM logs.api_requests"


@dataclass
class System:
    """An engine with tables and the pages; `folder` is the log file's and the collector's."""

    engine: Engine
    web: Process
    folder: Path

    @property
    def log(self) -> Path:
        """The file that the collector follows."""
        return self.folder / "api_requests.log"

    def collector(self) -> Collector:
        """The pack's pipeline as it is, but for addresses and the file."""
        settings = Settings.read(clickhouse_url=self.engine.url, data_dir=self.folder)
        [pack] = find_packs(settings, ["requests"])
        return Collector(yaml.safe_load(pack.render_pipeline(settings)), self.folder / "collector")

    def append(self, text: str) -> None:
        """Let the file grow."""
        with self.log.open("a") as file:
            file.write(text)

    def rows(self) -> int:
        """How many requests are stored."""
        return int(self.engine.value("SELECT toUInt32(count()) FROM logs.api_requests"))

    def has_more_than(self, rows: int, writer: threading.Thread) -> bool:
        """Whether more are stored, or nobody writes any more."""
        return self.rows() > rows or not writer.is_alive()

    def wait_for(self, rows: int) -> None:
        """Until so many requests are stored."""
        eventually(lambda: self.rows() >= rows, f"{rows} rows")

    def get(self, url: str, **parameters: Any) -> httpx.Response:
        """A GET of the pages."""
        return httpx.get(f"{self.web.url}{url}", params=parameters, timeout=60)

    def sums(self) -> set[int]:
        """How many requests the table and each of its rollups have; one number if they agree."""
        [row] = self.engine.query(SUMS)
        return {int(value) for value in row.values()}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Process]]:
    engine = engine_with_tables(tmp_path_factory.mktemp("engine"))
    with (
        engine.process,
        start_web({"TAILRACE_CLICKHOUSE_URL": engine.url}) as web,
    ):
        yield engine, web


@pytest.fixture
def system(services: tuple[Engine, Process], tmp_path: Path) -> System:
    engine, web = services
    for table in (*TABLES, "rejected"):
        engine.execute(f"TRUNCATE TABLE logs.{table}")
    return System(engine, web, tmp_path)


def expected(lines: Sequence[str], customer: str | None, since: date) -> dict[str, float] | None:
    """What the statistics of these lines must be, each from the values themselves."""
    seconds, failed = [], 0
    for line in lines:
        day, _, by, _, status, took = line.split()
        if customer in (None, by) and date.fromisoformat(day) >= since:
            seconds.append(float(took))
            failed += int(status) >= 400
    if not seconds:
        return None
    seconds.sort()
    total = len(seconds)
    return {
        "total_requests": total,
        "successful_requests": total - failed,
        "failed_requests": failed,
        "uptime": round(100 * (total - failed) / total, 5),
        "average_latency": round(sum(round(one * 1e6) for one in seconds) / total / 1e6, 5),
        "median_latency": seconds[total // 2],
        "p99_latency": seconds[total * 99 // 100 - 1] if total >= 100 else seconds[-1],
    }


def test_the_reference_case(system: System) -> None:
    with system.collector():
        system.append(REFERENCE)
        system.wait_for(5)
    stats = {
        "total_requests": 5,
        "successful_requests": 3,
        "failed_requests": 2,
        "uptime": 60.0,
        "average_latency": 0.84,
        "median_latency": 0.7,
        "p99_latency": 1.5,
    }
    assert system.get("/customers/cust_1/stats", from_date="1970-01-01").json() == stats
    assert system.get("/customers/cust_1/stats", from_date="2024-09-29").json() == stats
    assert system.get("/customers/customer/stats/all", from_date="2024-09-01").json() == stats
    for path in ("/customers/cust_1/stats", "/customers/customer/stats/all"):
        late = system.get(path, from_date="2024-09-30")
        assert late.status_code == 404
        assert late.headers["content-type"] == "application/problem+json"
        tomorrow = datetime.now(UTC).date() + timedelta(days=2)
        for day in ("29-09-2024", "2024-02-30", str(tomorrow)):
            refused = system.get(path, from_date=day)
            assert refused.status_code == 422
            assert day in refused.json()["detail"]
    assert system.get("/customers/nobody/stats", from_date="1970-01-01").status_code == 404


def test_statistics_are_those_of_the_values_themselves(system: System) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tailrace", "generate", "requests", "--to", str(system.log)),
            *("--count", "12000", "--seed", "5", "--start", "2026-01-20T12:00:00Z"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = system.log.read_text().splitlines()
    with system.collector():
        system.wait_for(12_000)
    assert system.sums() == {12_000}
    for since in ("1970-01-01", "2025-12-31", "2026-01-19", "2026-01-20"):
        first = date.fromisoformat(since)
        answer = system.get("/customers/customer/stats/all", from_date=since)
        assert answer.json() == expected(lines, None, first)
        for customer in ("cust_1", "cust_14", "cust_49"):
            answer = system.get(f"/customers/{customer}/stats", from_date=since)
            assert answer.json() == expected(lines, customer, first)


def test_a_median_of_few_and_of_many_values_is_at_its_place(system: System) -> None:
    chance = random.Random(11)
    lines = [
        f"2026-03-04 05:06:{number % 60:02d} n{total} /p 200 {chance.randrange(2001) / 1000:.3f}"
        for total in (1, 2, 3, 98, 99, 100, 101, 150, 199, 200, 201)
        for number in range(total)
    ]
    system.append("\n".join(lines) + "\n")
    with system.collector():
        system.wait_for(len(lines))
    for total in (1, 2, 3, 98, 99, 100, 101, 150, 199, 200, 201):
        answer = system.get(f"/customers/n{total}/stats", from_date="2026-03-04")
        assert answer.json() == expected(lines, f"n{total}", date(2026, 3, 4)), total


def test_lines_that_are_no_request_are_kept_with_the_reason(system: System) -> None:
    bad = {
        "": "six words",
        "hello": "six words",
        "2024-09-29 01:00:00 cust_1 /a b 200 0.5": "six words",
        "2024-09-29 01:00:00  /a 200 0.5": "six words",
        "2024-09-29  01:00:00 cust_1 /a 200 0.5": "six words",
        "2024-13-29 01:00:00 cust_1 /a 200 0.5": "the time '2024-13-29 01:00:00'",
        "1969-12-31 23:59:59 cust_1 /a 200 0.5": "not from 1970",
        "2024-09-29 01:00:00 cust_1 /a two 0.5": "the status 'two'",
        "2024-09-29 01:00:00 cust_1 /a 99 0.5": "the status '99'",
        "2024-09-29 01:00:00 cust_1 /a 200 fast": "the seconds 'fast'",
        "2024-09-29 01:00:00 cust_1 /a 200 -1": "the seconds '-1'",
        "2024-09-29 01:00:00 cust_1 /a 200 inf": "the seconds 'inf'",
        "2024-09-29 01:00:00 cust_1 /a 200 nan": "the seconds 'nan'",
        "2024-09-29 01:00:00 cust_1 /ä 999999999999999999999 0.5": "the status '9999",
    }
    system.append(REFERENCE + "".join(f"{line}\n" for line in bad) + REFERENCE)
    with system.collector():
        system.wait_for(10)

        def rejected() -> list[dict[str, Any]]:
            return system.engine.query("SELECT * FROM logs.rejected")

        eventually(lambda: len(rejected()) >= len([line for line in bad if line]), "rejected lines")
    reasons = {row["raw"]: row["reason"] for row in rejected()}
    assert {line: reason for line, reason in reasons.items() if bad[line] not in reason} == {}
    assert reasons.keys() >= {line for line in bad if line}
    assert {row["component_id"] for row in rejected()} == {"requests"}
    assert {row["peer"] for row in rejected()} == {str(system.log)}
    assert system.rows() == 10


def test_a_time_is_stored_as_it_was_read(system: System) -> None:
    times = ("+2024-09-29 01:00:00", "2024-9-29 1:0:0", "2024-09-29 01:00:00")
    system.append("".join(f"{time} cust_1 /a 200 0.5\n" for time in times))
    with system.collector():
        system.wait_for(len(times))
    found = system.engine.query("SELECT DISTINCT toString(timestamp) AS at FROM logs.api_requests")
    assert found == [{"at": "2024-09-29 01:00:00"}]


class Writer(threading.Thread):
    """Appends numbered requests and rotates the file now and then, as an application does."""

    def __init__(self, log: Path, lines: int, rotate_every: int) -> None:
        super().__init__()
        self.log = log
        self.lines = lines
        self.rotate_every = rotate_every

    @override
    def run(self) -> None:
        chance = random.Random(3)
        pause = threading.Event()
        number = rotations = 0
        while number < self.lines:
            with self.log.open("a") as file:
                while number < self.lines:
                    # Now and then a line is there by halves for a moment.
                    line = (
                        f"2026-02-03 04:05:{number % 60:02d} c{number % 9} /n/{number} 200 0.25\n"
                    )
                    cut = chance.randrange(1, len(line)) if chance.random() < 0.01 else 0
                    file.write(line[:cut])
                    if cut:
                        file.flush()
                        pause.wait(0.002)
                    file.write(line[cut:])
                    number += 1
                    if number % self.rotate_every == 0:
                        break
            rotations += 1
            os.rename(self.log, self.log.with_name(f"{self.log.name}.{rotations}"))


@pytest.mark.parametrize("kills", [0, 4])
def test_a_file_that_grows_and_is_rotated_is_read_once(system: System, kills: int) -> None:
    lines = 9_000
    writer = Writer(system.log, lines, rotate_every=1_700)
    writer.start()
    for round_ in range(kills):
        seen = system.rows()
        with system.collector() as collector:
            eventually(partial(system.has_more_than, seen, writer), "more rows")
            if round_ % 2:
                writer.join(0.05)
            collector.kill()
    with system.collector():
        writer.join()
        system.wait_for(lines)
    [found] = system.engine.query(
        "SELECT count() AS rows, uniqExact(path) AS different, uniqExact(file) AS files, "
        "(SELECT count() FROM logs.rejected) AS rejected FROM logs.api_requests"
    )
    assert int(found["rows"]) == int(found["different"]) == lines
    assert int(found["rejected"]) == 0
    assert system.sums() == {lines}


def test_service_levels_are_those_of_the_lines(system: System) -> None:
    now = datetime.now(UTC)
    ages = {"a": 60, "b": 2_000, "c": 30_000, "d": 400_000}
    lines = [
        f"{now - timedelta(seconds=ages[customer]):%Y-%m-%d %H:%M:%S} {customer} /p{number % 2} "
        f"{(200, 404, 500)[number % 3 if number < 30 else 0]} {0.1 * (1 + number % 10):.1f}\n"
        for customer in ages
        for number in range(1_000)
    ]
    system.append("".join(lines))
    with system.collector():
        system.wait_for(len(lines))
    answer = system.get("/api/v1/requests/slo", target=99, apdex=0.2).json()
    rows = {row["customer_id"]: row for row in answer["rows"]}
    assert rows.keys() == ages.keys()
    # Per ten: two within 0.2 s and six more within 0.8 s, but for those that failed.
    good = [0.1 * (1 + n % 10) for n in range(1_000) if n >= 30 or n % 3 == 0]
    apdex = (sum(one < 0.21 for one in good) + sum(one < 0.81 for one in good)) / 2 / 1_000
    for row in rows.values():
        assert (row["requests"], row["failed"], row["availability"]) == (1_000, 20, 98.0)
        assert row["error_budget"] == {"allowed": 10.0, "used": 20, "left": -1.0}
        assert row["apdex"] == apdex
    assert rows["a"]["burn_rates"] == dict.fromkeys(rows["a"]["burn_rates"], 2.0)
    assert rows["a"]["alert"] == "ticket"
    b = rows["b"]["burn_rates"]
    assert (b["5m"], b["30m"], b["1h"], b["3d"]) == (None, None, 2.0, 2.0)
    assert rows["c"]["burn_rates"]["6h"] is None
    assert rows["c"]["burn_rates"]["1d"] == 2.0
    assert set(rows["d"]["burn_rates"].values()) == {None}
    assert rows["d"]["alert"] is None
    by_path = system.get("/api/v1/requests/slo", by="path", failed_from="500").json()["rows"]
    assert {(row["path"], row["requests"], row["failed"]) for row in by_path} == {
        ("/p0", 2_000, 20),
        ("/p1", 2_000, 20),
    }
    [one] = system.get(
        "/api/v1/requests/slo", by="customer,path", customer_id="a", path="/p1"
    ).json()["rows"]
    assert (one["customer_id"], one["path"], one["requests"]) == ("a", "/p1", 500)
    [everything] = system.get("/api/v1/requests/slo", by="all").json()["rows"]
    assert (everything["requests"], everything["failed"]) == (4_000, 80)
    assert everything["burn_rates"]["3d"] == rows["a"]["burn_rates"]["3d"] * 10


def test_service_levels_come_page_by_page_and_by_part_of_a_path(system: System) -> None:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    lines = [
        f"{now} c{customer} /{'api' if customer % 2 else 'web'}/{path} {status} 0.1\n"
        for customer in range(7)
        for path in ("a", "b")
        # Customers with the same share of failures follow each other by name.
        for status in [500] * (customer // 2) + [200] * (9 - customer // 2)
    ]
    system.append("".join(lines))
    with system.collector():
        system.wait_for(len(lines))
    asked = {"by": "customer,path", "limit": 3}
    found: list[tuple[str, str]] = []
    answer = system.get("/api/v1/requests/slo", **asked).json()
    while answer["next"]:
        assert len(answer["rows"]) == 3
        found += [(row["customer_id"], row["path"]) for row in answer["rows"]]
        answer = system.get("/api/v1/requests/slo", **asked, cursor=answer["next"]).json()
    found += [(row["customer_id"], row["path"]) for row in answer["rows"]]
    whole = system.get("/api/v1/requests/slo", by="customer,path").json()
    assert whole["next"] is None
    assert found == [(row["customer_id"], row["path"]) for row in whole["rows"]]
    assert found[:3] == [("c6", "/web/a"), ("c6", "/web/b"), ("c4", "/web/a")]
    assert len(found) == len(set(found)) == 14
    api = system.get("/api/v1/requests/slo", by="path", path="/api/*").json()
    assert {row["path"] for row in api["rows"]} == {"/api/a", "/api/b"}
    assert {row["burn_rates"]["5m"] is None for row in api["rows"]} == {False}
    refused = system.get("/api/v1/requests/slo", cursor="nonsense")
    assert refused.status_code == 400
    assert "cannot use the cursor 'nonsense'" in refused.json()["detail"]


def test_apdex_is_that_of_the_values_for_any_time(system: System) -> None:
    chance = random.Random(6)
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    values = [chance.choice((0, 19, 20, 21, 99, chance.randrange(9000))) for _ in range(3_000)]
    lines = [
        f"{now} c{number % 3} /p {200 if number % 5 else 404} {ms / 1000:.3f}\n"
        for number, ms in enumerate(values)
    ]
    system.append("".join(lines))
    with system.collector():
        system.wait_for(len(lines))
    for ms in (1, 5, 20, 21, 26, 60, 250, 333, 500, 501, 1777):
        answer = system.get("/api/v1/requests/slo", apdex=ms / 1000).json()
        for row in answer["rows"]:
            good = [
                value
                for number, value in enumerate(values)
                if f"c{number % 3}" == row["customer_id"] and number % 5
            ]
            satisfied = sum(value <= ms for value in good)
            tolerated = sum(value <= 4 * ms for value in good)
            assert row["apdex"] == round((satisfied + tolerated) / 2 / row["requests"], 5), ms


def test_classes_of_latencies_are_the_same_in_the_table(system: System) -> None:
    every_ms = [*range(12_000), *range(12_000, 1_300_000, 487), 999_999_999]
    rows = "SELECT toDateTime(0), 'c', '/p', 200, arrayJoin({}) / 1000, ''"
    columns = "timestamp, customer_id, path, status, seconds, file"
    system.engine.execute(
        f"INSERT INTO logs.api_requests ({columns}) {rows.format(every_ms)} "
        "SETTINGS max_ast_elements = 1000000, max_query_size = 10000000"
    )
    found = system.engine.query("SELECT ms, upto_ms FROM logs.api_requests ORDER BY ms")
    assert [(row["ms"], row["upto_ms"]) for row in found] == [(ms, upto_ms(ms)) for ms in every_ms]
    assert system.sums() == {len(every_ms)}


@pytest.mark.parametrize("minutes", [7, 119, 150, 1_500, 2_900, 6_000])
def test_the_dashboard_shows_what_is_in_its_range(system: System, minutes: int) -> None:
    """Of every table that a range takes it from: requests themselves, minutes, days."""
    chance = random.Random(minutes)
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=3)
    start = end - timedelta(minutes=minutes, seconds=17)
    rows = [
        (
            start + timedelta(seconds=chance.randrange(-90, minutes * 60 + 100)),
            f"c{chance.randrange(5)}",
            chance.choice((200, 201, 404, 500)),
            chance.randrange(1, 3_000),
        )
        for _ in range(3_000)
    ]
    # Most at the edges, where tables meet.
    rows += [(start + timedelta(seconds=n), "c1", 200, 100) for n in range(-70, 70)]
    rows += [(end + timedelta(seconds=n), "c1", 500, 100) for n in range(-70, 3)]
    body = "".join(
        f'{{"timestamp":{at.timestamp():.0f},"customer_id":"{customer}","path":"/p",'
        f'"status":{status},"seconds":{ms / 1000}}}\n'
        for at, customer, status, ms in rows
    )
    system.engine.execute(f"INSERT INTO logs.api_requests FORMAT JSONEachRow\n{body}")

    def panel(name: str) -> list[dict[str, Any]]:
        span = {"from": start.isoformat(), "to": end.isoformat()}
        answer = system.get(f"/api/v1/dashboards/requests/panels/{name}", **span)
        found: list[dict[str, Any]] = answer.json()["rows"]
        return found

    def number(name: str) -> float:
        [row] = panel(name)
        return float(*row.values())

    inside = [row for row in rows if start <= row[0] < end]
    good = sum(status < 400 for _, _, status, _ in inside)
    latencies = sorted(ms for *_, ms in inside)
    assert number("requests") == len(inside)
    assert number("uptime") == pytest.approx(100 * good / len(inside))
    assert sum(row["requests"] for row in panel("requests-by-status")) >= len(inside)
    assert number("median-latency") == pytest.approx(latencies[len(inside) // 2] / 1000, rel=0.1)
    used = {row["customer"]: row["used"] for row in panel("most-error-budget-used")}
    customers = {row["customer"]: row for row in panel("customers")}
    assert customers.keys() == {row[1] for row in inside}
    for name, row in customers.items():
        own = [one for one in inside if one[1] == name]
        assert row["requests"] == len(own)
        assert row["failed"] == sum(status >= 400 for _, _, status, _ in own)
        assert used.pop(name) == pytest.approx(100 * row["failed"] / len(own) / 0.001)
        median = sorted(ms for *_, ms in own)[len(own) // 2] / 1000
        assert row["median"] == pytest.approx(median, rel=0.15)
    assert not used
