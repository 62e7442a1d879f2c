"""Sink `http`: sends events to any HTTP server.

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
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from typing_extensions import override

from tailrace.collect.encoding import SinkFraming, StreamEncoder
from tailrace.collect.http_client import auth_of, client_context
from tailrace.collect.retry import RateLimit, Trouble
from tailrace.collect.sink import (
    Delivery,
    Encoder,
    Piece,
    RejectedRow,
    Sink,
    SinkBatch,
    SinkContext,
)
from tailrace.collect.sinks.http.body import COMPRESSORS, body_of, parts_of, unpack
from tailrace.collect.sinks.http.config import HttpConfig

CANNOT_NOW = frozenset({408, 425, 429})
NOBODYS_FAULT = frozenset({401, 402, 403, 404, 405, 407, 410, 501})
IDLE_CONNECTION_SECS = 3.0
"""Shorter than servers keep them, so that we do not send into one that is being closed."""

MOST_RETRY_AFTER_SECS = 600.0


class _RefusedError(Exception):
    """The server does not want the body; the text is the server's."""


class _GivenUpError(Exception):
    """It was tried often enough; the text says what was wrong the last time."""


@dataclass(frozen=True)
class _Row:
    data: bytes
    piece: Piece


class HttpSink(Sink):
    """See the module."""

    def __init__(
        self,
        config: HttpConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        self._context = context
        self.batch_max_bytes = config.batch.max_bytes
        self.batch_max_events = config.batch.max_events
        self.batch_timeout_secs = config.batch.timeout_secs
        self.concurrency = config.request.most_at_once
        self.adapts_concurrency = config.request.concurrency == "adaptive"
        self._trouble = Trouble(context)
        self._rate = RateLimit(config.request, context.clock)
        self._http = httpx.AsyncClient(
            auth=auth_of(config.auth),
            timeout=httpx.Timeout(config.request.timeout_secs),
            limits=httpx.Limits(max_connections=32, keepalive_expiry=IDLE_CONNECTION_SECS),
            transport=transport,
            verify=client_context(config.tls) if config.uri.scheme == "https" else True,
            trust_env=False,
        )

    @property
    @override
    def is_well(self) -> bool:
        return self._trouble.is_over

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        return False

    @override
    async def encoder(self) -> Encoder:
        return StreamEncoder(self._config.encoding, SinkFraming(method="length_delimited"))

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        delivery = Delivery()
        rows = [_Row(data, piece) for piece in batch.pieces for data in unpack(piece.payload)]
        for numbers in parts_of([row.data for row in rows], self._config):
            await self._send_or_split([rows[number] for number in numbers], delivery)
        return delivery

    @override
    async def close(self) -> None:
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
        request = self._config.request
        waits = self._trouble.waits(
            request.retry_initial_backoff_secs, request.retry_max_duration_secs
        )
        body, headers = await asyncio.to_thread(self._request, events)
        attempts = 0
        while True:
            attempts += 1
            delivery.attempts += 1
            least_secs = 0.0
            try:
                response = await self._post(body, headers)
            except (httpx.TransportError, TimeoutError) as error:
                problem = f"no answer from {self._config.uri}: {str(error) or type(error).__name__}"
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

    def _request(self, events: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
        config = self._config
        headers = {"Content-Type": config.content_type}
        body = body_of(events, config)
        if config.compression != "none":
            headers["Content-Encoding"], compress = COMPRESSORS[config.compression]
            body = compress(body)
        return body, {**headers, **config.headers, **config.request.headers}

    async def _post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        await self._rate.wait()
        async with asyncio.timeout(self._config.request.timeout_secs):
            return await self._http.request(
                self._config.method.upper(), str(self._config.uri), content=body, headers=headers
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
