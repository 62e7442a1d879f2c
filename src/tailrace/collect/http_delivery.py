"""Batches in HTTP requests, for the sinks that send to servers which know no tokens.

What is guaranteed: every event is in a request that was answered with 2xx, or is rejected with the
server's own words. At least once: a request whose answer was lost is made again, and so is the part
of a batch that was under way when the process ended.

Which answers may be retried, for ever unless told otherwise, with waits that grow:
- none (cannot connect, connection lost, time-out), 408, 425, 429 and 5xx but 501: the server cannot
  take it now; `Retry-After` is obeyed;
- 3xx, 401, 402, 403, 404, 405, 407, 410 and 501: the address or the login is wrong. No event is to
  blame, and a person will put it right.
Any other 4xx is about the body: it is sent again in halves until the events that the server does
not want are alone; those are rejected. So are all events of a request that `request.retry_attempts`
repetitions did not bring there; where an answer was lost, the server may have them all the same.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import httpx
from typing_extensions import override

from tailrace.collect.http_client import client_context
from tailrace.collect.options import Batch, ClientTls, Request
from tailrace.collect.retry import RateLimit, Trouble
from tailrace.collect.sink import (
    Bytes,
    Delivery,
    Piece,
    RejectedRow,
    Sink,
    SinkBatch,
    SinkContext,
)

CANNOT_NOW = frozenset({408, 425, 429})
NOBODYS_FAULT = frozenset({401, 402, 403, 404, 405, 407, 410, 501})
IDLE_CONNECTION_SECS = 3.0
"""Shorter than servers keep them, so that we do not send into one that is being closed."""

MOST_RETRY_AFTER_SECS = 600.0
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Target:
    """Where requests go, and how events become one."""

    method: str
    uri: str
    request: Request
    batch: Batch
    tls: ClientTls
    body: Callable[[Sequence[bytes]], tuple[bytes, dict[str, str]]]
    """A request's body and headers, made of some events."""
    parameters: Mapping[str, str] | None = None
    """Of the query; not in what is said of the target."""
    auth: httpx.Auth | None = None
    arrange: Callable[[Sequence[bytes], str], Sequence[bytes]] | None = None
    """What a batch's events become before they go out in parts; the text is the batch's token."""


class _RefusedError(Exception):
    """The server does not want the body; the text is the server's."""


class _GivenUpError(Exception):
    """It was tried often enough; the text says what was wrong the last time."""


@dataclass(frozen=True)
class _Row:
    data: bytes
    piece: Piece


class HttpDelivery:
    """One sink's connections to one server; see the module."""

    def __init__(
        self,
        target: Target,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._target = target
        self._context = context
        self._trouble = Trouble(context)
        self._rate = RateLimit(target.request, context.clock)
        self._http = httpx.AsyncClient(
            auth=target.auth,
            timeout=httpx.Timeout(target.request.timeout_secs),
            limits=httpx.Limits(max_connections=32, keepalive_expiry=IDLE_CONNECTION_SECS),
            transport=transport,
            verify=client_context(target.tls) if target.uri.startswith("https") else True,
            trust_env=False,
        )

    @property
    def is_well(self) -> bool:
        """Whether the last answer was a good one, or there was none yet."""
        return self._trouble.is_over

    async def deliver(self, batch: SinkBatch) -> Delivery:
        """Bring a batch there whose payloads are framed by `length_delimited`."""
        delivery = Delivery()
        rows = [_Row(data, piece) for piece in batch.pieces for data in unpack(piece.payload)]
        if self._target.arrange:
            arranged = await asyncio.to_thread(
                self._target.arrange, [row.data for row in rows], batch.token
            )
            rows = [replace(row, data=data) for row, data in zip(rows, arranged, strict=True)]
        for numbers in parts_of([row.data for row in rows], self._target.batch):
            await self._send_or_split([rows[number] for number in numbers], delivery)
        return delivery

    async def get(self, uri: str) -> httpx.Response | str:
        """The answer to one GET, or what stood in its way."""
        try:
            return await self._http.get(uri)
        except httpx.RequestError as error:
            return _no_answer(uri, error)

    async def close(self) -> None:
        """Give connections back."""
        await self._http.aclose()

    async def _send_or_split(self, rows: Sequence[_Row], delivery: Delivery) -> None:
        try:
            delivery.sent_bytes += await self._until_taken([row.data for row in rows], delivery)
            delivery.sent_rows += len(rows)
        except _GivenUpError as given_up:
            delivery.rejected += [self._rejected(row, str(given_up)) for row in rows]
        except _RefusedError as refused:
            if len(rows) == 1:
                delivery.rejected.append(self._rejected(rows[0], str(refused)))
                return
            middle = len(rows) // 2
            await self._send_or_split(rows[:middle], delivery)
            await self._send_or_split(rows[middle:], delivery)

    def _rejected(self, row: _Row, reason: str) -> RejectedRow:
        piece = row.piece
        return RejectedRow(
            self._context.component_id, piece.peer, piece.received_at_ms, reason, row.data
        )

    async def _until_taken(self, events: Sequence[bytes], delivery: Delivery) -> int:
        """Size of the body that was taken.

        Raises _RefusedError where an event is bad, _GivenUpError where all attempts were in vain.
        """
        request = self._target.request
        waits = self._trouble.waits(
            request.retry_initial_backoff_secs, request.retry_max_duration_secs
        )
        body, headers = await asyncio.to_thread(self._target.body, events)
        attempts = 0
        while True:
            attempts += 1
            delivery.attempts += 1
            least_secs = 0.0
            try:
                response = await self._post(body, headers)
            except (httpx.RequestError, TimeoutError) as error:
                problem = _no_answer(self._target.uri, error)
            else:
                if response.is_success:
                    self._trouble.end()
                    return len(body)
                problem = _judge(response)
                least_secs = _retry_after_secs(response)
            self._trouble.report(problem)
            if attempts == request.most_attempts:
                raise _GivenUpError(f"given up after {attempts} attempts: {problem}")
            await asyncio.sleep(max(next(waits), least_secs))

    async def _post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        await self._rate.wait()
        async with asyncio.timeout(self._target.request.timeout_secs):
            return await self._http.request(
                self._target.method,
                self._target.uri,
                params=self._target.parameters,
                content=body,
                headers=headers,
            )


def _judge(response: httpx.Response) -> str:
    """What to tell a person of an answer that may be retried; raises _RefusedError of others."""
    status = response.status_code
    words = response.text.strip()[:500] or response.reason_phrase
    if status in NOBODYS_FAULT or status < 400:
        return f"the address or the login is wrong: {status} {words}"
    if status in CANNOT_NOW or status >= 500:
        return f"the server cannot take it now: {status} {words}"
    raise _RefusedError(f"refused by the server: {status} {words}")


def _retry_after_secs(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), MOST_RETRY_AFTER_SECS) if text.isdecimal() else 0.0


class HttpDeliverySink(Sink):
    """A sink whose encoder frames events by `length_delimited`, and which sends them like this."""

    def __init__(
        self,
        target: Target,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.batch_max_bytes = target.batch.max_bytes
        self.batch_max_events = target.batch.max_events
        self.batch_timeout_secs = target.batch.timeout_secs
        self.concurrency = target.request.most_at_once
        self.adapts_concurrency = target.request.concurrency == "adaptive"
        self._server = HttpDelivery(target, context, transport)

    @property
    @override
    def is_well(self) -> bool:
        return self._server.is_well

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        return False

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        return await self._server.deliver(batch)

    @override
    async def close(self) -> None:
        await self._server.close()


def _no_answer(uri: str, error: Exception) -> str:
    return f"no answer from {uri}: {str(error) or type(error).__name__}"


def unpack(payload: Bytes) -> Iterator[bytes]:
    """The events of a payload in the framing `length_delimited`."""
    view = memoryview(payload)
    offset = 0
    while offset < len(view):
        (length,) = _LENGTH.unpack_from(view, offset)
        offset += _LENGTH.size
        yield bytes(view[offset : offset + length])
        offset += length


def parts_of(events: Sequence[bytes], batch: Batch) -> Iterator[list[int]]:
    """Numbers of the events that travel together, within the limits of `batch`."""
    most_bytes, most_events = batch.max_bytes, batch.max_events or len(events)
    part: list[int] = []
    size = 0
    for number, event in enumerate(events):
        if part and (size + len(event) > most_bytes or len(part) >= most_events):
            yield part
            part, size = [], 0
        part.append(number)
        size += len(event)
    if part:
        yield part
