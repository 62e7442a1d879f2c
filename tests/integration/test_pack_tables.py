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

from tailrace.packs import Pack, find_packs
from tailrace.search.query import LogQuery
from tailrace.search.table import Table, Tables
from tailrace.search.tail import Follower
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.web.parameters import keep
from tests.integration.collect_system import eventually
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
HEAPS = """
name: heaps
description: Heaps of grain
table: mill.heaps
explore:
  time: at
  fields: {at: second, grains: number}
  columns: [at, grains]
"""
HEAPS_SCHEMA = """
CREATE DATABASE IF NOT EXISTS mill;
CREATE TABLE IF NOT EXISTS mill.heaps (at DateTime('UTC'), grains UInt128) ENGINE = MergeTree ORDER BY at;
"""
SILO = """
name: silo
description: Its tables are never made
table: silo.grain
explore: {time: at, fields: {at: moment}, columns: [at]}
"""
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
GREAT = 2**200


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSystem]:
    """The tables of every pack and of one's own, `mill`, and pages that know them."""
    packs_dir = tmp_path_factory.mktemp("packs")
    for name, pack, schema in (
        ("mill", PACK, SCHEMA),
        ("heaps", HEAPS, HEAPS_SCHEMA),
        ("silo", SILO, ""),
    ):
        folder = packs_dir / name
        (folder / "schema").mkdir(parents=True)
        (folder / "pack.yaml").write_text(pack)
        (folder / "schema" / "001_tables.sql").write_text(schema)
    names = ["logs", "mill", "heaps", *(pack.name for pack in EXPLORED)]
    with running(tmp_path_factory.mktemp("tables"), names, packs_dir) as started:
        yield started


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
    # The newest rows are found by the key or by an index.
    found = system.store.query(
        "SELECT splitByString(', ', sorting_key)[1] FROM system.tables "
        "WHERE concat(database, '.', name) = {table:String} "
        "UNION ALL SELECT expr FROM system.data_skipping_indices "
        "WHERE concat(database, '.', table) = {table:String} AND type = 'minmax'",
        {"table": pack.table},
    )
    assert (pack.explore.time,) in found.rows
    for own in (pack.explore.place, pack.explore.content):
        assert own is None or types[own] == "UInt64"


@pytest.mark.parametrize("pack", EXPLORED, ids=lambda pack: pack.name)
def test_the_table_of_a_pack_can_be_searched_and_counted(system: WebSystem, pack: Pack) -> None:
    assert pack.explore is not None
    for name in Table(str(pack.table), pack.explore, pack.name).columns:
        answer = system.get("/api/v1/logs", table=pack.table, order=f"-{name}")
        assert answer.status_code == 200, answer.text

    def has_counts() -> bool:
        page = httpx.get(f"{system.url}/?table={pack.table}", timeout=60)
        assert page.status_code == 200
        return "Counting took too long" not in page.text

    eventually(has_counts, "a page that was counted in time")


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
    assert len(first) == 40  # two and two are alike in everything
    assert rest == [["one"], ["three", "two"], []]


def test_rows_that_are_alike_are_followed_each(sacks: WebSystem) -> None:
    settings = Settings.read(packs_dir=Path(sacks.environment["TAILRACE_PACKS_DIR"]))
    table = Tables.of(find_packs(settings)).find("mill.sacks")
    query = LogQuery(text="note:alike", table=table)
    sack = {"at": "2026-11-22 09:00:00", "note": "alike", "came": "2026-11-20 10:00:00.000"}

    async def follow() -> list[list[int]]:
        follower = Follower(sacks.store, table)
        polls = []
        for count in (2, 0, 1, 3, 0):
            insert(sacks.store, [sack] * count)
            [news] = await follower.poll([query], datetime.now(UTC))
            polls.append(sorted(row.copy for row in news.rows))
        return polls

    assert asyncio.run(follow()) == [[1, 2], [], [3], [4, 5, 6], []]
    found = rows(sacks, "note:alike")
    assert len(found) == 6
    assert len({row["id"] for row in found}) == 1


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z", [1, 2, 3]),
        ("2026-11-22", "2026-11-23", [1, 2, 3]),
        ("2026-11-21", "2026-11-22", [0]),
        ("2026-11-23", "", [4]),
        ("", "2026-11-22T00:00:00Z", [0]),
        # Neither a fraction of a second nor another zone moves an end.
        ("2026-11-22T00:00:00.000001Z", "", [2, 3, 4]),
        ("2026-11-21T23:59:59.999999Z", "2026-11-22T00:00:00.000001Z", [1]),
        ("2026-11-22T01:00:00+01:00", "2026-11-23T05:30:00+05:30", [1, 2, 3]),
        ("2026-11-21T19:00:00-05:00", "2026-11-22T10:30:01+10:30", [1]),
        ("1795305600", "1795392000", [1, 2, 3]),
    ],
)
def test_days_begin_and_end_at_midnight(
    sacks: WebSystem, start: str, end: str, found: list[int]
) -> None:
    moments = ["21 23:59:59", "22 00:00:00", "22 00:00:01", "22 23:59:59", "23 00:00:00"]
    sacks.store.command("TRUNCATE TABLE mill.sacks")
    insert(
        sacks.store,
        [{"at": f"2026-11-{one}", "batch": number} for number, one in enumerate(moments)],
    )
    given = rows(sacks, **{"from": start, "to": end, "order": "at"})
    assert [row["batch"] for row in given] == found


HOSTILE = [
    "O'Hara",
    'say "x"',
    "back\\slash \\' \\n",
    "nul\0l",
    "tab\tline\n",
    "🦉 ß ⟨",
    "{p0:String}",
    "%_*",
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_filter_finds_the_very_value(sacks: WebSystem, name: str) -> None:
    sacks.store.command("TRUNCATE TABLE mill.sacks")
    insert(sacks.store, [{"at": "2026-11-22 10:00:00", "miller": one} for one in HOSTILE])
    assert [row["miller"] for row in rows(sacks, miller=name)] == [name]
    assert [row["miller"] for row in rows(sacks, keep("miller", name))] == [name]
    page = sacks.get("/", table="sacks", miller=name, live="0")
    assert page.status_code == 200
    assert page.text.count('<tr class="row') == 1


def test_great_numbers_are_sorted_and_paged_to_the_last_digit(sacks: WebSystem) -> None:
    table = {"table": "mill.heaps", "order": "-grains", "limit": 7}
    sacks.store.command(
        "INSERT INTO mill.heaps SELECT '2026-11-22 10:00:00', toUInt128(1) * bitShiftLeft("
        "toUInt128(1), 100) + number FROM numbers(40)"
    )
    seen: list[str] = []
    cursor: str | None = None
    while not seen or cursor:
        given = {**table, "cursor": cursor} if cursor else table
        answer = sacks.get("/api/v1/logs", **given).json()
        seen += [row["grains"] for row in answer["rows"]]
        cursor = answer["next"]
    assert seen == [str(2**100 + number) for number in reversed(range(40))]
    other = sacks.get("/api/v1/logs", **table).json()["next"]
    wrong = sacks.get("/api/v1/logs", table="sacks", order="-weight", cursor=other)
    assert wrong.status_code == 400


def test_ready_says_nothing_of_packs_that_do_not_run(sacks: WebSystem) -> None:
    detail = sacks.get("/readyz").json()["detail"]
    assert "collector at" in detail  # all tables of `logs` are there
    with start_web({**sacks.environment, "TAILRACE_PACKS": "logs silo"}) as web:
        answer = httpx.get(f"{web.url}/readyz", timeout=60)
        assert answer.status_code == 503
        assert "tables of the pack 'silo' are not there: silo.grain" in answer.json()["detail"]
        answer = httpx.get(f"{web.url}/api/v1/logs", params={"table": "silo.grain"}, timeout=60)
        assert answer.status_code == 503
        assert "`tailrace setup silo` makes it" in answer.json()["detail"]
