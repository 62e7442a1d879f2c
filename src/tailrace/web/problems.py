"""The one shape of an error: problem JSON (RFC 9457), with the same members everywhere.

    {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "cannot read …"}

`detail` is fit for a person. A search that cannot be understood has `text` and `position` besides,
wrong parameters have `errors`, each with its `name` and `detail`.
"""

from http import HTTPStatus
from typing import cast

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tailrace.errors import QueryError, StoreError, StoreUnavailableError, TailraceError
from tailrace.telemetry import get_logger
from tailrace.web.security import HEADERS

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECS = 2
_TIMEOUT_EXCEEDED = 159
_log = get_logger("web")


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, **members: object
) -> Response:
    """An error as an answer."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    return Response(orjson.dumps(body), status, headers, MEDIA_TYPE)


def status_of(error: TailraceError) -> int:
    """The HTTP status that an error of ours means."""
    match error:
        case QueryError():
            return 400
        case StoreUnavailableError():
            return 503
        case StoreError(code=code) if code == _TIMEOUT_EXCEEDED:
            return 504
        case StoreError():
            return 502
        case _:
            return 500


def problem_of(error: TailraceError) -> Response:
    """An error of ours as an answer."""
    status = status_of(error)
    if isinstance(error, QueryError):
        return problem(status, str(error), text=error.text, position=error.position)
    headers = {"Retry-After": str(RETRY_AFTER_SECS)} if status == 503 else None
    return problem(status, str(error), headers)


def install(app: FastAPI) -> None:
    """Answer every error of `app` in this shape."""
    app.add_exception_handler(TailraceError, _on_tailrace_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_bug)


async def _on_tailrace_error(_request: Request, error: Exception) -> Response:
    return problem_of(cast(TailraceError, error))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    refused = cast(HTTPException, error)
    headers = dict(refused.headers or {})
    detail = str(refused.detail)
    if refused.status_code == 404 and detail == "Not Found":
        detail = f"cannot find {request.url.path!r}: /docs lists what there is"
    if refused.status_code == 405:
        detail = f"cannot {request.method} {request.url.path!r}: allowed is {headers.get('Allow')}"
    return problem(refused.status_code, detail, headers)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    errors = [
        {"name": str(item["loc"][-1]), "detail": str(item["msg"])}
        for item in cast(RequestValidationError, error).errors()
    ]
    named = ", ".join(f"{item['name']} ({item['detail']})" for item in errors)
    return problem(422, f"cannot use the parameters: {named}", errors=errors)


async def _on_bug(request: Request, error: Exception) -> Response:
    _log.error("BUG: a request failed", path=request.url.path, exc_info=error)
    return problem(
        500,
        "BUG: the request failed inside Tailrace; its own log lines have the details",
        dict(HEADERS),  # this answer is made outside of the middleware that adds them
    )
