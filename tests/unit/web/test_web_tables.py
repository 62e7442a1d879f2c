"""The page of logs on a table of another pack: what it shows of rows, and what it says was not counted."""

import re
from typing import Any

import httpx
import pytest

from tailrace.errors import StoreError
from tailrace.packs import find_packs
from tailrace.search.table import Tables, usual_table
from tailrace.settings import Settings
from tailrace.testing import FakeStore, ManualClock
from tailrace.web.app import create_app

SECOND = 1_764_000_000_000_000_000
NAMES = [("logs.application_logs",), ("logs.api_requests",), ("rikstv.data_series",)]


def request(number: int) -> tuple[Any, ...]:
    return (SECOND, number, "cust_1", "/a", 500, 0.5, "x.log", SECOND + 1_250_000_000)


def step(number: int) -> tuple[Any, ...]:
    return (SECOND + 125_000_000, number, 27, number, 2**90 + number)


async def page(*answers: tuple[str, Any], **parameters: str) -> httpx.Response:
    store = FakeStore([("system.tables", NAMES), *answers])
    app = create_app(Settings.read(collector_port=1), store, ManualClock())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer


async def test_rows_that_are_alike_are_all_shown_and_one_has_the_id() -> None:
    answer = await page(
        ("cityHash64", [request(1), request(1), request(2)]), table="api_requests", live="0"
    )
    rows = re.findall(r'<tr class="row other"( id="\S+")? data-row="(\S+)"', answer.text)
    assert [bool(own) for own, _ in rows] == [True, False, True]
    assert rows[0][1] == rows[1][1] != rows[2][1]


@pytest.mark.parametrize(
    ("table", "row", "shown"),
    [
        ("api_requests", request(1), "16:00:00</time>"),
        ("data_series", step(1), '16:00:00<span class="fraction">.125</span></time>'),
    ],
)
async def test_times_have_the_digits_that_their_column_has(
    table: str, row: tuple[Any, ...], shown: str
) -> None:
    answer = await page(("cityHash64", [row]), table=table)
    assert shown in answer.text


async def test_numbers_are_shown_to_the_last_digit_as_figures() -> None:
    answer = await page(("cityHash64", [step(7)]), table="data_series")
    assert f'<td class="figure">{2**90 + 7}</td>' in answer.text


async def test_each_filter_says_by_itself_that_it_was_not_counted() -> None:
    slow = StoreError("cannot run the query: too slow", code=159)
    answer = await page(
        ("GROUP BY path", slow),
        ("GROUP BY status", [(500, 3)]),
        ("cityHash64", [request(1)]),
        table="api_requests",
        **{"from": "7d"},
    )
    headings = re.findall(r"<h2>(\w+)</h2>\s*<(ul|p class)", answer.text)
    assert headings == [("status", "ul"), ("path", "p class")]
    lists = answer.text.partition('id="facet-lists"')[2]
    assert lists.count("not counted in time") == 1


async def test_the_list_has_the_columns_that_were_chosen_and_links_keep_them() -> None:
    answer = await page(
        ("cityHash64", [request(1)]),
        table="api_requests",
        columns="file",
        q="status:500",
        live="0",
    )
    head, body = re.findall(r"<thead>(.*?)</thead>.*?<tbody>(.*?)</tbody>", answer.text, re.DOTALL)[
        0
    ]
    assert re.findall(r">(\w+)( <span|</)", head) == [("Timestamp", " <span"), ("File", "</")]
    assert "x.log" in body
    assert "cust_1" not in body
    checked = re.findall(r'name="columns" value="(\w+)" checked', answer.text)
    assert checked == ["timestamp", "file"]
    assert '<input type="hidden" name="q" value="status:500">' in answer.text
    links = re.findall(r'href="(/\?[^"]*)"', answer.text)
    assert links
    assert all("columns=file" in link for link in links)


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        ([], ()),
        (["nonsense", "<b>"], ()),
        (["path", "timestamp", "seconds", "status", "customer"], ()),
        (["received_at", "path"], ("timestamp", "path", "received_at")),
        (["customer_id"], ("timestamp", "customer")),
    ],
)
def test_a_list_has_the_time_and_known_fields_in_the_tables_order(
    names: list[str], listed: tuple[str, ...]
) -> None:
    tables = Tables.of(find_packs(Settings.read(), ["requests"]))
    assert tables.find("api_requests").listed(names) == listed


def test_attributes_as_a_whole_are_no_column() -> None:
    assert usual_table().listed(["attributes", "trace"]) == ("timestamp", "trace_id")
