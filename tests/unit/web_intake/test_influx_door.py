"""What the doors for Influx's clients answer."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.unit.web_intake.intake_support import Doors, running

LINE = b"cpu,host=a usage=1.5 1763808135\n"
EVENT = {
    "timestamp": "1763808135000000000",
    "source": "cpu",
    "usage": 1.5,
    "host": "a",
    "message": "usage=1.5",
}


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    async with running() as made:
        yield made


@pytest.mark.parametrize(
    "path", ["/write?db=telegraf&precision=s&u=a&p=b", "/api/v2/write?org=o&bucket=b&precision=s"]
)
@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_write(doors: Doors, path: str, encoding: str) -> None:
    body, headers = LINE, {"Authorization": "Token any"}
    if encoding:
        body, headers = gzip.compress(LINE), {**headers, "Content-Encoding": encoding}
    answer = await doors.client.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-influxdb-version"]
    assert doors.pipeline.events == [EVENT]


@pytest.mark.parametrize(
    ("precision", "time"),
    [
        ("ns", "1970-01-01T00:00:02.000000003Z"),
        ("n", "1970-01-01T00:00:02.000000003Z"),
        ("us", "1970-01-01T00:33:20.000003000Z"),
        ("u", "1970-01-01T00:33:20.000003000Z"),
        ("ms", "1970-01-24T03:33:20.003000000Z"),
        ("s", "2000000003000000000"),
    ],
)
async def test_precision(doors: Doors, precision: str, time: str) -> None:
    path = f"/write?precision={precision}"
    assert (await doors.client.post(path, content=b"m f=1 2000000003")).status_code == 204
    assert doors.pipeline.events[0]["timestamp"] == time


async def test_good_lines_are_taken_and_bad_ones_are_told(doors: Doors) -> None:
    body = b"cpu f=1\ncpu\ncpu f=2\n"
    for path, name in (("/write", "error"), ("/api/v2/write", "message")):
        doors.pipeline.payloads.clear()
        answer = await doors.client.post(path, content=body)
        assert answer.status_code == 400
        said = "partial write: unable to parse 'cpu': missing fields dropped=1"
        assert answer.json()[name] == said
        assert [event["f"] for event in doors.pipeline.events] == [1, 2]
        alone = await doors.client.post(path, content=b"cpu\n")
        assert alone.json()[name] == "unable to parse 'cpu': missing fields"
        assert alone.json().get("code", "invalid") == "invalid"


@pytest.mark.parametrize("path", ["/api/v2/signin", "/api/v2/signout"])
async def test_who_has_a_user_and_a_password_gets_a_session(doors: Doors, path: str) -> None:
    answer = await doors.client.post(path, auth=("user", "password"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["set-cookie"].startswith("influxdb-oss-session=")


async def test_errors_have_influxs_forms(doors: Doors) -> None:
    wrong = await doors.client.post("/write?precision=weeks", content=LINE)
    assert wrong.status_code == 400
    assert wrong.json()["error"].startswith("cannot use precision='weeks'")
    assert wrong.headers["x-influxdb-error"].startswith("cannot use")
    doors.pipeline.status, doors.pipeline.headers = 503, {"Retry-After": "7"}
    full = await doors.client.post("/api/v2/write", content=LINE)
    assert (full.status_code, full.headers["retry-after"]) == (429, "7")
    assert full.json()["code"] == "too many requests"
    doors.pipeline.error = httpx.ConnectError("refused")
    away = await doors.client.post("/write", content=LINE)
    assert (away.status_code, away.headers["retry-after"]) == (503, "2")
    assert "error" in away.json()


async def test_what_clients_ask_before_they_write(doors: Doors) -> None:
    for method in ("GET", "HEAD"):
        ping = await doors.client.request(method, "/ping")
        assert (ping.status_code, ping.headers["x-influxdb-version"][:2]) == (204, "1.")
    health = await doors.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "fail")


@pytest.mark.parametrize(
    "statement", ['CREATE DATABASE "telegraf"', "create  database x", "SHOW DATABASES"]
)
async def test_databases_are_there_already(doors: Doors, statement: str) -> None:
    for answer in (
        await doors.client.get("/query", params={"q": statement}),
        await doors.client.post("/query", params={"q": statement}),
        await doors.client.post("/query", data={"q": statement}),
    ):
        assert answer.status_code == 200
        assert answer.json()["results"][0]["statement_id"] == 0


@pytest.mark.parametrize("statement", ["", "SELECT * FROM cpu", "DROP DATABASE x"])
async def test_other_queries_are_refused(doors: Doors, statement: str) -> None:
    answer = await doors.client.get("/query", params={"q": statement})
    assert answer.status_code == 400
    assert "/api/v1/logs" in answer.json()["error"]


async def test_the_doors_are_described(doors: Doors) -> None:
    described = (await doors.client.get("/openapi.json")).json()["paths"]
    for path in ("/write", "/api/v2/write"):
        assert described[path]["post"]["tags"] == ["Intake"]


async def test_a_name_that_is_there_very_often_makes_the_line_none(doors: Doors) -> None:
    """Each one had a longer name than the one before: a few kilobytes became gigabytes."""
    bad = b"cpu " + b",".join([b"a=1"] * 1000)
    answer = await doors.client.post("/write?precision=s", content=bad + b"\n" + LINE)
    assert answer.status_code == 400
    assert "more than 10 fields named 'a' dropped=1" in answer.json()["error"]
    assert doors.pipeline.events == [EVENT]
    some = b"cpu " + b",".join([b"a=1"] * 10)
    assert (await doors.client.post("/write", content=some)).status_code == 204


async def test_a_bad_line_cannot_add_headers(doors: Doors) -> None:
    answer = await doors.client.post("/write", content=b"cpu\rX-Evil: 1\x00\x1b[31m caf\xc3\xa9\n")
    assert answer.status_code == 400
    told = answer.headers["x-influxdb-error"]
    assert told.isprintable()
    assert "cpu X-Evil: 1" in told


async def test_a_large_form_is_not_taken_apart(doors: Doors) -> None:
    answer = await doors.client.post("/query", content=b"q=1&" * 20_000)
    assert answer.status_code == 413
