"""Source `http_server`: events in the bodies of HTTP requests.

An answer of 200 says that every event of the body is on disk, and every line that cannot be one is
kept with its reason. 400: nothing in the body could be read (what came is kept all the same).
503 with Retry-After: there is no room for now. 413: more than 100 MiB.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from typing_extensions import override

from tailrace.collect.body import (
    Body,
    TooManyRejectedError,
    read_json_body,
    read_lines_body,
)
from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.http import Answer, Receive, RefusedError, Request, Scope, Send, Server
from tailrace.collect.listen import open_listener
from tailrace.collect.options import Address, Decoding, Framing, split_address
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext
from tailrace.content import ContentError, ContentTooLargeError, decode_content

MAX_BODY_BYTES = 100 * 1024**2
"""Largest body, as it comes and decompressed; Vector's limit."""

MOST_BODIES_BYTES = 256 * 1024**2
"""Bodies that may be in memory at once."""

LARGE_BODY_BYTES = 64 * 1024
"""A larger body takes so long to read that a thread does it (100 µs and more)."""


class ServerAuth(Options):
    """Who may send."""

    strategy: Literal["basic"] = "basic"
    username: str
    password: SecretStr


class HttpServerConfig(SourceConfig):
    """Takes events from HTTP requests; a request that was answered with 200 is durable."""

    type: Literal["http_server"] = "http_server"

    address: Address
    """Address and port to listen on."""

    path: str = Field(default="/", pattern="^/")
    """Path of requests that carry events."""

    strict_path: bool = True
    """Whether paths below `path` are refused."""

    method: Literal["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "POST"
    """Method of requests that carry events."""

    response_code: int = Field(default=200, ge=200, le=299)
    """Status of the answer when the events are durable."""

    headers: tuple[str, ...] = ()
    """Request headers that become fields; `*` stands for any text."""

    query_parameters: tuple[str, ...] = ()
    """Parameters of the request's address that become fields; `*` stands for any text."""

    path_key: str = "path"
    """Field that gets the request's path; empty for none."""

    host_key: str = ""
    """Field that gets the peer's address; empty for none."""

    auth: ServerAuth | None = None
    """Who may send; unset: everybody who can connect."""

    framing: Framing = Framing()
    """How a body is cut into frames."""

    decoding: Decoding = Decoding()
    """How a frame becomes events. JSON may also be one document in several lines, or an array."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({self.host_key, self.path_key, *self.headers, *self.query_parameters}) - {
            ""
        }

    @property
    @override
    def codec(self) -> str:
        return self.decoding.codec

    @model_validator(mode="after")
    def _check_framing(self) -> "HttpServerConfig":
        if self.framing.method == "bytes" and self.decoding.codec != "json":
            raise ValueError(
                "cannot take a body as one event of text: give framing.method newline_delimited"
            )
        return self


class HttpServerSource(Source):
    """Serves one address; see the module."""

    def __init__(self, config: HttpServerConfig, context: SourceContext) -> None:
        super().__init__()
        self.config = config
        self.context = context
        self.port = 0
        """The port that it listens on, once it does."""
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.bodies_bytes = 0
        """Size of all bodies that are in memory now."""

    @override
    async def start(self) -> None:
        host, port = split_address(self.config.address)
        listener = open_listener(host, port, f"sources.{self.context.component_id}.address")
        self.port = listener.getsockname()[1]
        self._server = Server(self.answer)
        await self._server.start(listener)
        self.context.log.info("listening", source=self.context.component_id, port=self.port)

    @override
    async def stop(self, grace_secs: float) -> None:
        if self._server:
            await self._server.stop(grace_secs)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        try:
            answer = await self._take(scope, receive)
        except RefusedError as refused:
            answer = refused.answer()
        await answer.send(send)

    async def _take(self, scope: Scope, receive: Receive) -> Answer:
        request = Request(scope)
        self._check(request)
        if self.context.intake.is_full():
            raise RefusedError(
                503, "cannot take events: the buffer is full; try again", {"Retry-After": "1"}
            )
        if (request.announced_bytes or 0) > MAX_BODY_BYTES:
            raise RefusedError(413, f"cannot take more than {MAX_BODY_BYTES} bytes")
        with self._memory() as take:
            # One that comes in chunks does not announce its size: it is counted as it comes.
            take(request.announced_bytes or 0)
            counted = _nothing if request.announced_bytes else take
            body = await request.read(receive, MAX_BODY_BYTES, counted)
            return await self._store(request, body)

    @contextmanager
    def _memory(self) -> Iterator[Callable[[int], None]]:
        """Gives what takes memory for a request's body; all of it is given back at the end."""
        taken = 0

        def take(size_bytes: int) -> None:
            nonlocal taken
            if self.bodies_bytes + size_bytes > MOST_BODIES_BYTES:
                raise RefusedError(
                    503, "cannot take events: too many at once; try again", {"Retry-After": "1"}
                )
            taken += size_bytes
            self.bodies_bytes += size_bytes

        try:
            yield take
        finally:
            self.bodies_bytes -= taken

    def _check(self, request: Request) -> None:
        config = self.config
        is_below = not config.strict_path and request.path.startswith(config.path)
        if request.path != config.path and not is_below:
            raise RefusedError(404, f"cannot find {request.path!r}: send to {config.path}")
        if request.method != config.method:
            raise RefusedError(
                405, f"cannot {request.method} here: use {config.method}", {"Allow": config.method}
            )
        if config.auth and not request.has_login(
            config.auth.username, config.auth.password.get_secret_value()
        ):
            raise RefusedError(
                401, "cannot take events without the right login", {"WWW-Authenticate": "Basic"}
            )

    async def _store(self, request: Request, body: bytes) -> Answer:
        encodings = request.headers.get("content-encoding", "")
        try:
            if encodings or len(body) > LARGE_BODY_BYTES:
                found = await asyncio.to_thread(self._read, body, encodings)
            else:
                found = self._read(body, encodings)
        except ContentTooLargeError as error:
            raise RefusedError(413, str(error)) from error
        except (ContentError, TooManyRejectedError) as error:
            raise RefusedError(400, str(error)) from error
        if found.rejected:
            await self.context.intake.reject(
                [RejectedLine(raw, reason, request.peer) for raw, reason in found.rejected]
            )
            if not found.count:
                raise RefusedError(400, f"cannot read the body: {found.rejected[0][1]}")
        if found.count:
            origin = Origin(request.peer, tuple(self._fields(request)))
            await self.context.intake.append([Frames(bytes(found.payload), found.count, origin)])
        return Answer(
            self.config.response_code,
            {"accepted": found.count, "rejected": len(found.rejected)},
        )

    def _read(self, body: bytes, encodings: str) -> Body:
        body = decode_content(body, encodings, MAX_BODY_BYTES)
        if self.config.decoding.codec == "json":
            return read_json_body(body, self.context.decode)
        return read_lines_body(body)

    def _fields(self, request: Request) -> Iterator[tuple[str, str | int | None]]:
        if self.config.path_key:
            yield self.config.path_key, request.path
        if self.config.host_key:
            yield self.config.host_key, request.peer
        yield from _select(self.config.headers, request.headers)
        yield from _select(self.config.query_parameters, request.query)


def _nothing(size_bytes: int) -> None:
    """Takes no memory: it was taken before."""


def _select(wanted: Sequence[str], present: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """What of `present` is asked for; a name without wildcard that is absent is null, as in
    Vector."""
    for pattern in wanted:
        if "*" in pattern:
            yield from (item for item in present.items() if fnmatchcase(item[0], pattern.lower()))
        else:
            yield pattern, present.get(pattern, present.get(pattern.lower()))


HTTP_SERVER: Component[Source] = Component(HttpServerConfig, HttpServerSource)
