"""Tables of packs in the search, on the real engine: what packs say of theirs is so, and a person's own
table is searched, paged through, counted and followed as the logs are."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tailrace.packs import Pack, find_packs, find_required
from tailrace.search.query import LogQuery
from tailrace.search.table import Table, Tables
from tailrace.search.tail import Follower
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.migrations import set_up
from tests.web_system import WebSystem, running, start_web

EXPLORED = [pack for pack in find_packs(Settings.read()) if pack.explore and pack.table]
TYPES = {
    "text": ("String", "LowCardinality(String)", "FixedString", "Enum"),
    "message": ("String",),
    "level": ("String", "LowCardinality(String)"),
    "number": ("UInt", "Int", "Float", "Decimal", "Bool"),
    "moment": ("DateTime64",),
    "second": ("DateTime",),
    "attributes": ("Map(",),
}
PACK = """
name: mill
description: Grinds
table: mill.sacks
explore:
  time: at
  fields: {at: second, miller: text, weight: number, batch: number, note: message, came: moment}
  columns: [at, miller, weight, note]
  text: [note, miller]
  filters: [miller, batch]
  arrived: came
"""
SCHEMA = """
CREATE DATABASE IF NOT EXISTS mill;
CREATE TABLE IF NOT EXISTS mill.sacks
(
    at DateTime('UTC'),
    miller LowCardinality(String),
    weight Decimal(18, 3),
    batch UInt256,
    note String,
    came DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree ORDER BY (miller, at);
"""
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
GREAT = 2**200


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSystem]:
    """The tables of every pack and of one's own, `mill`, and pages that know them."""
    packs_dir = tmp_path_factory.mktemp("packs")
    folder = packs_dir / "mill"
    (folder / "schema").mkdir(parents=True)
    (folder / "pack.yaml").write_text(PACK)
    (folder / "schema" / "001_tables.sql").write_text(SCHEMA)
    with running(tmp_path_factory.mktemp("tables")) as started:
        settings = Settings.read(packs_dir=packs_dir, engine_port=started.engine.port)
        names = ["mill", *(pack.name for pack in EXPLORED)]
        set_up(started.store, find_required(settings, names), settings)
        environment = {**started.environment, "TAILRACE_PACKS_DIR": str(packs_dir)}
        with start_web(environment) as web:
            yield WebSystem(started.engine, web, started.store, web.url, environment)


@pytest.fixture
def sacks(system: WebSystem) -> WebSystem:
    """120 sacks: ten a second, of three millers, two and two of them alike in everything."""
    system.store.command("TRUNCATE TABLE mill.sacks")
    insert(
        system.store,
        [
            {
                "at": (START + timedelta(seconds=number // 10)).strftime("%Y-%m-%d %H:%M:%S"),
                "miller": ["Ada", "Bob", "Eve"][number // 2 % 3],
                "weight": number // 2 % 7 + 0.125,
                "batch": GREAT + number // 2,
                "note": f"sack {number // 2} of fine oats",
                "came": "2026-11-20 10:00:00.000",
            }
            for number in range(120)
        ],
    )
    return system


def insert(store: Store, rows: list[dict[str, Any]]) -> None:
    body = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    store.insert("mill.sacks", body, "JSONEachRow")


def rows(system: WebSystem, q: str = "", **parameters: Any) -> list[dict[str, Any]]:
    answer = system.get("/api/v1/logs", table="mill.sacks", q=q, limit=1000, **parameters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


@pytest.mark.parametrize("pack", EXPLORED, ids=lambda pack: pack.name)
def test_what_a_pack_says_of_its_table_is_so(system: WebSystem, pack: Pack) -> None:
    assert pack.explore is not None
    described = system.store.query(f"DESCRIBE TABLE {pack.table}").rows
    types = {str(row[0]): str(row[1]) for row in described}
    for column, kind in pack.explore.fields.items():
        assert types[column].startswith(TYPES[kind]), column
        assert "Nullable" not in types[column], column
        if kind == "second":
            assert not types[column].startswith("DateTime64"), column
    for own in (pack.explore.place, pack.explore.content):
        assert own is None or types[own] == "UInt64"


@pytest.mark.parametrize("pack", EXPLORED, ids=lambda pack: pack.name)
def test_the_table_of_a_pack_can_be_searched_and_counted(system: WebSystem, pack: Pack) -> None:
    assert pack.explore is not None
    for name in Table(str(pack.table), pack.explore, pack.name).columns:
        answer = system.get("/api/v1/logs", table=pack.table, order=f"-{name}")
        assert answer.status_code == 200, answer.text
    page = httpx.get(f"{system.url}/?table={pack.table}", timeout=30)
    assert page.status_code == 200
    assert "Counting took too long" not in page.text


@pytest.mark.parametrize("limit", [7, 50])
@pytest.mark.parametrize("order", ["-at", "at", "miller", "-weight", "note"])
def test_paging_loses_and_repeats_nothing(sacks: WebSystem, order: str, limit: int) -> None:
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    while not seen or cursor:
        given = {"cursor": cursor} if cursor else {}
        answer = sacks.get("/api/v1/logs", table="sacks", order=order, limit=limit, **given).json()
        seen += answer["rows"]
        cursor = answer["next"]
    assert len(seen) == 120
    assert {row["batch"] for row in seen} == {str(GREAT + number) for number in range(60)}
    column = order.removeprefix("-")
    values = [row[column] for row in seen]
    assert values == sorted(values, reverse=order.startswith("-"))


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", 120),
        ("oats", 120),
        ("ada", 40),
        ("Ada sack", 40),
        ('"sack 7 of"', 2),
        ("*ats*", 120),
        ("/k 1[0-9] /", 20),
        ("miller:Bob", 40),
        ("-miller:Bob", 80),
        ("miller:*e", 40),
        ("weight:0.125", 18),
        ("weight:[1 TO 3}", 36),
        ("weight:>=6 miller:Eve", 4),
        (f"batch:{GREAT + 3}", 2),
        ("at:2026-11-22T10:00:03Z", 10),
        ("at:[2026-11-22T10:00:02Z TO 2026-11-22T10:00:03Z]", 20),
        ("came:<2026-11-21", 120),
    ],
)
def test_searches_find_what_they_say(sacks: WebSystem, q: str, found: int) -> None:
    assert len(rows(sacks, q)) == found


def test_filters_times_and_a_row_by_itself(sacks: WebSystem) -> None:
    assert len(rows(sacks, miller="Ada")) == 40
    assert len(rows(sacks, batch=str(GREAT + 9))) == 2
    times = {"from": "2026-11-22T10:00:01Z", "to": "2026-11-22T10:00:03Z"}
    chosen = rows(sacks, **times)
    assert len(chosen) == 20
    row = sacks.get(f"/api/v1/logs/{chosen[0]['id']}", table="mill.sacks").json()
    assert row == chosen[0]
    assert row["at"] == "2026-11-22T10:00:02.000Z"
    assert isinstance(row["weight"], float)
    assert sacks.get(f"/api/v1/logs/{chosen[0]['id']}").status_code == 404


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"table": "flour"}, "there are logs.application_logs"),
        ({"table": "sacks", "level": "ERROR"}, "cannot filter mill.sacks by 'level'"),
        (
            {"table": "sacks", "q": "wait:3"},
            "'wait': mill.sacks has none of that name, but at, weight",
        ),
        ({"table": "sacks", "order": "batch"}, "use at, miller, weight or note"),
    ],
)
def test_what_there_is_not_is_said_with_what_there_is(
    sacks: WebSystem, parameters: dict[str, str], said: str
) -> None:
    answer = sacks.get("/api/v1/logs", **parameters)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_new_rows_are_followed_once(sacks: WebSystem, tmp_path: Path) -> None:
    settings = Settings.read(packs_dir=Path(sacks.environment["TAILRACE_PACKS_DIR"]))
    table = Tables.of(find_packs(settings)).find("mill.sacks")
    query = LogQuery(text="miller:Ada", table=table)

    async def follow() -> list[list[str]]:
        follower = Follower(sacks.store, table)
        polls = []
        for notes in ([], ["one"], ["two", "three"], []):
            insert(
                sacks.store,
                [
                    {"at": "2026-11-22 09:00:00", "miller": miller, "note": note}
                    for note in notes
                    for miller in ("Ada", "Bob")
                ],
            )
            [news] = await follower.poll([query], datetime.now(UTC))
            polls.append(sorted(row.values["note"] for row in news.rows))
        return polls

    first, *rest = asyncio.run(follow())
    assert len(first) == 20  # rows that are alike in everything are one
    assert rest == [["one"], ["three", "two"], []]
