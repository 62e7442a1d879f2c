"""The pages and the API of dashboards, over a store that gives prepared answers."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tailrace.errors import StoreError, StoreUnavailableError, TableMissingError
from tailrace.settings import Settings
from tailrace.store import Limits, Result
from tailrace.store.client import Statistics
from tailrace.testing import ManualClock
from tailrace.web.app import create_app

DASHBOARD = """
title: My <b>mill</b>
description: Water and stones
range: 6h
panels:
  - {title: Sacks, kind: value, unit: kg, sql: SELECT sacks}
  - {title: By miller, kind: bar, link: "/?source={miller}&from={from}", sql: SELECT millers}
  - {title: Flow, kind: time_series, sql: SELECT flow}
  - {title: Rows, kind: table, sql: "SELECT rows WHERE a >= {from:DateTime64(3)}"}
"""


@dataclass
class Answers:
    """Gives each SQL its result or its error, and notes what was asked."""

    by_sql: dict[str, Result | Exception] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any], Limits | None]] = field(default_factory=list)

    async def aquery(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Result:
        self.asked.append((sql, dict(parameters or {}), limits))
        found = next((one for part, one in self.by_sql.items() if part in sql), None)
        if isinstance(found, Exception):
            raise found
        return found or Result((), (), [], Statistics())


def result(columns: dict[str, str], *rows: tuple[Any, ...]) -> Result:
    return Result(tuple(columns), tuple(columns.values()), list(rows), Statistics(1200, 9600, 3.4))


class Web:
    """An application with one pack of a person's own, `mill`."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mill" / "dashboard.yaml"
        self.file.parent.mkdir()
        (self.file.parent / "pack.yaml").write_text(
            "name: mill\ndescription: Grinds\ntable: mill.sacks\n"
        )
        self.file.write_text(DASHBOARD)
        self.store = Answers({"SELECT sacks": result({"n": "UInt64"}, (1204,))})
        self.app = create_app(
            Settings.read(collector_port=1, packs_dir=folder), self.store, ManualClock()
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    made = Web(tmp_path)
    async with made.client:
        yield made


async def panel(web: Web, name: str, **parameters: str) -> str:
    answer = await web.client.get(f"/dashboards/mill/panels/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_list_has_every_packs_dashboard_and_says_whose_tables_are_missing(
    web: Web,
) -> None:
    web.store.by_sql["system.tables"] = result({"name": "String"}, ("logs.application_logs",))
    html = (await web.client.get("/dashboards")).text
    assert '<a href="/dashboards/logs">Logs</a>' in html
    assert '<a href="/dashboards/mill">My &lt;b&gt;mill&lt;/b&gt;</a>' in html
    assert "tailrace setup mill" in html
    assert "tailrace setup logs" not in html


async def test_the_list_is_there_while_clickhouse_is_not(web: Web) -> None:
    web.store.by_sql["system.tables"] = StoreUnavailableError("cannot reach ClickHouse")
    answer = await web.client.get("/dashboards")
    assert answer.status_code == 200
    assert "/dashboards/mill" in answer.text


async def test_a_page_asks_for_nothing_itself_and_names_where_each_panel_is(web: Web) -> None:
    html = (await web.client.get("/dashboards/mill?from=24h&refresh=60")).text
    assert web.store.asked == []
    assert 'data-url="/dashboards/mill/panels/by-miller?from=24h"' in html
    assert "Last 24 hours" in html
    assert "0; url=/dashboards/mill?from=24h&amp;refresh=60&amp;view=tables" in html


async def test_without_scripts_every_panel_is_in_the_page(web: Web) -> None:
    web.store.by_sql["SELECT millers"] = result({"miller": "String", "n": "UInt8"}, ("Ada", 3))
    web.store.by_sql["SELECT flow"] = result({"t": "UInt32", "flow": "Float64"}, (0, 1.5))
    html = (await web.client.get("/dashboards/mill?view=tables")).text
    assert len(web.store.asked) == 4
    assert re.search(r'class="number"[^>]*>1,204 <span>kg</span>', html)
    assert '<a href="/?source=Ada&amp;from=6h">Ada</a>' in html
    assert "data-url" not in html
    assert "dashboard.js" not in html
    assert "1970-01-01 00:00:00" in html


async def test_a_panel_has_its_answer_what_it_took_and_the_sql(web: Web) -> None:
    html = await panel(web, "sacks")
    assert "1,204" in html
    assert "1,200 rows read" in html
    assert "3.4 ms" in html
    assert "SELECT sacks" in html


async def test_panels_can_only_read_and_have_limits(web: Web) -> None:
    for name, most in (("sacks", 1), ("by-miller", 50), ("rows", 200)):
        await panel(web, name)
        _, _, limits = web.store.asked[-1]
        assert limits is not None
        assert limits.max_rows == most
        assert limits.as_settings()["readonly"] == 1


async def test_a_panel_gets_the_range_in_seconds_and_a_series_begins_with_a_step(web: Web) -> None:
    web.store.by_sql["SELECT flow"] = result({"t": "UInt32", "flow": "Float64"})
    times = {"from": "2026-11-22T10:00:07.250Z", "to": "2026-11-22T11:00:00Z"}
    await panel(web, "rows", **times)
    assert web.store.asked[-1][1] == {
        "from": "1795341607.250",
        "to": "1795345200.000",
        "step": 60,
    }
    await panel(web, "flow", **times)
    assert web.store.asked[-1][1]["from"] == "1795341600.000"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreError("cannot run the query: Unknown column 'x'", code=47), "Unknown column"),
        (TableMissingError("cannot run the query: no table", code=60), "`tailrace setup mill`"),
        (StoreUnavailableError("cannot reach ClickHouse at http://x"), "cannot reach ClickHouse"),
    ],
)
async def test_an_error_stays_in_its_panel(web: Web, error: Exception, said: str) -> None:
    web.store.by_sql["SELECT flow"] = error
    html = (await web.client.get("/dashboards/mill?view=tables")).text
    assert html.count('role="alert"') == 1
    assert said in html
    assert "1,204" in html
    alone = await panel(web, "flow")
    assert said in alone
    assert "SELECT flow</pre>" in alone


async def test_an_answer_of_the_wrong_form_is_said_beside_its_sql(web: Web) -> None:
    web.store.by_sql["SELECT sacks"] = result({"a": "UInt8", "b": "String"}, (1, "x"))
    html = await panel(web, "sacks")
    assert "gives (a UInt8, b String) and must give one number" in html
    assert "SELECT sacks" in html


async def test_hostile_values_are_text(web: Web) -> None:
    hostile = "</td><script>alert(1)</script>\x1b[31m"
    web.store.by_sql["SELECT flow"] = result(
        {"t": "UInt32", "name": "String", "n": "UInt8"}, (0, hostile, 1)
    )
    web.store.by_sql["SELECT millers"] = result({"miller": "String", "n": "UInt8"}, (hostile, 3))
    html = await panel(web, "flow") + await panel(web, "by-miller")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html


async def test_a_file_is_read_anew_and_what_is_wrong_with_it_is_its_own_page(web: Web) -> None:
    assert "Flow" in (await web.client.get("/dashboards/mill")).text
    web.file.write_text("title: Mill\npanels: [{title: Wheels, kind: value, sql: SELECT wheels}]\n")
    assert "Wheels" in (await web.client.get("/dashboards/mill")).text
    web.file.write_text("title: Mill!\n")
    answer = await web.client.get("/dashboards/mill", headers={"Accept": "text/html"})
    assert answer.status_code == 500
    assert "panels: is missing" in answer.text
    assert "panels: is missing" in (await web.client.get("/dashboards")).text
    assert (await web.client.get("/dashboards/logs")).status_code == 200


@pytest.mark.parametrize(
    ("said", "problem"), [("soon", "cannot read 'soon'"), ("''", "cannot use the range ''")]
)
async def test_a_range_that_is_none_is_a_mistake_of_the_file(
    web: Web, said: str, problem: str
) -> None:
    web.file.write_text(f"range: {said}\n{DASHBOARD.replace('range: 6h', '')}")
    answer = await web.client.get("/dashboards/mill")
    assert answer.status_code == 500
    assert f"cannot use {web.file}:1: range: {problem}" in answer.json()["detail"]


async def test_a_wrong_time_is_said_on_the_page(web: Web) -> None:
    answer = await web.client.get("/dashboards/mill?from=soon")
    assert answer.status_code == 400
    assert "cannot read &#39;soon&#39; as a time" in answer.text
    assert (await web.client.get("/dashboards/mill/panels/flow?from=soon")).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/dashboards/nothing", "/dashboards/mill/panels/nothing", "/api/v1/dashboards/nothing"],
)
async def test_what_is_not_there_is_said_with_what_is(web: Web, path: str) -> None:
    answer = await web.client.get(path)
    assert answer.status_code == 404
    assert "there are" in answer.json()["detail"]


async def test_the_api_lists_dashboards_and_their_panels(web: Web) -> None:
    listed = (await web.client.get("/api/v1/dashboards")).json()
    assert listed["next"] is None
    assert {row["pack"] for row in listed["rows"]} >= {"logs", "mill"}
    mill = (await web.client.get("/api/v1/dashboards/mill")).json()
    assert mill["range"] == "6h"
    assert [one["name"] for one in mill["panels"]] == ["sacks", "by-miller", "flow", "rows"]


async def test_the_api_gives_a_panels_rows_as_every_list(web: Web) -> None:
    web.store.by_sql["SELECT millers"] = result(
        {"miller": "String", "n": "UInt8"}, ("Ada", 3), ("Bob", float("nan"))
    )
    answer = await web.client.get("/api/v1/dashboards/mill/panels/by-miller?from=1h")
    body = answer.json()
    assert body["rows"] == [{"miller": "Ada", "n": 3}, {"miller": "Bob", "n": None}]
    assert body["next"] is None
    assert body["statistics"]["rows_read"] == 1200
    assert body["sql"] == "SELECT millers"
    assert body["parameters"]["step"] == 60
    assert body["types"] == {"miller": "String", "n": "UInt8"}


async def test_the_api_gives_integers_of_any_length(web: Web) -> None:
    long = 2**256 - 1
    columns = {"a": "UInt256", "b": "Array(Int128)"}
    web.store.by_sql["SELECT rows"] = result(columns, (long, [-(2**100), 7, True]))
    answer = await web.client.get("/api/v1/dashboards/mill/panels/rows")
    assert answer.json()["rows"] == [{"a": long, "b": [-(2**100), 7, True]}]


async def test_the_api_answers_what_clickhouse_says_as_a_problem(web: Web) -> None:
    web.store.by_sql["SELECT flow"] = StoreError("cannot run the query: broken", code=1)
    answer = await web.client.get("/api/v1/dashboards/mill/panels/flow")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
