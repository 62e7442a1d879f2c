"""Sink `influxdb_metrics`: each metric a point.

The measurement is the metric's name, behind its namespace and a dot; the tags are its own and
`metric_type`. The fields are those that Vector writes: `value` of a counter, a gauge and (how many
there are) a set; `min`, `max`, `median`, `avg`, `sum`, `count` and `quantile_0.95` of a distribution;
`bucket_…` or `quantile_…` with `count` and `sum` of what is aggregated already.

What is guaranteed, and which answers are retried: `tailrace.collect.http_delivery`. With `database`
points go to version 1's `/write`; with `bucket`, `org` and `token` to version 2's `/api/v2/write`.

A point of InfluxDB is known by its measurement, tags and time: a second one takes the first one's
place. So metrics of one batch that agree in all three come a nanosecond apart, and where a time is
one of whole seconds or milliseconds each batch begins at a place within those that its token chooses:
of two batches that share a millisecond one in a million would meet. A batch that is sent again writes
the same points again. So each metric is there once, whatever crashes, and sums are right.

Other than Vector's sink it adds nothing up: `sum(value)` in a query does, and Vector's default of
`batch.max_events`, 20, which counts what it has added up, is not needed. It remembers nothing either:
an absolute counter, of which Vector writes what has come since the one before, and an incremental
gauge, of which it writes the sum of all so far, are rejected with that reason.
"""

import httpx
from typing_extensions import override

from tailrace.collect.influxdb import InfluxdbSink
from tailrace.collect.line_protocol import apart
from tailrace.collect.sink import Encoder, SinkContext
from tailrace.collect.sinks.influxdb_metrics.config import InfluxdbMetricsConfig
from tailrace.collect.sinks.influxdb_metrics.encode import MetricEncoder, unfit


class InfluxdbMetricsSink(InfluxdbSink):
    """See the module."""

    def __init__(
        self,
        config: InfluxdbMetricsConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        super().__init__(config, context, transport, apart, unfit)

    @override
    async def encoder(self) -> Encoder:
        config = self._config
        return MetricEncoder(
            config.default_namespace,
            dict(config.tags),
            config.quantiles,
            "i" if config.version == 1 else "u",
        )
