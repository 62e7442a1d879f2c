"""What the Elasticsearch door answers, to bulk requests and to what shippers ask before."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.unit.web_intake.intake_support import Doors, running

PAIR = b'{"create":{"_index":"shop"}}\n{"message":"one"}\n'


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    async with running() as made:
        yield made


def check_error(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["x-elastic-product"] == "Elasticsearch"
    body = answer.json()
    assert body["status"] == status
    assert body["error"]["type"] == body["error"]["root_cause"][0]["type"] == kind
    assert body["error"]["reason"].startswith("cannot ")
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("path", "index"), [("/_bulk", "shop"), ("/other/_bulk", "shop"), ("/_bulk?pipeline=p", "shop")]
)
async def test_bulk(doors: Doors, method: str, path: str, index: str) -> None:
    answer = await doors.client.request(method, f"/elasticsearch{path}", content=PAIR)
    assert answer.status_code == 200
    assert answer.headers["x-elastic-product"] == "Elasticsearch"
    body = answer.json()
    assert body["errors"] is False
    assert body["took"] >= 0
    (item,) = body["items"]
    assert item["create"]["status"] == 201
    assert item["create"]["_index"] == index
    assert item["create"]["_id"]
    assert doors.pipeline.payloads == [b'{"_index":"shop","message":"one"}\n']


async def test_gzip_and_the_index_of_the_path(doors: Doors) -> None:
    body = gzip.compress(b'{"index":{"_id":"7"}}\n{"message":"one"}\n')
    answer = await doors.client.post(
        "/elasticsearch/shop/_bulk", content=body, headers={"Content-Encoding": "gzip"}
    )
    assert answer.json()["items"][0]["index"]["_id"] == "7"
    assert doors.pipeline.events == [{"_index": "shop", "_id": "7", "message": "one"}]


async def test_refused_items_do_not_keep_others_out(doors: Doors) -> None:
    body = PAIR + b'{"delete":{"_id":"1"}}\n{"update":{"_id":"2"}}\n{"doc":{}}\n' + PAIR
    answer = (await doors.client.post("/elasticsearch/_bulk", content=body)).json()
    assert answer["errors"] is True
    statuses = [next(iter(item.values()))["status"] for item in answer["items"]]
    assert statuses == [201, 400, 400, 201]
    assert "only ever added" in answer["items"][1]["delete"]["error"]["reason"]
    assert len(doors.pipeline.events) == 2


@pytest.mark.parametrize(
    ("filter_path", "expected"),
    [
        ("errors,items.*.error,items.*.status", {"errors": False, "items": [{"create": {"status": 201}}]}),
        ("errors,items.*.error", {"errors": False}),
        ("errors", {"errors": False}),
        ("-took,-items", {"errors": False}),
        ("items.create.result", {"items": [{"create": {"result": "created"}}]}),
        ("nothing", {}),
    ],
)  # fmt: skip
async def test_filter_path(doors: Doors, filter_path: str, expected: dict[str, Any]) -> None:
    answer = await doors.client.post(
        "/elasticsearch/_bulk", params={"filter_path": filter_path}, content=PAIR
    )
    assert answer.json() == expected


async def test_an_empty_body_is_nothing(doors: Doors) -> None:
    answer = await doors.client.post("/elasticsearch/_bulk", content=b"\n")
    assert (answer.status_code, answer.json()["items"]) == (200, [])
    assert doors.pipeline.payloads == []


async def test_errors_have_elasticsearchs_form(doors: Doors) -> None:
    post = doors.client.post
    answer = await post("/elasticsearch/_bulk", content=b'{"create":[]}\n{}\n')
    check_error(answer, 400, "illegal_argument_exception")
    doors.pipeline.status, doors.pipeline.headers = 503, {"Retry-After": "7"}
    full = await post("/elasticsearch/_bulk", content=PAIR)
    check_error(full, 429, "es_rejected_execution_exception")
    assert full.headers["retry-after"] == "7"
    doors.pipeline.error = httpx.ConnectError("refused")
    check_error(await post("/elasticsearch/_bulk", content=PAIR), 503, "exception")
    missing = await doors.client.get("/elasticsearch/_search")
    check_error(missing, 404, "resource_not_found_exception")
    check_error(await doors.client.delete("/elasticsearch/shop/_bulk"), 405, "exception")


@pytest.mark.parametrize(
    ("method", "path", "body", "doc_id"),
    [
        ("POST", "/shop/_doc", b'{\n  "message": "one"\n}', ""),
        ("PUT", "/shop/_doc/7", b'{"message":"one"}', "7"),
        ("PUT", "/shop/_create/7", b'{"message":"one"}', "7"),
    ],
)
async def test_a_single_document(
    doors: Doors, method: str, path: str, body: bytes, doc_id: str
) -> None:
    answer = await doors.client.request(method, f"/elasticsearch{path}", content=body)
    assert (answer.status_code, answer.json()["result"]) == (201, "created")
    (event,) = doors.pipeline.events
    assert (event["_index"], event["message"], event.get("_id", "")) == ("shop", "one", doc_id)
    refused = await doors.client.request(method, f"/elasticsearch{path}", content=b"[]")
    check_error(refused, 400, "illegal_argument_exception")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/_license?human=false",
        "/_xpack",
        "/_cluster/health",
        "/_nodes/http",
        "/_ilm/policy/filebeat",
        "/_index_template/filebeat-9.0.0",
        "/_component_template/x",
        "/_template/logstash",
        "/_ingest/pipeline/filebeat-9.0.0-nginx-access-pipeline",
        "/_data_stream/filebeat-9.0.0",
        "/_alias/filebeat",
        "/filebeat-7.17.0",
        "/shop/_refresh",
    ],
)
async def test_what_shippers_ask_before_they_send(doors: Doors, path: str) -> None:
    answer = await doors.client.get(f"/elasticsearch{path}")
    assert answer.status_code == 200
    assert answer.headers["x-elastic-product"] == "Elasticsearch"
    assert isinstance(answer.json(), dict)


async def test_what_shippers_put_in_place_is_acknowledged(doors: Doors) -> None:
    info = (await doors.client.get("/elasticsearch/")).json()
    assert info["version"]["number"].split(".")[0] == "9"
    assert info["tagline"] == "You Know, for Search"
    assert (await doors.client.head("/elasticsearch/")).status_code == 200
    for path in ("_index_template/x", "_ilm/policy/x", "_ingest/pipeline/x", "_data_stream/x", "x"):
        assert (await doors.client.head(f"/elasticsearch/{path}")).status_code == 200
        answer = await doors.client.put(f"/elasticsearch/{path}", content=b"{}")
        assert answer.json()["acknowledged"] is True
    assert (await doors.client.put("/elasticsearch/_search")).status_code == 404
    licence = (await doors.client.get("/elasticsearch/_license")).json()["license"]
    assert (licence["type"], licence["status"]) == ("basic", "active")


async def test_the_door_is_described(doors: Doors) -> None:
    described = (await doors.client.get("/openapi.json")).json()["paths"]
    operation = described["/elasticsearch/{index}/_bulk"]["post"]
    assert operation["tags"] == ["Intake"]
    assert "create" in str(operation["requestBody"])


async def test_a_filter_of_many_patterns_is_refused(doors: Doors) -> None:
    answer = await doors.client.post(
        "/elasticsearch/_bulk", params={"filter_path": "*a" * 501}, content=b'{"create":{}}\n{}\n'
    )
    assert answer.status_code == 400
    assert "at most 1000" in answer.json()["error"]["reason"]
    assert doors.pipeline.payloads == []
