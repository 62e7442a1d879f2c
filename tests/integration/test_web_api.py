"""The API over a real engine: pages without loss or repetition, search, order, rows, live tail."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tailrace.store import Limits
from tests.integration.collect_system import eventually
from tests.web_system import WebSystem, running, start_web

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSystem]:
    with running(tmp_path_factory.mktemp("web")) as started:
        yield started


@pytest.fixture(autouse=True)
def _cleared(system: WebSystem) -> None:
    system.clear()


def event(number: int, **fields: Any) -> dict[str, Any]:
    moment = START + timedelta(milliseconds=number)
    plain = {
        "timestamp": moment.isoformat(),
        "level": "INFO",
        "message": f"event {number}",
        "source": "auth",
    }
    return {**plain, **fields}


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


def walk(system: WebSystem, way: str, cursor: str | None = None, **parameters: Any) -> list[str]:
    """Messages of every page in one direction."""
    messages: list[str] = []
    while True:
        given = {**parameters, **({"cursor": cursor} if cursor else {})}
        answer = system.get("/api/v1/logs", **given)
        page = [row["message"] for row in rows_of(answer)]
        messages = messages + page if way == "next" else page + messages
        cursor = answer.json()[way]
        if cursor is None or not page:
            return messages


@pytest.mark.parametrize("order", ["-timestamp", "timestamp", "source", "-level", "message"])
def test_paging_loses_and_repeats_nothing_among_equal_timestamps(
    system: WebSystem, order: str
) -> None:
    same = START.isoformat()
    for batch in range(4):
        system.insert(event(0, timestamp=same, message=f"{batch}-{n}") for n in range(500))
    system.insert(event(n + 1, message=f"later-{n}", source=f"s{n % 3}") for n in range(300))
    found = walk(system, "next", order=order, limit=97)
    assert len(found) == 2300
    assert len(set(found)) == 2300


def test_paging_back_gives_the_same_rows_as_paging_on(system: WebSystem) -> None:
    system.insert(event(n % 7) | {"message": f"m{n}"} for n in range(700))
    everything = walk(system, "next", limit=100)
    last = system.get("/api/v1/logs", limit=100)
    while last.json()["next"]:
        last = system.get("/api/v1/logs", limit=100, cursor=last.json()["next"])
    back = walk(system, "prev", last.json()["prev"], limit=100)
    assert back + [row["message"] for row in last.json()["rows"]] == everything


def test_rows_that_share_their_whole_key_are_paged_through(system: WebSystem) -> None:
    system.store.command(
        "INSERT INTO logs.application_logs (timestamp, message, arrival) SELECT "
        "toDateTime64('2026-11-22 10:00:00', 9, 'UTC'), toString(number), 7 FROM numbers(250)"
    )
    found = walk(system, "next", limit=100)
    assert sorted(found, key=int) == [str(number) for number in range(250)]
    second = system.get("/api/v1/logs", cursor=system.get("/api/v1/logs").json()["next"])
    first_again = system.get("/api/v1/logs", cursor=second.json()["prev"])
    assert len(rows_of(first_again)) == 100
    assert not {r["message"] for r in rows_of(first_again)} & {
        r["message"] for r in rows_of(second)
    }


def test_a_page_does_not_shift_when_rows_arrive(system: WebSystem) -> None:
    system.insert(event(n) for n in range(200))
    first = system.get("/api/v1/logs", limit=100).json()
    system.insert(event(1000 + n) for n in range(50))
    second = system.get("/api/v1/logs", limit=100, cursor=first["next"])
    assert rows_of(second)[0]["message"] == "event 99"


SEARCHED = [
    event(1, message="Card declined order=48217", level="error", source="payment", status=503,
          user=42, duration_ms=182, path="/api/pay", trace_id="4bf92f35"),
    event(2, message="card authorised", source="payment", status=200, user=43, duration_ms=20.5),
    event(3, message="login ok healthcheck", level="debug", user=42, duration_ms=900),
    event(4, message="disk almost full", level="warn", source="search", host="pay-3"),
    event(5, message="ledger mismatch", level="fatal", source="payment", note="100%_'\\ \n\t{p0}"),
    event(6, message="Übung macht den Meister", level="info", source="profile", nested={"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [6, 5, 4, 3, 2, 1]),
        ("card", [2, 1]),
        ("CARD declined", [1]),
        ('"declined order"', [1]),
        ('"order card"', []),
        ("decl", []),
        ("*clin*", [1]),
        ("decl*", [1]),
        ("/dec[a-z]+ned/", [1]),
        ("übung", [6]),
        ("order=48217", [1]),
        ("level:error", [1]),
        ("level:>=warning", [5, 4, 1]),
        ("level:(error OR critical)", [5, 1]),
        ("source:payment -declined", [5, 2]),
        ("status:>=500", [1]),
        ("NOT status:>=500", [6, 5, 4, 3, 2]),
        ("duration_ms:[20.5 TO 900}", [2, 1]),
        ("duration_ms:{20.5 TO 900]", [3, 1]),
        ("user:(42 OR 43)", [3, 2, 1]),
        ("user:42 level:error", [1]),
        ("path:/api/*", [1]),
        ("path:/^.api/", [1]),
        ("path:/^api/", []),
        ("trace_id:*", [1]),
        ("status:*", [2, 1]),
        ("host:pay-3", [4]),
        ("nested.a:1", [6]),
        ('note:"100%_\'\\\\ \n\t{p0}"', [5]),
        ("note:100%_*", [5]),
        ('timestamp:"2026-11-22T10:00:00.003Z"', [3]),
        ("timestamp:[2026-11-22T10:00:00.002 TO 2026-11-22T10:00:00.004}", [3, 2]),
    ],
)
def test_what_a_search_finds(system: WebSystem, text: str, numbers: list[int]) -> None:
    system.insert(SEARCHED)
    found = rows_of(system.get("/api/v1/logs", q=text))
    assert [int(row["timestamp"][20:23]) for row in found] == numbers


def test_filters_and_times(system: WebSystem) -> None:
    system.insert(SEARCHED)
    chosen = system.get("/api/v1/logs", level=["error", "WARNING"], source=["payment", "search"])
    assert [row["log_level"] for row in rows_of(chosen)] == ["WARNING", "ERROR"]
    cut = {"from": "2026-11-22T10:00:00.002Z", "to": "2026-11-22T10:00:00.004Z"}
    assert len(rows_of(system.get("/api/v1/logs", **cut))) == 2
    assert rows_of(system.get("/api/v1/logs", **{"from": "5m"}, to="now")) == []


def test_levels_sort_by_severity_over_the_whole_result(system: WebSystem) -> None:
    system.insert(event(n, level=["debug", "info", "error"][n % 3]) for n in range(300))
    system.insert([event(999, level="critical"), event(0, level="warning")])
    worst = rows_of(system.get("/api/v1/logs", order="-level", limit=3))
    assert [row["log_level"] for row in worst] == ["CRITICAL", "ERROR", "ERROR"]
    mildest = rows_of(system.get("/api/v1/logs", order="level", limit=1))
    assert mildest[0]["log_level"] == "DEBUG"


def test_an_answer_says_what_it_took_and_the_sql_that_ran(system: WebSystem) -> None:
    system.insert(SEARCHED)
    answer = system.get("/api/v1/logs", q='source:"x\' OR 1=1 --"').json()
    assert answer["statistics"]["rows_read"] >= 0
    assert answer["statistics"]["elapsed_ms"] > 0
    assert "OR 1=1" not in answer["sql"]
    assert answer["parameters"] == {"p0": "x' OR 1=1 --"}


def test_a_row_by_its_id_is_whole(system: WebSystem) -> None:
    long = "x" * 30_000
    system.insert([event(1, message=long, order_id=48217)])
    listed = rows_of(system.get("/api/v1/logs"))[0]
    assert listed["truncated"] is True
    assert len(listed["message"]) == 10_000
    row = system.get(f"/api/v1/logs/{listed['id']}").json()
    assert row["message"] == long
    assert row["attributes"] == {"order_id": "48217"}
    assert "truncated" not in row
    assert system.get(f"/api/v1/logs/{'A' * 27}").status_code == 404


def test_a_regex_that_clickhouse_refuses_is_a_wrong_search(system: WebSystem) -> None:
    system.insert([event(1, message="ok")])
    answer = system.get("/api/v1/logs", q="ok /a(?<!b)/")
    assert answer.status_code == 400
    assert answer.json()["position"] == 3


def test_ready_names_the_part_that_is_missing(system: WebSystem) -> None:
    answer = system.get("/readyz")
    assert answer.status_code == 503
    assert "not ready yet: collector at http://127.0.0.1:" in answer.json()["detail"]


def test_the_tail_gives_rows_as_they_arrive_even_old_ones(system: WebSystem) -> None:
    system.insert([event(1, message="before")])
    url = f"{system.url}/api/v1/logs/tail"
    seen: list[str] = []
    with httpx.stream("GET", url, params={"q": "level:error"}, timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        system.insert(
            [
                event(2, message="now", level="error", timestamp=datetime.now(UTC).isoformat()),
                event(3, message="not asked for"),
                event(4, message="years old", level="error", timestamp="2005-01-01T00:00:00Z"),
            ]
        )
        for line in lines:
            if line.startswith("data: "):
                seen += [row["message"] for row in json.loads(line[6:])["rows"]]
            if len(seen) >= 2:
                break
    assert sorted(seen) == ["now", "years old"]


def test_a_wrong_search_is_an_answer_and_no_broken_stream(system: WebSystem) -> None:
    answer = system.get("/api/v1/logs/tail", q="(a")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_metric_of_open_streams_falls_when_their_clients_go(system: WebSystem) -> None:
    def says(count: int) -> bool:
        return f"tailrace_web_watchers {count}.0" in system.get("/metrics").text

    eventually(lambda: says(0), "streams of earlier tests to end")
    with httpx.stream("GET", f"{system.url}/api/v1/logs/tail", timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        assert says(1)
    eventually(lambda: says(0), "the end of the stream")


def test_an_open_stream_does_not_hold_up_the_end(system: WebSystem) -> None:
    web = start_web(system.environment)
    with httpx.stream("GET", f"{web.url}/api/v1/logs/tail", timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        assert web.stop() == 0
        assert "Traceback" not in web.log


def test_attributes_are_found_in_parts_with_and_without_an_index(system: WebSystem) -> None:
    """Merges build the index, so of the newest rows some are in parts that have none yet."""
    system.insert(event(n, user=str(n % 10)) for n in range(100))
    system.store.command("OPTIMIZE TABLE logs.application_logs FINAL")
    system.insert(event(n, user=str(n % 10)) for n in range(100, 200))
    assert len(rows_of(system.get("/api/v1/logs", q="user:7"))) == 20
    assert rows_of(system.get("/api/v1/logs", q="user:77")) == []
    assert len(rows_of(system.get("/api/v1/logs", q="-user:7 level:info", limit=300))) == 180
    # A busy machine may not count in time.
    eventually(lambda: "20 rows" in system.get("/", q="user:7").text, "the count on the page")
    sql = "SELECT count() FROM logs.application_logs WHERE has(attribute_items, 'user=7')"
    assert system.store.query(sql, limits=Limits()).value() == 20
