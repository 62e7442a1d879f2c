"""Sink `http`: sends events to any HTTP server.

What is guaranteed, and which answers are retried: `tailrace.collect.http_delivery`.
"""

from collections.abc import Sequence

import httpx
from typing_extensions import override

from tailrace.collect.encoding import SinkFraming, StreamEncoder
from tailrace.collect.http_client import auth_of
from tailrace.collect.http_delivery import HttpDelivery, Target
from tailrace.collect.sink import Delivery, Encoder, Sink, SinkBatch, SinkContext
from tailrace.collect.sinks.http.body import COMPRESSORS, body_of
from tailrace.collect.sinks.http.config import HttpConfig


class HttpSink(Sink):
    """See the module."""

    def __init__(
        self,
        config: HttpConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        self.batch_max_bytes = config.batch.max_bytes
        self.batch_max_events = config.batch.max_events
        self.batch_timeout_secs = config.batch.timeout_secs
        self.concurrency = config.request.most_at_once
        self.adapts_concurrency = config.request.concurrency == "adaptive"
        target = Target(
            config.method.upper(),
            str(config.uri),
            config.request,
            config.batch,
            config.tls,
            self._request,
            auth=auth_of(config.auth),
        )
        self._server = HttpDelivery(target, context, transport)

    @property
    @override
    def is_well(self) -> bool:
        return self._server.is_well

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        return False

    @override
    async def encoder(self) -> Encoder:
        return StreamEncoder(self._config.encoding, SinkFraming(method="length_delimited"))

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        return await self._server.deliver(batch)

    @override
    async def close(self) -> None:
        await self._server.close()

    def _request(self, events: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
        config = self._config
        headers = {"Content-Type": config.content_type}
        body = body_of(events, config)
        if config.compression != "none":
            headers["Content-Encoding"], compress = COMPRESSORS[config.compression]
            body = compress(body)
        return body, {**headers, **config.headers, **config.request.headers}
