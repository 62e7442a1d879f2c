"""Source `http_server`: events in the bodies of HTTP requests.

An answer of 200 says that every event of the body is on disk, and every line that cannot be one is
kept with its reason. 400: nothing in the body could be read (what came is kept all the same).
503 with Retry-After: there is no room for now. 413: more than 100 MiB.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, model_validator
from typing_extensions import override

from tailrace.collect.body import (
    Body,
    TooManyRejectedError,
    read_json_body,
    read_lines_body,
)
from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.http import Answer, Receive, RefusedError, Request
from tailrace.collect.options import Acknowledgements, Address, Decoding, Framing
from tailrace.collect.requests import RequestSource, chosen
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext
from tailrace.collect.tls import HttpServerTls


class ServerAuth(Options):
    """Who may send."""

    strategy: Literal["basic"] = "basic"
    """How who sends proves who it is."""

    username: str
    """The only name that is let in."""

    password: SecretStr
    """Its password."""


class HttpServerConfig(SourceConfig):
    """Takes events from HTTP requests; a request that was answered with 200 is durable."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SourceConfig.not_taken,
        "encoding": "Vector has given it up: give `decoding.codec`",
        "keepalive": "connections are kept as long as their clients want",
    }

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

    tls: HttpServerTls = HttpServerTls()
    """Whether and how peers must encrypt what they send."""

    framing: Framing = Framing()
    """How a body is cut into frames."""

    decoding: Decoding = Decoding()
    """How a frame becomes events. JSON may also be one document in several lines, or an array."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Either is kept: what is acknowledged is on disk."""

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


class HttpServerSource(RequestSource):
    """Serves one address; see the module."""

    max_body_bytes = 100 * 1024**2

    def __init__(self, config: HttpServerConfig, context: SourceContext) -> None:
        super().__init__(config.address, "address", config.tls, context)
        self.config = config

    @override
    async def take(self, request: Request, receive: Receive) -> Answer:
        self._check(request)
        async with self.body(request, receive) as body:
            try:
                found = await self.read(request, body, self._find_frames)
            except TooManyRejectedError as error:
                raise RefusedError(400, str(error)) from error
            await self._keep(request, found)
        return Answer(
            self.config.response_code,
            {"accepted": found.count, "rejected": len(found.rejected)},
        )

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

    def _find_frames(self, body: bytes) -> Body:
        if self.config.decoding.codec == "json":
            found = read_json_body(body, self.context.decode)
        else:
            found = read_lines_body(body)
        max_length = self.config.framing.newline_delimited.max_length
        if max_length is not None:
            found.give_up_longer(max_length)
        return found

    async def _keep(self, request: Request, found: Body) -> None:
        if found.rejected:
            await self.context.intake.reject(
                [RejectedLine(raw, reason, request.peer) for raw, reason in found.rejected]
            )
            if not found.count:
                raise RefusedError(400, f"cannot read the body: {found.rejected[0][1]}")
        if found.count:
            origin = Origin(request.peer, tuple(self._fields(request)))
            await self.context.intake.append([Frames(bytes(found.payload), found.count, origin)])

    def _fields(self, request: Request) -> Iterator[tuple[str, str | None]]:
        if self.config.path_key:
            yield self.config.path_key, request.path
        if self.config.host_key:
            yield self.config.host_key, request.peer
        yield from chosen(self.config.headers, request.headers)
        yield from chosen(self.config.query_parameters, request.query)


HTTP_SERVER: Component[Source] = Component(HttpServerConfig, HttpServerSource)
