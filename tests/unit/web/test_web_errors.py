"""Every error has one shape, whatever the route; pages say what is wrong and keep what was typed."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from tailrace.errors import StoreError, StoreUnavailableError, TableMissingError, UsageError
from tailrace.settings import Settings
from tailrace.testing import FakeStore, ManualClock
from tailrace.web.app import FOREIGN_ERRORS, create_app
from tailrace.web.delivery import Collectors

DOWN = StoreUnavailableError("cannot reach ClickHouse at http://127.0.0.1:1: refused")


class Web:
    """An application over a fake store, with a client."""

    def __init__(self, *answers: tuple[str, Exception], **settings: object) -> None:
        self.store = FakeStore(list(answers))
        settings = {"collector_port": 1, **settings}
        self.app = create_app(Settings.read(**settings), self.store, ManualClock())
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    made = Web()
    async with made.client:
        yield made


def check(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    body: dict[str, object] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    assert body["detail"]
    return body


def message_of(answer: httpx.Response) -> str:
    """What an error in another system's form says; each of them has one place for it."""
    if not answer.headers["content-type"].startswith("application/json"):
        assert answer.headers["content-type"].startswith("text/plain")
        return answer.text
    body = answer.json()
    error = body.get("error", body.get("message"))
    return str(error["reason"] if isinstance(error, dict) else error)


@pytest.mark.parametrize("start", FOREIGN_ERRORS)
async def test_below_another_systems_paths_errors_have_its_form(web: Web, start: str) -> None:
    for headers in ({}, {"Accept": "text/html"}):
        answer = await web.client.get(f"{start}/no/such/place", headers=headers)
        assert answer.status_code == 404
        assert "cannot find" in message_of(answer)
    check(await web.client.get(f"{start}-not"), 404)


async def test_unknown_path(web: Web) -> None:
    body = check(await web.client.get("/nothing"), 404)
    assert "/nothing" in str(body["detail"])


@pytest.mark.parametrize(
    ("path", "status"), [("/nothing", 404), ("/?limit=many", 422), ("/?limit=0", 422)]
)
async def test_a_browser_gets_a_page(web: Web, path: str, status: int) -> None:
    answer = await web.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "cannot" in answer.text
    check(await web.client.get(path), status)
    api = await web.client.get("/api/v1/nothing", headers={"Accept": "text/html"})
    check(api, 404)


async def test_a_page_with_a_bug_is_a_page(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_self: object, *_arguments: object) -> None:
        raise ZeroDivisionError("<script>")

    monkeypatch.setattr(Collectors, "delivery", broken)
    with capture_logs():
        answer = await web.client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 500
    assert "BUG:" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script>" not in answer.text.replace("</script>", "")


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz"])
async def test_head_answers_as_get_does(web: Web, path: str) -> None:
    assert (await web.client.head(path)).status_code == 200


async def test_wrong_method_on_every_route(web: Web) -> None:
    paths = web.app.openapi()["paths"]
    assert {"/api/v1/logs", "/api/v1/logs/tail", "/api/v1/logs/{row_id}", "/healthz"} <= set(paths)
    foreign = {path for path in paths if path.startswith(tuple(FOREIGN_ERRORS))}
    assert len(foreign) >= 4
    for path in [*set(paths).difference(foreign), "/", "/docs"]:
        check(await web.client.delete(path), 405)
    for path in foreign | {"/query"}:
        answer = await web.client.delete(path)
        assert answer.status_code == 405
        assert "cannot DELETE" in message_of(answer)


async def test_wrong_parameters(web: Web) -> None:
    body = check(await web.client.get("/api/v1/logs", params={"limit": "many"}), 422)
    assert "limit" in str(body["errors"])


@pytest.mark.parametrize(
    "parameters",
    [{"q": "(a"}, {"from": "soon"}, {"order": "size"}, {"cursor": "x"}, {"from": "1h", "to": "2h"}],
)
@pytest.mark.parametrize("path", ["/api/v1/logs", "/api/v1/logs/tail"])
async def test_what_cannot_be_understood(web: Web, path: str, parameters: dict[str, str]) -> None:
    body = check(await web.client.get(path, params=parameters), 400)
    assert str(body["detail"]).startswith("cannot ")


async def test_a_wrong_id_and_one_that_is_not_there(web: Web) -> None:
    check(await web.client.get("/api/v1/logs/nonsense"), 400)
    check(await web.client.get(f"/api/v1/logs/{'A' * 27}"), 404)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DOWN, 503),
        (StoreError("cannot run the query: too long", code=159), 504),
        (StoreError("cannot run the query: broken", code=1), 502),
        (TableMissingError("cannot run the query: no such table", code=60), 503),
        (RuntimeError("surprise"), 500),
    ],
)
async def test_what_clickhouse_answers(error: Exception, status: int) -> None:
    web = Web(("", error))
    async with web.client:
        with capture_logs():
            answer = await web.client.get("/api/v1/logs")
        body = check(answer, status)
        assert "surprise" not in str(body)


async def test_a_bug_in_any_route_has_the_shape() -> None:
    web = Web(("", RuntimeError("surprise")))
    async with web.client:
        for route in (
            "/api/v1/logs",
            "/api/v1/logs/tail",
            f"/api/v1/logs/{'A' * 27}",
            "/readyz",
            "/",
        ):
            with capture_logs() as logged:
                check(await web.client.get(route), 500)
            assert [entry["event"] for entry in logged] == ["BUG: a request failed"]


async def test_the_page_of_a_wrong_search_shows_the_place_and_keeps_the_text(web: Web) -> None:
    answer = await web.client.get("/", params={"q": 'level:error (card "x"'})
    assert answer.status_code == 400
    assert "&#39;)&#39; of this" in answer.text
    assert 'value="level:error (card &#34;x&#34;"' in answer.text
    assert " " * 12 + "<b>^</b>" in answer.text


async def test_the_page_while_clickhouse_is_down_comes_back_by_itself() -> None:
    web = Web(("", DOWN))
    async with web.client:
        answer = await web.client.get("/")
        assert answer.status_code == 503
        assert answer.headers["refresh"] == "2"
        assert 'http-equiv="refresh"' in answer.text
        assert "ClickHouse does not answer" in answer.text
        web.store.answers.clear()
        assert (await web.client.get("/")).status_code == 200


async def test_counts_that_take_too_long_are_left_out_and_the_rows_stay() -> None:
    web = Web(("GROUP BY", StoreError("cannot run the query: too long", code=159)))
    async with web.client:
        assert (await web.client.get("/")).status_code == 200


async def test_health_is_alive_and_not_ready(web: Web) -> None:
    assert (await web.client.get("/healthz")).text == "ok\n"
    body = check(await web.client.get("/readyz"), 503)
    assert body["detail"] == (
        "not ready yet: tables of the pack 'logs' are not there: logs.application_logs, "
        "logs.rejected. `tailrace setup logs` makes them"
    )


async def test_ready_names_every_pack_that_runs_and_lacks_tables(tmp_path: Path) -> None:
    web = Web(packs="collatz requests", data_dir=tmp_path)
    there = ["logs.application_logs", "logs.rejected", "rikstv.data_series", "rikstv.chains"]
    web.store.answers.append(("system.tables", [(name,) for name in there]))
    async with web.client:
        detail = str(check(await web.client.get("/readyz"), 503)["detail"])
        assert "pack 'collatz' are not there: rikstv.arrivals" in detail
        assert "`tailrace setup collatz`" in detail
        assert "pack 'requests' are not there: logs.api_requests, " in detail
        assert "'logs'" not in detail
        names = [name for pack in web.app.state.context.packs for name in pack.retention]
        web.store.answers[0] = ("system.tables", [(name,) for name in names])
        detail = str(check(await web.client.get("/readyz"), 503)["detail"])
        assert detail == "not ready yet: collector at http://127.0.0.1:1 does not answer"


async def test_packs_that_there_are_not_keep_the_pages_from_starting() -> None:
    with pytest.raises(UsageError, match="cannot find a pack 'flour'"):
        Web(packs="logs flour")


@pytest.mark.parametrize("path", ["/api/v1/logs", "/"])
async def test_a_table_that_is_not_there_can_be_tried_again(path: str) -> None:
    web = Web(("api_requests", TableMissingError("cannot run the query: none", code=60)))
    async with web.client:
        answer = await web.client.get(path, params={"table": "api_requests"})
        assert answer.status_code == 503
        assert "cannot search logs.api_requests, which is not there" in answer.text
        assert "`tailrace setup requests` makes it" in answer.text
        assert answer.headers["retry-after"] == "2"


async def test_metrics_count_by_route_and_not_by_path(web: Web) -> None:
    await web.client.get("/api/v1/logs")
    await web.client.get("/secret-path")
    text = (await web.client.get("/metrics")).text
    assert 'route="/api/v1/logs"' in text
    assert "secret-path" not in text


async def test_static_files_are_kept_for_ever_and_only_their_own(web: Web) -> None:
    page = (await web.client.get("/")).text
    path = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await web.client.get(path)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    version = path.split("/")[2]
    for wrong in (f"/static/{version}/../app.py", f"/static/{version}/%2e%2e/app.py"):
        check(await web.client.get(wrong), 404)


async def test_the_description_has_every_parameter_and_examples(web: Web) -> None:
    described = (await web.client.get("/openapi.json")).json()
    parameters = described["paths"]["/api/v1/logs"]["get"]["parameters"]
    by_name = {parameter["name"]: parameter for parameter in parameters}
    assert {"q", "level", "source", "from", "to", "order", "limit", "cursor"} <= set(by_name)
    assert by_name["q"]["schema"]["examples"]
