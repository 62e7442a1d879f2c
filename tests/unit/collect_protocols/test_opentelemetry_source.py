"""What the source `opentelemetry` answers."""

import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from pydantic import ValidationError

from tailrace.collect.codecs import CODECS
from tailrace.collect.sources.opentelemetry import OpentelemetryConfig, OpentelemetrySource
from tests.unit.collect.kept import Kept, running_source

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
SAMPLE = Path(__file__).parents[2] / "golden/protocols/otlp_request.json"


@dataclass
class System:
    """A running source and a client of it."""

    kept: Kept
    client: httpx.AsyncClient

    async def post(
        self, body: bytes, headers: dict[str, str], path: str = "/v1/logs"
    ) -> httpx.Response:
        return await self.client.post(path, content=body, headers=headers)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    kept = Kept()
    options = {"http": {"address": "127.0.0.1:0", "headers": ["X-Tenant", "x-b-*"]}}
    async with (
        running_source("opentelemetry", OpentelemetrySource, kept, options) as source,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{source.port}", timeout=60) as client,
    ):
        yield System(kept, client)
    assert source.bodies_bytes == 0


def request(text: str = "hello") -> bytes:
    made = ExportLogsServiceRequest()
    record = made.resource_logs.add().scope_logs.add().log_records.add()
    record.body.string_value = text
    return made.SerializeToString()


async def test_protobuf_is_kept_as_it_came(system: System) -> None:
    answer = await system.post(request(), {**PROTOBUF, "X-Tenant": "a", "X-B-1": "b"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == PROTOBUF["Content-Type"]
    assert ExportLogsServiceResponse.FromString(answer.content) == ExportLogsServiceResponse()
    (frames,) = system.kept.frames
    assert (frames.payload, frames.count, frames.one_frame) == (request(), 1, True)
    assert frames.origin.peer == "127.0.0.1"
    assert frames.origin.fields == (("X-Tenant", "a"), ("x-b-1", "b"))


async def test_json_and_gzip(system: System) -> None:
    body = gzip.compress(b" \n" + SAMPLE.read_bytes())
    answer = await system.post(body, {**JSON, "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()) == (200, {})
    (frames,) = system.kept.frames
    assert (frames.count, frames.one_frame) == (3, False)
    assert len(frames.payload.splitlines()) == 3


async def test_lines_made_of_json_lack_nothing(system: System) -> None:
    await system.post(SAMPLE.read_bytes(), {**JSON, "X-Tenant": "a"})
    (frames,) = system.kept.frames
    assert frames.origin.fields == ()
    for line in frames.payload.splitlines():
        event = json.loads(line)
        assert (event["source_type"], event["X-Tenant"]) == ("opentelemetry", "a")
        assert event["timestamp"].endswith("Z")


async def test_bad_records_are_told_and_kept(system: System) -> None:
    document = json.loads(SAMPLE.read_bytes())
    bad = {"timeUnixNano": "soon"}
    document["resourceLogs"][0]["scopeLogs"][1]["logRecords"].append(bad)
    answer = await system.post(json.dumps(document).encode(), JSON)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == 1
    assert "timeUnixNano" in partial["errorMessage"]
    assert [json.loads(line.raw) for line in system.kept.rejected] == [bad]
    assert system.kept.frames[0].count == 3


async def test_a_request_that_becomes_too_much_is_413(system: System) -> None:
    attribute = {"key": "a", "value": {"stringValue": "x" * 1_000_000}}
    scope: dict[str, object] = {"logRecords": [{}] * 70}
    resource = {"resource": {"attributes": [attribute]}, "scopeLogs": [scope]}
    answer = await system.post(json.dumps({"resourceLogs": [resource]}).encode(), JSON)
    assert answer.status_code == 413
    assert "send smaller ones" in answer.json()["message"]
    assert not system.kept.frames


@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
async def test_what_cannot_be_read_is_400_and_kept(system: System, headers: dict[str, str]) -> None:
    answer = await system.post(b"\xff{]", headers)
    assert answer.status_code == 400
    assert b"cannot read the request: not" in answer.content
    assert [line.raw for line in system.kept.rejected] == [b"\xff{]"]
    assert not system.kept.frames


async def test_a_full_buffer_is_503_with_when_to_come_again(system: System) -> None:
    system.kept.full = True
    answer = await system.post(request(), PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    # google.rpc.Status: code 14 (unavailable), and the text.
    assert answer.content.startswith(b"\x08\x0e\x12")


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/"])
async def test_other_signals_are_not_taken(system: System, path: str) -> None:
    answer = await system.post(b"{}", JSON, path)
    assert answer.status_code == 404
    assert answer.json()["code"] == 12
    assert "at /v1/logs" in answer.json()["message"]


async def test_other_methods_and_types_are_refused(system: System) -> None:
    assert (await system.client.get("/v1/logs")).status_code == 405
    answer = await system.post(b"x", {"Content-Type": "text/plain"})
    assert answer.status_code == 415
    answer = await system.post(b"x", {**JSON, "Content-Encoding": "br"})
    assert answer.status_code == 400


async def test_an_empty_request_is_no_event(system: System) -> None:
    assert (await system.post(b"", PROTOBUF)).status_code == 200
    assert (await system.post(b"{}", JSON)).status_code == 200
    assert not system.kept.frames


async def test_a_carriage_return_at_the_end_is_not_a_lines(system: System) -> None:
    body = request("ends in \r")
    assert body.endswith(b"\r")
    assert (await system.post(body, PROTOBUF)).status_code == 200
    payload = system.kept.frames[0].payload
    assert not payload.endswith(b"\r")
    assert CODECS["opentelemetry"](payload)[0]["message"] == "ends in \r"


def test_grpc_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"(?s)grpc.*OTLP over HTTP, not over gRPC"):
        OpentelemetryConfig.model_validate({"grpc": {"address": "127.0.0.1:4317"}})
