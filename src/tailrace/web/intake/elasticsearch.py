"""Elasticsearch's `_bulk`, and the little else that its shippers ask for before they send.

Base address: `/elasticsearch`. Filebeat, Logstash, Fluent Bit, Fluentd, Vector and the official
clients look at the version, the licence, index templates, lifecycle policies and the like, and put
them in place. There is nothing of that kind here: what they ask for is said to be there, and what they
put is acknowledged and not kept.
"""

import secrets
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from tailrace.web.context import Context, Shared
from tailrace.web.intake.elasticsearch_bulk import AnswerFilter, Bulk, read_bulk
from tailrace.web.intake.lines import BadBodyError

PREFIX: Final = "/elasticsearch"
HEADERS: Final = {"X-Elastic-Product": "Elasticsearch"}
"""Official clients go on only where each answer has it."""

VERSION: Final = "9.99.0"
"""Shippers refuse to send to what is older than they are."""

_INFO: Final = {
    "name": "tailrace",
    "cluster_name": "tailrace",
    "cluster_uuid": "dGFpbHJhY2U",
    "version": {
        "number": VERSION,
        "build_flavor": "default",
        "build_type": "unknown",
        "build_snapshot": False,
        "lucene_version": "10.0.0",
        "minimum_wire_compatibility_version": "8.0.0",
        "minimum_index_compatibility_version": "8.0.0",
    },
    "tagline": "You Know, for Search",
}
_LICENSE: Final = {"uid": "tailrace", "type": "basic", "mode": "basic", "status": "active"}
_KINDS: Final = {
    400: "illegal_argument_exception",
    404: "resource_not_found_exception",
    413: "content_too_long_exception",
    429: "es_rejected_execution_exception",
}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"create":{"_index":"shop"}}\n'
                '{"@timestamp":"2026-11-22T10:42:15.118Z","log.level":"error","message":"no stock"}\n',
            }
        },
    }
}

router = APIRouter(prefix=PREFIX, tags=["Intake"])


def error_answer(status: int, detail: str, headers: dict[str, str]) -> Response:
    """An error in Elasticsearch's form."""
    cause = {"type": _KINDS.get(status, "exception"), "reason": detail}
    body = {"error": {"root_cause": [cause], **cause}, "status": status}
    return _answer(body, status, headers)


def _answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(content, status, {**(headers or {}), **HEADERS}, "application/json")


@router.api_route("/_bulk", methods=["POST", "PUT"], include_in_schema=False)
async def bulk(shared: Shared, request: Request, filter_path: str = "") -> Response:
    """Documents that each name their index."""
    return await _take(shared, request, "", filter_path)


@router.put("/{index}/_bulk", include_in_schema=False)
@router.post("/{index}/_bulk", summary="Elasticsearch's _bulk", openapi_extra=_BODY)
async def bulk_of_index(
    shared: Shared,
    request: Request,
    index: Annotated[str, Path(description="For documents that name none", examples=["shop"])],
    filter_path: Annotated[
        str, Query(description="Parts of the answer that are wanted", examples=["errors"])
    ] = "",
) -> Response:
    """Take events; the answer comes when they are on disk. `/elasticsearch/_bulk` is the same.

    The actions `create` and `index` are taken, `update` and `delete` refused one by one. `_index` and
    `_id` become fields of the event. 429 with Retry-After: the buffer is full.
    """
    return await _take(shared, request, index, filter_path)


@router.post("/{index}/_doc", include_in_schema=False)
@router.api_route("/{index}/_doc/{doc_id}", methods=["PUT", "POST"], include_in_schema=False)
@router.api_route("/{index}/_create/{doc_id}", methods=["PUT", "POST"], include_in_schema=False)
async def document(shared: Shared, request: Request, index: str, doc_id: str = "") -> Response:
    """A document by itself, maybe in several lines."""
    action = orjson.dumps({"create": {"_index": index, "_id": doc_id}})

    def read(body: bytes) -> Bulk:
        # A newline in JSON stands between tokens: in a string it would be written as an escape.
        line = body.replace(b"\r", b" ").replace(b"\n", b" ")
        return read_bulk(b"%b\n%b" % (action, line), "", AnswerFilter(), _token(shared))

    item = orjson.loads((await shared.forwarder.take(request, read)).items[0])["create"]
    if "error" in item:
        raise HTTPException(400, item["error"]["reason"])
    return _answer(item, 201)


async def _take(shared: Context, request: Request, index: str, filter_path: str) -> Response:
    began = shared.clock.monotonic()
    try:
        wanted = AnswerFilter(filter_path)
    except BadBodyError as error:
        raise HTTPException(400, str(error)) from error
    token = _token(shared)
    found = await shared.forwarder.take(request, lambda body: read_bulk(body, index, wanted, token))
    members = {
        "took": b"%d" % int((shared.clock.monotonic() - began) * 1000),
        "errors": b"true" if found.has_errors else b"false",
        "items": b"[" + b",".join(found.items) + b"]",
    }
    if not found.items and not wanted.wants("items"):
        del members["items"]
    given = [
        b'"%b":%b' % (name.encode(), value)
        for name, value in members.items()
        if name == "items" or wanted.wants(name)
    ]
    return _answer(b"{" + b",".join(given) + b"}")


def _token(shared: Context) -> str:
    """What begins the ids that the documents of one request get."""
    return f"{shared.clock.now_ms():x}{secrets.token_hex(4)}"


@router.head("", include_in_schema=False)
@router.head("/", include_in_schema=False)
@router.get("", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def info() -> Response:
    """The version, and that it is a friend."""
    return _answer(_INFO)


@router.get("/_license", include_in_schema=False)
async def licence() -> Response:
    """Filebeat wants one that is active."""
    return _answer({"license": _LICENSE})


@router.get("/_xpack", include_in_schema=False)
async def features() -> Response:
    """Filebeat 7 asks whether there is lifecycle management."""
    enabled = {"available": True, "enabled": True}
    return _answer({"license": _LICENSE, "features": {"ilm": enabled, "data_streams": enabled}})


@router.head("/_cluster/health", include_in_schema=False)
@router.get("/_cluster/health", include_in_schema=False)
async def health(shared: Shared) -> Response:
    """Vector asks before it sends."""
    status = "green" if await shared.collectors.takes_events() else "red"
    return _answer({"cluster_name": "tailrace", "status": status, "number_of_nodes": 1})


@router.get("/_nodes/{what:path}", include_in_schema=False)
async def nodes() -> Response:
    """Clients that look for further nodes find none, and stay with this one."""
    return _answer({"cluster_name": "tailrace", "nodes": {}})


@router.api_route("/{index}/_refresh", methods=["GET", "POST"], include_in_schema=False)
async def refresh() -> Response:
    """What is durable is visible a moment later, asked or not."""
    return _answer({"_shards": {"total": 1, "successful": 1, "failed": 0}})


_SETUP: Final = (
    "/_ilm/policy/{name}",
    "/_index_template/{name}",
    "/_component_template/{name}",
    "/_template/{name}",
    "/_ingest/pipeline/{name}",
    "/_data_stream/{name}",
    "/_alias/{name}",
    "/{name}",
)


async def is_there(request: Request, name: str) -> Response:
    """What a shipper looks for before it would put it there."""
    _refuse_other_apis(request, name)
    return _answer({name: {}})


async def acknowledge(request: Request, name: str) -> Response:
    """What a shipper puts in place is of no use here."""
    _refuse_other_apis(request, name)
    return _answer({"acknowledged": True, "shards_acknowledged": True, "index": name})


def _refuse_other_apis(request: Request, name: str) -> None:
    """Raise HTTPException for a name that no index can have, such as `_search`."""
    if name.startswith("_") and request.url.path.removeprefix(PREFIX) == f"/{name}":
        raise HTTPException(404, f"cannot {name}: this only takes events, by _bulk")


for _path in _SETUP:
    router.add_api_route(_path, is_there, methods=["GET", "HEAD"], include_in_schema=False)
    router.add_api_route(_path, acknowledge, methods=["PUT", "POST"], include_in_schema=False)
