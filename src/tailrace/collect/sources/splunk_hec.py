"""Source `splunk_hec`: Splunk's HTTP event collector.

`/services/collector/event` takes envelopes in JSON, `/services/collector/raw` a body that is one
event of text, `/services/collector/health` tells whether there is room. An answer of 200 says that
what could be an event is on disk; what could not is kept with its reason, and where nothing could,
the answer is 400 with Splunk's code. So an acknowledgement (`/services/collector/ack`) has nothing
to wait for: every id that was given out is that of durable events. After a restart ids are unknown,
and a client that asks for one then sends again.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Literal

import orjson
from pydantic import Field, SecretStr
from typing_extensions import override

from tailrace.collect.component import Component, Options, SourceConfig
from tailrace.collect.hec import EnvelopeError, Envelopes, read_envelopes
from tailrace.collect.http import Answer, Receive, RefusedError, Request
from tailrace.collect.options import Address
from tailrace.collect.requests import COME_AGAIN, RequestSource
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext
from tailrace.collect.tls import HttpServerTls

ROOT = "/services/collector"
CODES = {400: 6, 404: 404, 405: 404, 413: 6, 503: 9}
"""Splunk's codes for what is no error of its protocol."""


class HecError(RefusedError):
    """A refusal with one of Splunk's codes."""

    def __init__(self, status: int, code: int, text: str, **more: object) -> None:
        super().__init__(status, text)
        self.code = code
        self.more = more


class HecAcknowledgements(Options):
    """Whether clients may ask later what became of a request."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "ack_idle_cleanup": "a channel is one number, which is kept",
        "max_idle_time": "a channel is one number, which is kept",
        "max_pending_acks": "numbers are given out after their events are on disk: none is pending",
        "max_pending_acks_per_channel": "numbers are given out after their events are on disk: none is pending",
    }

    enabled: bool = False
    """Give each request an id; requests must then name their channel."""

    max_number_of_ack_channels: int = Field(default=1_000_000, ge=1)
    """Channels that are remembered; requests on more of them are told to come again."""


class SplunkHecConfig(SourceConfig):
    """Takes events from clients of Splunk's HTTP event collector; 200 says that they are durable."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SourceConfig.not_taken,
        "event": "what is inside of envelopes is taken as it is: decode it by a transform `remap`",
        "raw": "a body is one event of text: decode it by a transform `remap`",
        "keepalive": "connections are kept as long as their clients want",
        "store_hec_token": "tokens are secrets, and kept nowhere",
        "token": "Vector has given it up: give `valid_tokens`",
    }

    type: Literal["splunk_hec"] = "splunk_hec"

    address: Address = "0.0.0.0:8088"
    """Address and port to listen on."""

    valid_tokens: tuple[SecretStr, ...] | None = None
    """Tokens of `Authorization: Splunk <token>` that are let in; unset: everybody is."""

    acknowledgements: HecAcknowledgements = HecAcknowledgements()
    """Whether clients may ask later what became of a request."""

    tls: HttpServerTls = HttpServerTls()
    """Whether and how peers must encrypt what they send."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({"host", "splunk_channel"})

    @property
    @override
    def codec(self) -> str:
        return "splunk_hec"


class SplunkHecSource(RequestSource):
    """Serves one address; see the module."""

    def __init__(self, config: SplunkHecConfig, context: SourceContext) -> None:
        super().__init__(config.address, "address", config.tls, context)
        self.config = config
        self._next_ids: dict[str, int] = {}
        """By channel."""
        self._routes: Mapping[str, Callable[[Request, Receive], Awaitable[Answer]]] = {
            ROOT: self._take_events,
            f"{ROOT}/event": self._take_events,
            f"{ROOT}/raw": self._take_raw,
            f"{ROOT}/ack": self._tell_acknowledged,
        }

    @override
    async def take(self, request: Request, receive: Receive) -> Answer:
        path = request.path.removesuffix("/").removesuffix("/1.0")
        if path == f"{ROOT}/health":
            return self._tell_health()
        route = self._routes.get(path)
        if route is None:
            known = ", ".join([*self._routes, f"{ROOT}/health"])
            raise RefusedError(404, f"cannot find {request.path!r}: there are {known}")
        if request.method != "POST":
            raise RefusedError(405, f"cannot {request.method} here: use POST", {"Allow": "POST"})
        self._check_token(request)
        return await route(request, receive)

    @override
    def refusal(self, request: Request, refused: RefusedError) -> Answer:
        said: dict[str, object] = {"text": refused.detail, "code": CODES.get(refused.status, 8)}
        if isinstance(refused, HecError):
            said |= {"code": refused.code, **refused.more}
        return Answer(refused.status, said, headers=refused.headers)

    async def _take_events(self, request: Request, receive: Receive) -> Answer:
        channel = self._channel(request)
        async with self.body(request, receive) as body:
            try:
                found = await self.read(request, body, read_envelopes)
            except EnvelopeError as error:
                raise HecError(400, error.code, error.reason) from error
            if not found.lines and not found.rejected:
                raise HecError(400, 5, "No data")
            await self._keep(request, channel, found)
        return self._success(channel)

    async def _take_raw(self, request: Request, receive: Receive) -> Answer:
        channel = self._channel(request)
        async with self.body(request, receive) as body:
            content = await self.read(request, body, bytes)
            if not content:
                raise HecError(400, 5, "No data")
            envelope = {"event": content.decode("utf-8", "replace")}
            envelope |= {
                name: value
                for name, value in request.query.items()
                if name in ("host", "source", "sourcetype", "index")
            }
            await self._keep(request, channel, Envelopes([orjson.dumps(envelope)]))
        return self._success(channel)

    async def _keep(self, request: Request, channel: str, found: Envelopes) -> None:
        if found.rejected:
            await self.context.intake.reject(
                [RejectedLine(raw, error.reason, request.peer) for raw, error in found.rejected]
            )
            if not found.lines:
                error = found.rejected[0][1]
                more: dict[str, Any] = {"invalid-event-number": found.first_bad}
                raise HecError(400, error.code, error.reason, **more)
        fields = (("host", request.peer), ("splunk_channel", channel))
        origin = Origin(request.peer, tuple((name, value) for name, value in fields if value))
        payload = b"".join([line + b"\n" for line in found.lines])
        await self.context.intake.append([Frames(payload, len(found.lines), origin)])

    def _channel(self, request: Request) -> str:
        header = request.headers.get("x-splunk-request-channel")
        channel = header or request.query.get("channel", "")
        acknowledgements = self.config.acknowledgements
        if not acknowledgements.enabled:
            return channel
        if not channel:
            raise HecError(400, 10, "Data channel is missing")
        most = acknowledgements.max_number_of_ack_channels
        if channel not in self._next_ids and len(self._next_ids) >= most:
            raise RefusedError(503, "cannot take events: too many channels", COME_AGAIN)
        return channel

    def _success(self, channel: str) -> Answer:
        said: dict[str, object] = {"text": "Success", "code": 0}
        if self.config.acknowledgements.enabled:
            said["ackId"] = self._next_ids.get(channel, 0)
            self._next_ids[channel] = self._next_ids.get(channel, 0) + 1
        return Answer(200, said)

    async def _tell_acknowledged(self, request: Request, receive: Receive) -> Answer:
        if not self.config.acknowledgements.enabled:
            raise HecError(400, 14, "ACK is disabled")
        given = self._next_ids.get(self._channel(request), 0)
        async with self.body(request, receive) as body:
            ids = await self.read(request, body, _read_ids)
        return Answer(200, {"acks": {str(number): 0 <= number < given for number in ids}})

    def _tell_health(self) -> Answer:
        if self.context.intake.is_full():
            raise HecError(503, 18, "HEC is unhealthy, queues are full")
        return Answer(200, {"text": "HEC is healthy", "code": 17})

    def _check_token(self, request: Request) -> None:
        tokens = self.config.valid_tokens
        if tokens is None:
            return
        given = request.headers.get("authorization", "")
        if not given:
            raise HecError(401, 2, "Token is required")
        scheme, _, token = given.partition(" ")
        known = [
            hmac.compare_digest(token.strip().encode(), one.get_secret_value().encode())
            for one in tokens
        ]
        if scheme != "Splunk" or not any(known):
            raise HecError(401, 3, "Invalid authorization")


def _read_ids(body: bytes) -> list[int]:
    try:
        ids = orjson.loads(body)["acks"]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise HecError(400, 6, 'cannot read the body: give {"acks": [0, 1]}') from error
    if not isinstance(ids, list) or not all(type(number) is int for number in ids):
        raise HecError(400, 6, 'cannot read the body: "acks" is a list of numbers')
    return ids


SPLUNK_HEC: Component[Source] = Component(SplunkHecConfig, SplunkHecSource)
