"""Sink `influxdb_logs`: each event a point.

What is guaranteed, and which answers are retried: `tailrace.collect.http_delivery`. A point that is
written again takes its own place, so an event with a time of its own is there once, whatever
crashes. InfluxDB 1 answers 400 when it has taken some points of a request and not others: the
request is sent again in halves until those that it does not take are alone.
"""

from collections.abc import Sequence

import httpx
from typing_extensions import override

from tailrace.collect.http_client import TokenAuth
from tailrace.collect.http_delivery import HttpDeliverySink, Target
from tailrace.collect.sink import Encoder, SinkContext
from tailrace.collect.sinks.influxdb_logs.config import InfluxdbLogsConfig
from tailrace.collect.sinks.influxdb_logs.encode import PointEncoder


class InfluxdbLogsSink(HttpDeliverySink):
    """See the module."""

    def __init__(
        self,
        config: InfluxdbLogsConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        target = Target(
            "POST",
            config.write_uri,
            config.request,
            config.batch,
            config.tls,
            _request,
            config.write_parameters,
            _auth(config),
        )
        super().__init__(target, context, transport)

    @override
    async def check(self) -> str | None:
        if not self._config.healthcheck.enabled:
            return None
        answer = await self._server.get(self._config.health_uri)
        if isinstance(answer, str):
            return answer
        return None if answer.is_success else f"{self._config.health_uri} says {answer.status_code}"

    @override
    async def encoder(self) -> Encoder:
        config = self._config
        names = {
            "message": config.message_key,
            "host": config.host_key,
            "source_type": config.source_type_key,
        }
        return PointEncoder(
            config.used_measurement,
            frozenset({*config.tags, config.host_key, config.source_type_key}),
            tuple((name, other) for name, other in names.items() if name != other),
            config.encoding,
        )


def _request(points: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
    return b"\n".join(points), {"Content-Type": "text/plain; charset=utf-8"}


def _auth(config: InfluxdbLogsConfig) -> httpx.Auth | None:
    if config.token is not None:
        return TokenAuth("Token", config.token.get_secret_value())
    if config.username is None:
        return None
    password = config.password
    return httpx.BasicAuth(config.username, password.get_secret_value() if password else "")
