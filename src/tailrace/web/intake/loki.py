"""Loki's push, for Promtail, Alloy, Fluent Bit, Vector and clients in many languages.

Base address: that of the pages. A tenant (`X-Scope-OrgID`) is not looked at: there is one.
"""

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from tailrace.web.context import Shared
from tailrace.web.intake.forward import MAX_BODY_BYTES
from tailrace.web.intake.loki_push import read_json, read_protobuf

PREFIX: Final = "/loki"

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "In JSON, or in protobuf compressed by Snappy (application/x-protobuf)",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "streams": [
                        {
                            "stream": {"app": "shop", "level": "error"},
                            "values": [["1763808135118000000", "no stock", {"user": "7"}]],
                        }
                    ]
                },
            },
            "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "responses": {"204": {"description": "The events are on disk"}},
}

router = APIRouter(prefix=PREFIX, tags=["Intake"])


def error_answer(status: int, detail: str, headers: dict[str, str]) -> Response:
    """An error as Loki's clients show it: plain text."""
    return Response(f"{detail}\n", status, headers, "text/plain")


@router.post("/api/v1/push", summary="Loki's push", status_code=204, openapi_extra=_BODY)
async def push(shared: Shared, request: Request) -> Response:
    """Take events; the answer comes when they are on disk.

    Labels and structured metadata become fields, a line that is a JSON object its own. 429 with
    Retry-After: the buffer is full.
    """
    encodings = request.headers.get("content-encoding", "")
    if "protobuf" in request.headers.get("content-type", ""):
        # Snappy is part of the protocol: some clients name it here, most do not.
        encodings = "" if encodings.strip().lower() == "snappy" else encodings
        read = partial(read_protobuf, max_bytes=MAX_BODY_BYTES)
        await shared.forwarder.take(request, read, encodings)
    else:
        await shared.forwarder.take(request, read_json, encodings)
    return Response(status_code=204)


@router.head("/ready", include_in_schema=False)
@router.get("/ready", include_in_schema=False)
async def ready(shared: Shared) -> Response:
    """Whether the collector takes events."""
    if await shared.collectors.takes_events():
        return Response("ready\n", media_type="text/plain")
    return error_answer(503, "cannot take events yet: the collector is not ready", {})
