"""What Loki's door answers."""

import gzip
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from tests.golden.protocols.loki_wire import push_request, snap
from tests.unit.web_intake.intake_support import Doors, running

PUSH = "/loki/api/v1/push"
JSON = orjson.dumps(
    {"streams": [{"stream": {"app": "shop"}, "values": [["1763808135118000000", "a"]]}]}
)
PROTOBUF = snap(push_request({'{app="shop"}': [(1763808135, 118000000, b"a", {})]}))
EVENT = {"timestamp": "1763808135118000000", "app": "shop", "message": "a"}


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    async with running() as made:
        yield made


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (JSON, {"Content-Type": "application/json"}),
        (JSON, {"Content-Type": "application/json; charset=utf-8"}),
        (JSON, {}),
        (
            gzip.compress(JSON, mtime=0),
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        ),
        (PROTOBUF, {"Content-Type": "application/x-protobuf"}),
        (PROTOBUF, {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}),
        (
            gzip.compress(PROTOBUF, mtime=0),
            {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
        ),
    ],
)
async def test_push(doors: Doors, body: bytes, headers: dict[str, str]) -> None:
    answer = await doors.client.post(PUSH, content=body, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert doors.pipeline.events == [EVENT]


async def test_errors_are_text(doors: Doors) -> None:
    wrong = await doors.client.post(PUSH, content=b"{")
    assert (wrong.status_code, wrong.headers["content-type"][:10]) == (400, "text/plain")
    assert wrong.text.startswith("cannot read the body: it is not JSON")
    protobuf = {"Content-Type": "application/x-protobuf"}
    assert (await doors.client.post(PUSH, content=JSON, headers=protobuf)).status_code == 400
    doors.pipeline.status, doors.pipeline.headers = 503, {"Retry-After": "7"}
    full = await doors.client.post(PUSH, content=JSON)
    assert (full.status_code, full.headers["retry-after"]) == (429, "7")
    doors.pipeline.error = httpx.ConnectError("refused")
    assert (await doors.client.post(PUSH, content=JSON)).status_code == 503


async def test_it_is_ready_when_the_collector_is(doors: Doors) -> None:
    answer = await doors.client.get("/loki/ready")
    assert (answer.status_code, answer.text[:6]) == (503, "cannot")


async def test_the_door_is_described(doors: Doors) -> None:
    described = (await doors.client.get("/openapi.json")).json()["paths"]
    assert described[PUSH]["post"]["tags"] == ["Intake"]


async def test_a_time_that_is_true_or_false_is_none(doors: Doors) -> None:
    body = b'{"streams":[{"stream":{"app":"shop"},"values":[[true,"no stock"]]}]}'
    answer = await doors.client.post(PUSH, content=body)
    assert answer.status_code == 400
    assert answer.text.startswith('cannot read the entry [true,"no stock"]')
    assert doors.pipeline.events == []
