"""Influx's line protocol, as versions 1 and 2 take it, for Telegraf and Influx's clients.

Base address: that of the pages. Databases, retention policies, organisations, buckets, users and
tokens are not looked at: there is one place that events go to. Bad lines are answered with 400 and
their reasons, and the good ones of the same body are taken, as Influx does it.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.exceptions import HTTPException

from tailrace.web.context import Context, Shared
from tailrace.web.intake.influx_lines import NANOS_PER_UNIT, read_lines

WRITE_V1: Final = "/write"
QUERY: Final = "/query"
WRITE_V2: Final = "/api/v2/write"

VERSION: Final = "1.8.10"
MOST_FORM_BYTES: Final = 64 * 1024
"""Of a form a few bytes are a field, and each takes a hundred times the memory."""
_HEADERS: Final = {"X-Influxdb-Version": VERSION, "X-Influxdb-Build": "tailrace"}
_CODES: Final = {
    400: "invalid",
    404: "not found",
    405: "method not allowed",
    413: "request too large",
    429: "too many requests",
    503: "unavailable",
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": 'disk,host=db-1,path=/ used=12i,free=0.5,label="root" 1763808135118000000',
            }
        },
    },
    "responses": {"204": {"description": "The events are on disk"}},
}
_NOT_PRINTABLE: Final = re.compile(r"[^ -~]+")
_ADMINISTRATION: Final = ("CREATE DATABASE", "CREATE RETENTION POLICY", "ALTER RETENTION POLICY")

router = APIRouter(tags=["Intake"])


def error_answer_v1(status: int, detail: str, headers: dict[str, str]) -> Response:
    """An error in the form of version 1."""
    # In a header nothing may look like the end of a line: it quotes what was sent.
    told = _NOT_PRINTABLE.sub(" ", detail[:500].encode("ascii", "replace").decode())
    return _answer({"error": detail}, status, {**headers, "X-Influxdb-Error": told})


def error_answer_v2(status: int, detail: str, headers: dict[str, str]) -> Response:
    """An error in the form of version 2."""
    code = _CODES.get(status, "internal error")
    return _answer({"code": code, "message": detail}, status, headers)


def _answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, {**_HEADERS, **(headers or {})}, "application/json")


Precision = Annotated[
    str, Query(description="Unit of the timestamps: ns, us, ms, s; version 1: m, h, too")
]


@router.post(WRITE_V1, summary="Influx 1's write", status_code=204, openapi_extra=_BODY)
async def write_v1(shared: Shared, request: Request, precision: Precision = "ns") -> Response:
    """Take points; the answer comes when they are on disk. `db`, `rp`, `u` and `p` are not looked at.

    A point becomes an event: the measurement is its source, tags and fields are its fields. 429 with
    Retry-After: the buffer is full.
    """
    return await _take(shared, request, precision)


@router.post(WRITE_V2, summary="Influx 2's write", status_code=204, openapi_extra=_BODY)
async def write_v2(shared: Shared, request: Request, precision: Precision = "ns") -> Response:
    """As `/write`, for clients of Influx 2. `org`, `bucket` and the token are not looked at."""
    return await _take(shared, request, precision)


async def _take(shared: Context, request: Request, precision: str) -> Response:
    unit = NANOS_PER_UNIT.get(precision)
    if unit is None:
        known = ", ".join(filter(None, NANOS_PER_UNIT))
        raise HTTPException(400, f"cannot use precision={precision!r}: give one of {known}")
    found = await shared.forwarder.take(request, partial(read_lines, nanos_per_unit=unit))
    if found.errors:
        reasons = "\n".join(found.errors)
        # Telegraf looks for these words, and sends the good lines no second time.
        detail = f"partial write: {reasons} dropped={found.dropped}" if found.count else reasons
        raise HTTPException(400, detail)
    return Response(status_code=204, headers=_HEADERS)


@router.head("/ping", include_in_schema=False)
@router.get("/ping", include_in_schema=False)
async def ping() -> Response:
    """Clients ask for the version, in a header."""
    return Response(status_code=204, headers=_HEADERS)


@router.post("/api/v2/signin", include_in_schema=False)
@router.post("/api/v2/signout", include_in_schema=False)
async def session() -> Response:
    """Clients of version 2 that have a user and a password want a session before they write."""
    headers = {**_HEADERS, "Set-Cookie": "influxdb-oss-session=none; Path=/api/v2/; HttpOnly"}
    return Response(status_code=204, headers=headers)


@router.head("/health", include_in_schema=False)
@router.get("/health", include_in_schema=False)
async def health(shared: Shared) -> Response:
    """Clients of version 2 ask whether writing makes sense."""
    is_ready = await shared.collectors.takes_events()
    said: dict[str, object] = {
        "name": "influxdb",
        "status": "pass" if is_ready else "fail",
        "message": "ready for writes" if is_ready else "the collector is not ready",
        "checks": [],
        "version": VERSION,
    }
    return _answer(said, 200 if is_ready else 503)


@router.get(QUERY, include_in_schema=False)
@router.post(QUERY, include_in_schema=False)
async def query(shared: Shared, request: Request) -> Response:
    """What clients administer before they write: databases are there already."""
    asked = request.query_params.get("q", "")
    if not asked:
        async with shared.forwarder.body(request) as body:
            asked = _asked_in(body)
    statement = " ".join(asked.split()).upper()
    if statement.startswith(_ADMINISTRATION):
        return _answer({"results": [{"statement_id": 0}]})
    if statement.startswith("SHOW DATABASES"):
        series = {"name": "databases", "columns": ["name"], "values": [["tailrace"]]}
        return _answer({"results": [{"statement_id": 0, "series": [series]}]})
    raise HTTPException(
        400, f"cannot run {asked[:100]!r}: this only takes points; /api/v1/logs finds them again"
    )


def _asked_in(form: bytes) -> str:
    """The query of a form; '' where there is none."""
    if len(form) > MOST_FORM_BYTES:
        raise HTTPException(413, f"cannot take a query of more than {MOST_FORM_BYTES} bytes")
    return parse_qs(form.decode("utf-8", "replace")).get("q", [""])[0]
