"""Source `opentelemetry`: logs by OTLP over HTTP, in protobuf or in JSON.

An answer of 200 says that the events are on disk; where it has a `partial_success`, that so many
records could be no events and are kept with the reasons. 400: nothing could be read. 503 with
Retry-After: there is no room for now. Traces and metrics are told 404: nothing of them is taken.

A request in protobuf is judged here, and kept as it came, in one frame; the codec `opentelemetry`
makes events of it in a worker process. One in JSON is taken apart here, once, into lines that are
events already: to parse it takes longer than all the rest. Events are on the output `<id>.logs`.
They have an `observed_timestamp` only where the record has one; Vector puts the time of arrival
there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import orjson
from pydantic import Field, field_validator
from typing_extensions import override

from tailrace.collect.codec import DecodeError
from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.http import Answer, Receive, RefusedError, Request
from tailrace.collect.options import Acknowledgements, Address
from tailrace.collect.otlp import (
    count_records,
    parse_protobuf,
    response_protobuf,
    status_protobuf,
)
from tailrace.collect.otlp_json import TooManyEventsError, read_json
from tailrace.collect.requests import RequestSource, chosen
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext
from tailrace.collect.tls import HttpServerTls
from tailrace.collect.transform import Event, as_timestamp

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
PATH = "/v1/logs"

UNKNOWN_FIELD = b"\x78\x00"
"""Field 15, of the value 0, which no request has: whoever reads it passes over it."""

CODES = {400: 3, 401: 16, 404: 12, 405: 12, 413: 3, 415: 3, 503: 14}
"""gRPC's codes, which the body of an error names."""


class HttpOptions(Options):
    """Where OTLP over HTTP is spoken."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "keepalive": "connections are kept as long as their clients want",
    }

    address: Address
    """Address and port to listen on; OTLP's own port is 4318."""

    headers: tuple[str, ...] = ()
    """Request headers that become fields; `*` stands for any text."""

    tls: HttpServerTls = HttpServerTls()
    """Whether and how peers must encrypt what they send."""


class OpentelemetryConfig(SourceConfig):
    """Takes logs from OpenTelemetry's SDKs and collectors; 200 says that they are durable."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SourceConfig.not_taken,
        "use_otlp_decoding": "events are laid out as Vector does it without",
    }

    type: Literal["opentelemetry"] = "opentelemetry"

    grpc: Any = None
    """OTLP over gRPC, which Tailrace does not speak: it must be unset."""

    http: HttpOptions = Field()
    """OTLP over HTTP."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Either is kept: what is acknowledged is on disk."""

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

    payload: bytes
    count: int
    rejected: list[tuple[bytes, str]]
    is_request: bool
    """Whether it is the request as it came, rather than lines that are events."""


class OpentelemetrySource(RequestSource):
    """Serves one address; see the module."""

    def __init__(self, config: OpentelemetryConfig, context: SourceContext) -> None:
        super().__init__(config.http.address, "http.address", config.http.tls, context)
        self.config = config

    @override
    async def take(self, request: Request, receive: Receive) -> Answer:
        _check(request)
        judge = self._judge(request)
        if judge is None:
            raise RefusedError(
                415, f"cannot read {_media_type(request)!r}: send {PROTOBUF} or {JSON}"
            )
        async with self.body(request, receive) as body:
            try:
                judged = await self.read(request, body, judge)
            except TooManyEventsError as error:
                raise RefusedError(413, str(error)) from error
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

    def _judge(self, request: Request) -> Callable[[bytes], Judged] | None:
        """What reads bodies of the request's media type."""
        media_type = _media_type(request)
        if media_type == PROTOBUF:
            return _judge_protobuf
        if media_type != JSON:
            return None
        # What the pipeline adds to events that it decodes, in its order.
        added: Event = dict(self._headers(request))
        added.setdefault("source_type", self.config.type)
        added.setdefault("timestamp", as_timestamp(self.context.clock.now_ms()))
        return partial(_judge_json, added)

    async def _keep(self, request: Request, judged: Judged) -> None:
        if judged.rejected:
            await self._reject(request, judged.rejected)
        if judged.count:
            fields = self._headers(request) if judged.is_request else ()
            origin = Origin(request.peer, fields)
            frames = Frames(judged.payload, judged.count, origin, one_frame=judged.is_request)
            await self.context.intake.append([frames])

    def _headers(self, request: Request) -> tuple[tuple[str, str | None], ...]:
        return chosen(self.config.http.headers, request.headers)

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
    return Judged(frame, count, [], is_request=True)


def _judge_json(added: Event, body: bytes) -> Judged:
    logs = read_json(body, added)
    return Judged(logs.lines, logs.count, logs.rejected, is_request=False)


def _answer(request: Request, judged: Judged) -> Answer:
    rejected = len(judged.rejected)
    reason = judged.rejected[0][1] if rejected else ""
    if _media_type(request) == PROTOBUF:
        return Answer(200, response_protobuf(rejected, reason), PROTOBUF)
    said = {"partialSuccess": {"rejectedLogRecords": rejected, "errorMessage": reason}}
    return Answer(200, orjson.dumps(said if rejected else {}), JSON)


OPENTELEMETRY: Component[Source] = Component(OpentelemetryConfig, OpentelemetrySource)
