"""The pack `requests` without a database: its lines, its arithmetic, and what its routes answer."""

import random
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from fastapi import FastAPI

from tailrace.errors import QueryError, UsageError
from tailrace.packs import find_packs
from tailrace.packs.requests.classes import at_place, upto_ms
from tailrace.packs.requests.generate import CUSTOMERS, PATHS, STATUSES, RequestGenerator
from tailrace.packs.requests.levels import FEW_ROWS, ServiceLevelObjectives
from tailrace.packs.requests.objectives import RULES, WINDOWS, Objective, apdex
from tailrace.packs.requests.routes import median_place, p99_place, router
from tailrace.packs.requests.windows import Windows
from tailrace.settings import Settings

NOW = datetime(2026, 11, 22, 12, 30, 15, 250_000, UTC)
LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (\w+) (\S+) (\d{3}) (\d\.\d{3})\n")


def lines_of(count: int, seed: int = 1) -> list[str]:
    made: list[str] = []
    start_ns = int(NOW.timestamp() * 1e9)
    for chunk in RequestGenerator(seed, 1000.0).chunks():
        made += chunk.render(start_ns, chunk.secs)
        start_ns += int(chunk.secs * 1e9)
        if len(made) >= count:
            return made[:count]
    raise AssertionError("the generator ended")


def test_lines_have_the_form_the_names_and_the_ranges_of_their_kind() -> None:
    found = [LINE.fullmatch(line) for line in lines_of(20_000)]
    assert all(found)
    groups = [line.groups() for line in found if line]
    assert {customer for _, customer, *_ in groups} == set(CUSTOMERS)
    assert len(CUSTOMERS) == 50
    assert {path for _, _, path, *_ in groups} == set(PATHS)
    assert {int(status) for *_, status, _ in groups} == set(STATUSES)
    assert all(0.1 <= float(seconds) <= 2.0 for *_, seconds in groups)


def test_times_are_the_present_or_of_the_thirty_days_before() -> None:
    found = [LINE.fullmatch(line) for line in lines_of(20_000)]
    times = [
        datetime.strptime(line[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        for line in found
        if line
    ]
    latest = NOW + timedelta(seconds=21)
    assert all(NOW - timedelta(days=30) <= time <= latest for time in times)
    assert 0.7 < sum(time >= NOW.replace(microsecond=0) for time in times) / len(times) < 0.8
    assert len({time.date() for time in times}) > 28


def test_the_same_seed_makes_the_same_lines_and_another_seed_others() -> None:
    assert lines_of(5000, seed=7) == lines_of(5000, seed=7)
    assert lines_of(5000, seed=7) != lines_of(5000, seed=8)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("LOG_FILE_PATH", "", "it is empty, and sets the log file"),
        ("LOG_BATCH_SIZE", "0", "at least 1, and sets how many lines"),
        ("LOG_BATCH_SIZE", "many", "it is no integer, and sets how many lines"),
        ("LOG_BATCH_SIZE", "", "it is empty, and sets how many lines"),
        ("LOG_INTERVAL_SECONDS", "0", "at least 0.001, and sets the seconds"),
        ("LOG_INTERVAL_SECONDS", "-1", "at least 0.001, and sets the seconds"),
        ("LOG_INTERVAL_SECONDS", "nan", "it is no number, and sets the seconds"),
        ("LOG_INTERVAL_SECONDS", "inf", "it is no number, and sets the seconds"),
        ("MAX_LOGS_TO_GENERATE", "-4", "at least 0, and sets how many lines"),
        ("MAX_LOGS_TO_GENERATE", "1.5", "it is no integer, and sets how many lines"),
    ],
)
def test_a_value_that_the_environment_cannot_have_is_named(name: str, text: str, why: str) -> None:
    settings = Settings.read()
    [pack] = find_packs(settings, ["requests"])
    with pytest.raises(UsageError, match=re.escape(f"cannot use {name}={text!r}: ")) as refused:
        pack.values(settings, {name: text})
    assert why in str(refused.value)


def test_events_are_spread_evenly_over_a_chunk() -> None:
    [chunk] = islice(RequestGenerator(1, 50.0).chunks(), 1)
    assert chunk.secs == len(chunk.offsets) / 50.0
    steps = {round(b - a, 9) for a, b in zip(chunk.offsets, chunk.offsets[1:], strict=False)}
    assert steps == {round(1 / len(chunk.offsets), 9)}


@pytest.mark.parametrize(
    ("short", "long", "rate"),
    [("5m", "1h", 14.4), ("30m", "6h", 6), ("2h", "1d", 3), ("6h", "3d", 1)],
)
def test_the_rules_for_thirty_days_are_those_of_the_workbook(
    short: str, long: str, rate: float
) -> None:
    [rule] = [rule for rule in RULES if rule.long == long]
    assert rule.short == short
    assert rule.burn_rate(30) == pytest.approx(rate)
    assert WINDOWS[long] == 12 * WINDOWS[short]


def test_both_windows_must_burn_and_the_most_urgent_rule_counts() -> None:
    objective = Objective(0.999, 30)
    calm: dict[str, float | None] = dict.fromkeys(WINDOWS, 0.5)
    assert objective.alert(calm) is None
    assert objective.alert({**calm, "1h": 20.0}) is None
    paged = objective.alert({**calm, "1h": 20.0, "5m": 15.0, "3d": 2.0, "6h": 2.0})
    assert paged is not None
    assert (paged[0], paged[1].long) == ("page", "1h")
    told = objective.alert({**calm, "3d": 1.0, "6h": 1.0, "5m": None})
    assert told is not None
    assert (told[0], told[1].long) == ("ticket", "3d")


def test_a_budget_is_used_up_when_as_many_failed_as_may() -> None:
    objective = Objective(0.99, 30)
    assert objective.burn_rate(1000, 10) == pytest.approx(1)
    assert objective.budget_left(1000, 10) == pytest.approx(0)
    assert objective.budget_left(1000, 25) == pytest.approx(-1.5)
    assert objective.budget_left(1000, 0) == 1
    assert objective.burn_rate(0, 0) is None
    assert objective.budget_left(0, 0) is None


def test_apdex_counts_those_that_wait_four_times_as_long_half() -> None:
    assert apdex(100, 60, 90) == 0.75
    assert apdex(10, 10, 10) == 1
    assert apdex(10, 0, 0) == 0
    assert apdex(0, 0, 0) is None


class FakeHost:
    """A database that gives prepared rows to any question that holds a text."""

    def __init__(self, answers: Mapping[str, list[tuple[Any, ...]]]) -> None:
        self.answers = answers
        self.asked: list[Mapping[str, Any]] = []

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        self.asked.append(parameters or {})
        [rows] = [rows for part, rows in self.answers.items() if part in sql]
        return rows

    def now(self) -> datetime:
        return NOW

    def page(self, template: str, **values: object) -> str:
        raise AssertionError(f"{template}: this pack has no pages")


async def get(host: FakeHost, url: str, /, **parameters: str) -> httpx.Response:
    app = FastAPI()
    app.include_router(router(host))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(url, params=parameters)


STATS: dict[str, list[tuple[Any, ...]]] = {
    "micros": [(300, 2, 0, 500_000), (500, 1, 1, 500_000)],
    "by_millisecond": [(300, 255, 1), (300, 300, 1), (500, 470, 1)],
}


async def test_stats_are_rounded_to_five_places() -> None:
    host = FakeHost(STATS)
    answer = await get(host, "/customers/cust_1/stats", from_date="2026-11-01")
    assert answer.json() == {
        "total_requests": 3,
        "successful_requests": 2,
        "failed_requests": 1,
        "uptime": 66.66667,
        "average_latency": 0.33333,
        "median_latency": 0.3,
        "p99_latency": 0.47,
    }
    asked = {"customer_id": "cust_1", "from_date": date(2026, 11, 1)}
    assert host.asked == [asked, {**asked, "classes": [300, 500]}]
    host.asked.clear()
    await get(host, "/customers/customer/stats/all", from_date="2026-11-22")
    assert [asked["customer_id"] for asked in host.asked] == ["", ""]


async def test_a_class_that_is_ahead_of_its_milliseconds_gives_the_last_of_them() -> None:
    """An insert reaches one rollup before the other."""
    host = FakeHost({"micros": [(300, 9, 0, 1)], "by_millisecond": [(300, 255, 1), (300, 260, 2)]})
    answer = await get(host, "/customers/cust_1/stats", from_date="2026-11-01")
    assert answer.json()["median_latency"] == 0.26


@pytest.mark.parametrize("total", [1, 2, 3, 99, 100, 101, 199, 200, 1000, 12345])
def test_places_are_those_of_the_definition(total: int) -> None:
    values = list(range(total))
    counts = [(value, 1) for value in values]
    assert at_place(counts, median_place(total))[0] == values[total // 2]
    expected = values[total * 99 // 100 - 1] if total >= 100 else values[-1]
    assert at_place(counts, p99_place(total))[0] == expected


def test_classes_are_short_and_join_without_a_gap() -> None:
    ends = sorted({upto_ms(ms) for ms in range(120_000)})
    assert ends[0] == 0
    assert all(upto_ms(end) == end and upto_ms(end + 1) > end for end in ends)
    for before, end in pairwise(ends[1:]):
        assert end - before <= max(20, end / 5)
        assert upto_ms(before + 1) == end


def test_cells_add_up_to_the_windows_whatever_the_time() -> None:
    chance = random.Random(4)
    for _ in range(200):
        now = NOW + timedelta(seconds=chance.randrange(7200)) * chance.randrange(2)
        now = now.replace(microsecond=0, minute=chance.choice((0, 1, 30, 59)))
        windows = Windows(now, WINDOWS)
        this_hour = now.replace(minute=0, second=0)
        expected, counts = [0] * 7, [0] * 80
        for age in range(0, 262_800, 60):
            minute = now.replace(second=0) - timedelta(seconds=age)
            hour = minute.replace(minute=0)
            expected = [
                n + (minute > start) for n, start in zip(expected, windows.starts, strict=True)
            ]
            # What windows.sql does: by the minute, and, once an hour, by the hour.
            if hour in windows.hours:
                shortest = sum(minute <= start for start in windows.starts)
                counts[8 * (windows.hours.index(hour) + 1) + shortest] += 1
            if hour < this_hour and hour > windows.starts[-1]:
                counts[sum(hour <= start for start in windows.starts)] += 1
        assert windows.sums(counts) == expected


async def test_a_day_before_every_row_is_the_first_day() -> None:
    host = FakeHost(STATS)
    answer = await get(host, "/customers/cust_1/stats", from_date="1492-10-12")
    assert answer.status_code == 200
    assert host.asked[0]["from_date"] == date(1970, 1, 1)


@pytest.mark.parametrize(
    "day", ["01-01-2023", "2023-02-29", "today", "", "3024-10-01", "2026-11-23"]
)
@pytest.mark.parametrize("path", ["/customers/cust_1/stats", "/customers/customer/stats/all"])
async def test_a_wrong_day_or_one_of_the_future_is_refused(path: str, day: str) -> None:
    assert (await get(FakeHost({}), path, from_date=day)).status_code == 422


async def test_a_day_is_required() -> None:
    assert (await get(FakeHost({}), "/customers/cust_1/stats")).status_code == 422


@pytest.mark.parametrize(
    "customer", ["a%2Fb", "..%2F..%2Fetc", "a%20b", "%3Cscript%3E", "customer"]
)
async def test_a_customer_may_have_any_name(customer: str) -> None:
    host = FakeHost({"": []})
    answer = await get(host, f"/customers/{customer}/stats", from_date="2026-11-01")
    assert answer.status_code == 404
    assert [asked["customer_id"] for asked in host.asked] == [unquote(customer)]


async def test_no_name_is_no_customer() -> None:
    """In the rollups it stands for all of them."""
    answer = await get(FakeHost({}), "/customers//stats", from_date="2026-11-01")
    assert answer.status_code == 422


async def test_a_customer_without_requests_is_not_found() -> None:
    host = FakeHost({"": []})
    answer = await get(host, "/customers/nobody/stats", from_date="2026-11-01")
    assert answer.status_code == 404
    assert "'nobody'" in answer.text


async def test_levels_have_budgets_burn_rates_and_the_worst_first() -> None:
    host = FakeHost(
        {
            "HAVING": [("cust_2", "", 1000, 20, 0, 0), ("cust_1", "", 1000, 1, 900, 1000)],
            "cell": [("cust_1", "", [100] * 80, [0] * 80), ("cust_2", "", [100] * 80, [2] * 80)],
        }
    )
    answer = (await get(host, "/api/v1/requests/slo", target="99", apdex="0.25")).json()
    worst, best = answer["rows"]
    assert (worst["customer_id"], best["customer_id"]) == ("cust_2", "cust_1")
    assert worst["path"] is None
    assert worst["error_budget"] == {"allowed": 10.0, "used": 20, "left": -1.0}
    assert worst["burn_rates"] == dict.fromkeys(WINDOWS, 2.0)
    assert (worst["alert"], worst["alert_windows"]) == ("ticket", ["6h", "3d"])
    assert (best["error_budget"]["left"], best["availability"], best["apdex"]) == (0.9, 99.9, 0.95)
    assert best["alert"] is None
    assert [asked["by_customer"] for asked in host.asked] == [True, True]
    assert host.asked[0]["from_date"] == date(2026, 10, 24)
    assert host.asked[0]["satisfied_ms"] == 250
    assert host.asked[1]["now"] == NOW.replace(microsecond=0)
    assert host.asked[1]["customers"] == ["cust_1", "cust_2"]
    assert answer["next"] is None


async def test_what_had_no_request_lately_burns_nothing() -> None:
    host = FakeHost({"HAVING": [("", "/old", 10, 10, 0, 0)], "cell": []})
    [row] = (await get(host, "/api/v1/requests/slo", by="path")).json()["rows"]
    assert row["path"] == "/old"
    assert Counter(row["burn_rates"].values()) == {None: len(WINDOWS)}
    assert row["alert"] is None


async def test_a_page_says_where_the_next_begins() -> None:
    rows: list[tuple[Any, ...]] = [(f"c{n}", "", 10, 10 - n, 0, 0) for n in range(3)]
    host = FakeHost({"HAVING": rows, "cell": []})
    answer = (await get(host, "/api/v1/requests/slo", limit="2")).json()
    assert [row["customer_id"] for row in answer["rows"]] == ["c0", "c1"]
    assert host.asked[0]["rows"] == FEW_ROWS + 1
    assert host.asked[1]["customers"] == ["c0", "c1"]
    await get(host, "/api/v1/requests/slo", limit="2", cursor=answer["next"])
    after = {name[6:]: value for name, value in host.asked[2].items() if name.startswith("after_")}
    assert after == {"share": 0.9, "customer": "c1", "path": ""}


async def test_names_of_few_rows_are_not_waited_for() -> None:
    many: list[tuple[Any, ...]] = [(f"c{n}", "", 10, 1, 0, 0) for n in range(FEW_ROWS + 1)]
    host = FakeHost({})
    levels = ServiceLevelObjectives(host)
    names = []
    for rows in (many[:2], many[:2], many, many[:2]):
        host.answers = {"HAVING": rows, "cell": []}
        host.asked.clear()
        await levels.slo()
        names += [asked["customers"] for asked in host.asked if "customers" in asked]
    assert names == [["c0", "c1"], [], [], ["c0", "c1"]]


@pytest.mark.parametrize("cursor", ["x", "WzFd", "bnVsbA", "ä", "W10", "WyJ4IiwiIiwiIl0"])
async def test_a_cursor_that_was_not_given_out_is_refused(cursor: str) -> None:
    with pytest.raises(QueryError, match="cannot use the cursor"):
        await get(FakeHost({}), "/api/v1/requests/slo", cursor=cursor)


async def test_a_time_within_a_class_is_read_by_the_millisecond() -> None:
    host = FakeHost(
        {
            "HAVING": [("a", "", 10, 1, 3, 5), ("b", "", 10, 0, 3, 5)],
            "by_millisecond": [("a", "", 2, 1)],
            "cell": [],
        }
    )
    answer = (await get(host, "/api/v1/requests/slo", apdex="0.26")).json()
    assert [one["classes"] for one in host.asked if "classes" in one] == [[300, 1200]]
    assert [row["apdex"] for row in answer["rows"]] == [0.55, 0.4]


@pytest.mark.parametrize(
    ("path", "asked"), [("", ("", False)), ("/a", ("/a", True)), ("/a/*", ("/a/", False))]
)
async def test_paths_are_whole_or_begin_so(path: str, asked: tuple[str, bool]) -> None:
    host = FakeHost({"HAVING": []})
    await get(host, "/api/v1/requests/slo", path=path)
    assert (host.asked[0]["path"], host.asked[0]["whole_path"]) == asked


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"target": "100"},
        {"target": "0"},
        {"by": "file"},
        {"apdex": "0"},
        {"failed_from": "300"},
    ],
)
async def test_an_objective_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    assert (await get(FakeHost({}), "/api/v1/requests/slo", **wrong)).status_code == 422
