"""Source `opentelemetry`: logs by OTLP over HTTP, in protobuf or in JSON.

An answer of 200 says that the events are on disk; where it has a `partial_success`, that so many
records could be no events and are kept with the reasons. 400: nothing could be read. 503 with
Retry-After: there is no room for now. Traces and metrics are told 404: nothing of them is taken.

A request is judged here, and kept as it came, in one frame; the codec `opentelemetry` makes events
of it in a worker process. Its events are on the output `<id>.logs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import Field, field_validator
from typing_extensions import override

from tailrace.collect.codec import DecodeError
from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.http import Answer, Receive, RefusedError, Request
from tailrace.collect.options import Address
from tailrace.collect.otlp import (
    count_records,
    parse_protobuf,
    read_json,
    response_protobuf,
    status_protobuf,
)
from tailrace.collect.requests import RequestSource, chosen_headers
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
PATH = "/v1/logs"

UNKNOWN_FIELD = b"\x78\x00"
"""Field 15, of the value 0, which no request has: whoever reads it passes over it."""

CODES = {400: 3, 401: 16, 404: 12, 405: 12, 413: 3, 415: 3, 503: 14}
"""gRPC's codes, which the body of an error names."""


class HttpOptions(Options):
    """Where OTLP over HTTP is spoken."""

    address: Address
    """Address and port to listen on; OTLP's own port is 4318."""

    headers: tuple[str, ...] = ()
    """Request headers that become fields; `*` stands for any text."""


class OpentelemetryConfig(SourceConfig):
    """Takes logs from OpenTelemetry's SDKs and collectors; 200 says that they are durable."""

    type: Literal["opentelemetry"] = "opentelemetry"

    grpc: Any = None
    """OTLP over gRPC, which Tailrace does not speak: it is refused."""

    http: HttpOptions = Field()
    """OTLP over HTTP."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset(self.http.headers)

    @property
    @override
    def codec(self) -> str:
        return "opentelemetry"

    @override
    def output(self) -> str:
        return "logs"

    @field_validator("grpc")
    @classmethod
    def _refuse_grpc(cls, grpc: Any) -> None:
        del grpc
        raise ValueError(
            "Tailrace speaks OTLP over HTTP, not over gRPC: take this out, give http.address, and "
            "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf where the logs come from"
        )


@dataclass(frozen=True)
class Judged:
    """What a request holds."""

    frame: bytes
    count: int
    rejected: list[tuple[bytes, str]]


class OpentelemetrySource(RequestSource):
    """Serves one address; see the module."""

    def __init__(self, config: OpentelemetryConfig, context: SourceContext) -> None:
        super().__init__(config.http.address, "http.address", context)
        self.config = config

    @override
    async def take(self, request: Request, receive: Receive) -> Answer:
        _check(request)
        judge = _JUDGES.get(_media_type(request))
        if judge is None:
            raise RefusedError(
                415, f"cannot read {_media_type(request)!r}: send {PROTOBUF} or {JSON}"
            )
        async with self.body(request, receive) as body:
            try:
                judged = await self.read(request, body, judge)
            except DecodeError as error:
                await self._reject(request, [(body, error.reason)])
                raise RefusedError(400, f"cannot read the request: {error.reason}") from error
            await self._keep(request, judged)
        return _answer(request, judged)

    @override
    def refusal(self, request: Request, refused: RefusedError) -> Answer:
        code, text = CODES.get(refused.status, 2), refused.detail
        if _media_type(request) == PROTOBUF:
            status = status_protobuf(code, text)
            return Answer(refused.status, status, PROTOBUF, refused.headers)
        return Answer(refused.status, {"code": code, "message": text}, JSON, refused.headers)

    async def _keep(self, request: Request, judged: Judged) -> None:
        if judged.rejected:
            await self._reject(request, judged.rejected)
        if judged.count:
            origin = Origin(request.peer, chosen_headers(self.config.http.headers, request))
            frames = Frames(judged.frame, judged.count, origin, one_frame=True)
            await self.context.intake.append([frames])

    async def _reject(self, request: Request, rejected: list[tuple[bytes, str]]) -> None:
        await self.context.intake.reject(
            [RejectedLine(raw, reason, request.peer) for raw, reason in rejected]
        )


def _check(request: Request) -> None:
    if request.path != PATH:
        raise RefusedError(
            404,
            f"cannot take {request.path!r}: Tailrace takes logs, at {PATH}; for traces and metrics "
            "set OTEL_TRACES_EXPORTER=none and OTEL_METRICS_EXPORTER=none, or another endpoint",
        )
    if request.method != "POST":
        raise RefusedError(405, f"cannot {request.method} here: use POST", {"Allow": "POST"})


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _judge_protobuf(body: bytes) -> Judged:
    if body.startswith(b"{"):
        raise DecodeError(f"not OTLP: it looks like JSON, but says that it is {PROTOBUF}")
    count = count_records(parse_protobuf(body))
    # A carriage return at the end of a frame would be taken for a line's.
    frame = body + UNKNOWN_FIELD if body.endswith(b"\r") else body
    return Judged(frame, count, [])


def _judge_json(body: bytes) -> Judged:
    logs = read_json(body)
    return Judged(logs.sound.strip(), len(logs.events), logs.rejected)


_JUDGES: dict[str, Callable[[bytes], Judged]] = {PROTOBUF: _judge_protobuf, JSON: _judge_json}


def _answer(request: Request, judged: Judged) -> Answer:
    rejected = len(judged.rejected)
    reason = judged.rejected[0][1] if rejected else ""
    if _media_type(request) == PROTOBUF:
        return Answer(200, response_protobuf(rejected, reason), PROTOBUF)
    said = {"partialSuccess": {"rejectedLogRecords": rejected, "errorMessage": reason}}
    return Answer(200, orjson.dumps(said if rejected else {}), JSON)


OPENTELEMETRY: Component[Source] = Component(OpentelemetryConfig, OpentelemetrySource)
