"""Sink `influxdb_logs`: each event a point.

What is guaranteed, and which answers are retried: `tailrace.collect.http_delivery`. A point that is
written again takes its own place, so an event with a time of its own is there once, whatever
crashes. InfluxDB 1 answers 400 when it has taken some points of a request and not others: the
request is sent again in halves until those that it does not take are alone.
"""

from collections.abc import Sequence

import httpx
from typing_extensions import override

from tailrace.collect.influxdb import InfluxdbSink
from tailrace.collect.line_protocol import apart
from tailrace.collect.sink import Encoder, SinkContext
from tailrace.collect.sinks.influxdb_logs.config import InfluxdbLogsConfig
from tailrace.collect.sinks.influxdb_logs.encode import PointEncoder


class InfluxdbLogsSink(InfluxdbSink):
    """See the module."""

    def __init__(
        self,
        config: InfluxdbLogsConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        super().__init__(config, context, transport, _arrange)

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


def _arrange(points: Sequence[bytes], token: str) -> list[bytes]:
    del token  # a log's own time is changed as little as can be
    return apart(points)
