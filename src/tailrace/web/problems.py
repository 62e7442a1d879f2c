"""The one shape of an error: problem JSON (RFC 9457), with the same members everywhere.

    {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "cannot read …"}

`detail` is fit for a person. A search that cannot be understood has `text` and `position` besides,
wrong parameters have `errors`, each with its `name` and `detail`. A browser that asked for a page
gets the same status and detail as a page. The ways in that speak another system's protocol have that
one's form, with the same status and detail, for their clients read no other: `foreign` has them by
the beginnings of their paths.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from tailrace.errors import (
    QueryError,
    StoreError,
    StoreUnavailableError,
    TableMissingError,
    TailraceError,
)
from tailrace.telemetry import get_logger
from tailrace.web.render import Renderer
from tailrace.web.security import HEADERS

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECS = 2
_TIMEOUT_EXCEEDED = 159
_log = get_logger("web")

ErrorForm = Callable[[int, str, dict[str, str]], Response]
"""Makes an error's answer of status, detail and headers."""


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
        case StoreUnavailableError() | TableMissingError():
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


def install(app: FastAPI, renderer: Renderer, foreign: Mapping[str, ErrorForm]) -> None:
    """Answer every error of `app` in this shape, those of pages through `renderer`."""
    answer = _Answers(renderer, foreign)
    app.add_exception_handler(TailraceError, answer.to_tailrace_error)
    app.add_exception_handler(HTTPException, answer.to_http_exception)
    app.add_exception_handler(RequestValidationError, answer.to_wrong_parameters)
    app.add_exception_handler(Exception, answer.to_bug)


@dataclass(frozen=True)
class _Answers:
    """The application's handlers of errors."""

    renderer: Renderer
    foreign: Mapping[str, ErrorForm]

    async def to_tailrace_error(self, request: Request, error: Exception) -> Response:
        ours = cast(TailraceError, error)
        if not _is_for_page(request) and not self._foreign_form(request):
            return problem_of(ours)
        return self._answer(request, status_of(ours), str(ours))

    async def to_http_exception(self, request: Request, error: Exception) -> Response:
        refused = cast(HTTPException, error)
        headers = dict(refused.headers or {})
        detail = str(refused.detail)
        if refused.status_code == 404 and detail == "Not Found":
            detail = f"cannot find {request.url.path!r}: /docs lists what there is"
        if refused.status_code == 405:
            allowed = headers.get("Allow")
            detail = f"cannot {request.method} {request.url.path!r}: allowed is {allowed}"
        return self._answer(request, refused.status_code, detail, headers)

    async def to_wrong_parameters(self, request: Request, error: Exception) -> Response:
        errors = [
            {"name": str(item["loc"][-1]), "detail": str(item["msg"])}
            for item in cast(RequestValidationError, error).errors()
        ]
        named = ", ".join(f"{item['name']} ({item['detail']})" for item in errors)
        return self._answer(request, 422, f"cannot use the parameters: {named}", errors=errors)

    async def to_bug(self, request: Request, error: Exception) -> Response:
        _log.error("BUG: a request failed", path=request.url.path, exc_info=error)
        detail = "BUG: the request failed inside Tailrace; its own log lines have the details"
        # This answer is made outside of the middleware that adds these headers.
        return self._answer(request, 500, detail, dict(HEADERS))

    def _answer(
        self,
        request: Request,
        status: int,
        detail: str,
        headers: dict[str, str] | None = None,
        **members: object,
    ) -> Response:
        if form := self._foreign_form(request):
            return form(status, detail, headers or {})
        if not _is_for_page(request):
            return problem(status, detail, headers, **members)
        title = HTTPStatus(status).phrase
        html = self.renderer.render("error.html", title=title, detail=detail)
        return HTMLResponse(html, status, {**(headers or {}), "Cache-Control": "no-store"})

    def _foreign_form(self, request: Request) -> ErrorForm | None:
        path = request.url.path
        return next(
            (
                form
                for start, form in self.foreign.items()
                if path == start or path.startswith(f"{start}/")
            ),
            None,
        )


def _is_for_page(request: Request) -> bool:
    """Whether a browser asks, to show the answer to a person."""
    is_api = request.url.path.startswith(("/api/", "/static/"))
    return not is_api and "text/html" in request.headers.get("accept", "")
