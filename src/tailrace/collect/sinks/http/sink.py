"""Sink `http`: sends events to any HTTP server.

What is guaranteed, and which answers are retried: `tailrace.collect.http_delivery`.
"""

from collections.abc import Sequence

import httpx
from typing_extensions import override

from tailrace.collect.encoding import SinkFraming, StreamEncoder
from tailrace.collect.http_client import auth_of
from tailrace.collect.http_delivery import HttpDeliverySink, Target
from tailrace.collect.sink import Encoder, SinkContext
from tailrace.collect.sinks.http.body import COMPRESSORS, body_of
from tailrace.collect.sinks.http.config import HttpConfig


class HttpSink(HttpDeliverySink):
    """See the module."""

    def __init__(
        self,
        config: HttpConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        target = Target(
            config.method.upper(),
            str(config.uri),
            config.request,
            config.batch,
            config.tls,
            self._request,
            auth=auth_of(config.auth),
        )
        super().__init__(target, context, transport)

    @override
    async def encoder(self) -> Encoder:
        return StreamEncoder(self._config.encoding, SinkFraming(method="length_delimited"))

    def _request(self, events: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
        config = self._config
        headers = {"Content-Type": config.content_type}
        body = body_of(events, config)
        if config.compression != "none":
            headers["Content-Encoding"], compress = COMPRESSORS[config.compression]
            body = compress(body)
        return body, {**headers, **config.headers, **config.request.headers}
