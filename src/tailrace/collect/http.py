"""The little of HTTP that the collector's own servers share: requests, answers, problems.

ASGI without a framework: a request costs what its body costs.
"""

import asyncio
import hmac
import socket
import ssl
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import orjson
import uvicorn
from typing_extensions import override

from tailrace.collect.listen import BACKLOG
from tailrace.http_head import BoundedHttp
from tailrace.http_pace import BodyPace

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class RefusedError(Exception):
    """A request that is answered with a problem (RFC 9457)."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def answer(self) -> "Answer":
        """The problem as an answer."""
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return Answer(self.status, problem, "application/problem+json", self.headers)


@dataclass(frozen=True)
class Answer:
    """A complete answer; `content` is sent as it is where it is bytes, else as JSON."""

    status: int
    content: object
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        """Give it to the server."""
        content = self.content if isinstance(self.content, bytes) else orjson.dumps(self.content)
        headers = {
            "Content-Type": self.media_type,
            "Content-Length": str(len(content)),
            **self.headers,
        }
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": content})


class Request:
    """What a request says of itself."""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1"), True))
        self.peer: str = scope["client"][0] if scope.get("client") else ""

    @property
    def announced_bytes(self) -> int | None:
        """Size of the body, where it is known before it comes."""
        size = self.headers.get("content-length", "")
        return int(size) if size.isdecimal() else None

    def has_login(self, user: str, password: str) -> bool:
        """Whether it carries this user name and password."""
        scheme, _, code = self.headers.get("authorization", "").partition(" ")
        with suppress(Base64Error, ValueError):
            given = b64decode(code.strip(), validate=True)
            expected = f"{user}:{password}".encode()
            return scheme.lower() == "basic" and hmac.compare_digest(given, expected)
        return False

    async def read(
        self, receive: Receive, max_bytes: int, take: Callable[[int], None] = lambda _: None
    ) -> bytes:
        """The whole body; raises RefusedError where it is too large or too slow, or its sender goes away.

        `take` is called with the size of each piece and may refuse it.
        """
        parts: list[bytes] = []
        room = max_bytes
        try:
            async with BodyPace() as pace:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "cannot read the body: the connection was closed")
                    parts.append(message.get("body", b""))
                    size_bytes = len(parts[-1])
                    room -= size_bytes
                    if room < 0:
                        raise RefusedError(413, f"cannot take more than {max_bytes} bytes")
                    take(size_bytes)
                    if not message.get("more_body"):
                        return b"".join(parts)
                    pace.came(size_bytes)
        except TimeoutError as error:
            raise RefusedError(408, str(error), {"Connection": "close"}) from error


class _QuietServer(uvicorn.Server):
    """Leaves signals to whoever runs the collector, and says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class Server:
    """Serves an application on a socket that is already open, with TLS where that is given."""

    def __init__(self, application: Application, tls: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            application,
            interface="asgi3",
            http=BoundedHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            # Who sends is who is connected: a header could say anything.
            proxy_headers=False,
            date_header=False,
            timeout_keep_alive=75,
            backlog=BACKLOG,
        )
        config.load()
        # It would make a context of files by itself, but not with all that ours is made with.
        config.ssl = tls
        self._server = _QuietServer(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve from now on."""
        self._task = asyncio.create_task(self._server.serve([listener]))
        await self._server.ready.wait()

    async def stop(self, grace_secs: float) -> None:
        """Accept no more, and let requests that have begun end."""
        self._server.config.timeout_graceful_shutdown = max(1, int(grace_secs))
        self._server.should_exit = True
        if self._task:
            await self._task
