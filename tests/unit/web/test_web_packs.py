"""Packs' routes in the application: a person's own pack, and what is answered when they cannot work."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs
from typing_extensions import override

from tailrace.errors import (
    StoreError,
    StoreUnavailableError,
    TableMissingError,
)
from tailrace.settings import Settings
from tailrace.store import Limits, Result
from tailrace.store.client import Statistics
from tailrace.testing import FakeStore, ManualClock
from tailrace.web.app import create_app

ROUTES = """
from fastapi import APIRouter

def router(host):
    made = APIRouter()

    @made.get("/ships/{name}")
    async def ship(name: str):
        rows = await host.query("SELECT tons FROM ships WHERE name = {name:String}", {"name": name})
        return {"tons": rows[0][0], "at": host.now().isoformat()}

    return made
"""


def write_pack(folder: Path, name: str, routes: str = ROUTES) -> Settings:
    (folder / name).mkdir()
    (folder / name / "pack.yaml").write_text(
        f"name: {name}\ndescription: mine\nroutes: routes:router\n"
    )
    (folder / name / "routes.py").write_text(routes)
    return Settings.read(packs_dir=folder, collector_port=1)


async def get(settings: Settings, store: FakeStore, path: str) -> httpx.Response:
    app = create_app(settings, store, ManualClock())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


async def test_a_persons_own_pack_answers_at_its_own_path_and_is_in_the_docs(
    tmp_path: Path,
) -> None:
    settings = write_pack(tmp_path, "ships")
    store = FakeStore([("ships", [(7_300,)])])
    answer = await get(settings, store, "/ships/vasa")
    assert answer.json() == {"tons": 7_300, "at": "2025-11-24T16:00:00+00:00"}
    described = (await get(settings, store, "/openapi.json")).json()
    assert described["paths"]["/ships/{name}"]["get"]["tags"] == ["ships"]


async def test_its_pages_have_scripts_and_styles_of_their_own(tmp_path: Path) -> None:
    settings = write_pack(
        tmp_path,
        "yachts",
        """
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

def router(host):
    made = APIRouter(include_in_schema=False)

    @made.get("/yachts")
    async def yachts():
        return HTMLResponse(host.page("yachts.html", name="<America>"))

    return made
""",
    )
    for name, text in {
        "templates/yachts.html": (
            '{% extends "pack.html" %}{% block page %}{{ name }}'
            "<script src=\"{{ own('sails/set.js') }}\"></script>{{ static('rows.js') }}{% endblock %}"
        ),
        "static/sails/set.js": "import { element } from '../../../rows.js';\n",
    }.items():
        path = tmp_path / "yachts" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    page = await get(settings, FakeStore(), "/yachts")
    assert "&lt;America&gt;" in page.text
    [script] = re.findall(r'src="(/static/\w+/packs/yachts/sails/set.js)"', page.text)
    answer = await get(settings, FakeStore(), script)
    assert answer.text == "import { element } from '../../../rows.js';\n"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    imported = script.replace("packs/yachts/sails/set.js", "rows.js")
    assert imported in page.text
    assert (await get(settings, FakeStore(), imported)).status_code == 200


@pytest.mark.parametrize("code", [60, 81])
async def test_without_its_tables_the_answer_says_what_makes_them(
    tmp_path: Path, code: int
) -> None:
    settings = write_pack(tmp_path, "vessels")
    store = FakeStore([("ships", TableMissingError("cannot run the query: unknown", code=code))])
    answer = await get(settings, store, "/ships/vasa")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "`tailrace setup vessels`" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreError("cannot run the query: too long", code=159), 504),
        (StoreUnavailableError("cannot reach ClickHouse"), 503),
        (HTTPException(404, "cannot find it"), 404),
        (RuntimeError("surprise"), 500),
    ],
)
async def test_what_goes_wrong_is_problem_json(
    tmp_path: Path, error: Exception, status: int
) -> None:
    settings = write_pack(tmp_path, "boats")
    answer = await get(settings, FakeStore([("ships", error)]), "/ships/vasa")
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert "surprise" not in answer.text


class CutShort(FakeStore):
    """A ClickHouse with more rows than anybody may have."""

    @override
    async def aquery(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Result:
        assert limits is not None
        return Result((), (), [(1,)], Statistics(limit="max_rows"))


async def test_an_answer_is_whole_or_an_error(tmp_path: Path) -> None:
    settings = write_pack(tmp_path, "fleets")
    answer = await get(settings, CutShort(), "/ships/vasa")
    assert answer.status_code == 502
    assert "more than 1,000,000 rows" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "routes", "problem"),
    [
        ("wrecks", "import nothing_of_this_name\n", "cannot load 'routes:router'"),
        ("rafts", "def router(host):\n    return host.nothing\n", "routes.py:2"),
        ("barges", "def router(host):\n    return None\n", "must give an APIRouter"),
    ],
)
async def test_a_pack_whose_routes_fail_is_named_and_stops_no_other(
    tmp_path: Path, name: str, routes: str, problem: str
) -> None:
    write_pack(tmp_path, name, routes)
    settings = write_pack(tmp_path, "tugs")
    (tmp_path / "hulks").mkdir()
    (tmp_path / "hulks" / "pack.yaml").write_text("name: [\n")
    with capture_logs() as said:
        answer = await get(settings, FakeStore([("ships", [(7,)])]), "/ships/vasa")
    assert answer.json()["tons"] == 7
    assert [entry["event"] for entry in said] == [
        "a pack is left out",
        "a pack's routes are left out",
    ]
    assert "hulks/pack.yaml:2: not YAML" in said[0]["problem"]
    assert problem in said[1]["problem"]


@pytest.mark.parametrize("path", ["/healthz", "/static/1/app.js"])
async def test_a_pack_takes_no_path_of_the_program_away(tmp_path: Path, path: str) -> None:
    routes = """
from fastapi import APIRouter

def router(host):
    made = APIRouter()
    made.add_api_route("/{anything:path}", lambda: "ours")
    return made
"""
    settings = write_pack(tmp_path, "liners", routes)
    assert (await get(settings, FakeStore([]), "/liners")).json() == "ours"
    answer = await get(settings, FakeStore([]), path)
    assert answer.status_code == 200
    assert answer.text != '"ours"'


async def test_a_route_that_another_takes_all_requests_of_is_named(tmp_path: Path) -> None:
    settings = write_pack(tmp_path, "skiffs")
    write_pack(tmp_path, "wherries")
    with capture_logs() as said:
        answer = await get(settings, FakeStore([("ships", [(7,)])]), "/ships/vasa")
    assert answer.json()["tons"] == 7
    assert said[0]["event"] == "a pack's routes are left out"
    assert said[0]["pack"] == "wherries"
    assert "GET /ships/{name} is served already" in said[0]["problem"]
