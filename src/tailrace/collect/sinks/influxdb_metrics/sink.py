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
the same points again. So each metric is there once, whatever crashes, and sums are right; but one whose
`timestamp` is no time has that of its processing, and may be there twice after a crash.

Other than Vector's sink it adds nothing up within a batch: `sum(value)` in a query does, and Vector's
default of `batch.max_events`, 20, which counts what it has added up, is not needed.

As in Vector, an absolute counter becomes what has come since the one before it of its series, which is
its name, namespace and tags; of the first one, and of one that is smaller because counting began anew,
no point is written. An incremental gauge becomes the sum of all so far. What that takes is remembered
on disk, in the collector's own folder, with what came of each batch, before the batch is sent: other than
in Vector it outlives a restart and a crash, and a batch that is sent again says the same again. What is
only remembered counts as sent. Limits:

- A million series are remembered; then those that were heard of the longest ago are forgotten, with a
  line in the log. A counter that comes again after that is a first one, a gauge starts from zero.
- An absolute gauge is written as it is and, as in Vector, changes nothing of what incremental ones of its
  series add up to.
- Order matters. With `request.concurrency` other than 1 batches may overtake each other, and a counter
  that is overtaken looks as if it had begun anew: the log says so when that may be. Of several collectors
  (`--workers`) each remembers what it was given.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

import httpx
from typing_extensions import override

from tailrace.collect.http_delivery import unpack
from tailrace.collect.influxdb import InfluxdbSink
from tailrace.collect.line_protocol import apart
from tailrace.collect.sink import Delivery, Encoder, Piece, SinkBatch, SinkContext
from tailrace.collect.sinks.influxdb_metrics.config import InfluxdbMetricsConfig
from tailrace.collect.sinks.influxdb_metrics.encode import (
    MetricEncoder,
    Unfinished,
    finished,
    unfinished,
)
from tailrace.collect.sinks.influxdb_metrics.series import SeriesMemory

Row = bytes | Unfinished


class InfluxdbMetricsSink(InfluxdbSink):
    """See the module."""

    def __init__(
        self,
        config: InfluxdbMetricsConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        self._context = context
        path = context.own_folder / f"{quote(context.component_id, safe='')}.series.db"
        self._memory = SeriesMemory(path, context)
        self._is_order_told = False
        super().__init__(config, context, transport, apart)

    @property
    @override
    def is_well(self) -> bool:
        return super().is_well and self._memory.is_well

    @override
    async def encoder(self) -> Encoder:
        config = self._config
        return MetricEncoder(
            config.default_namespace,
            dict(config.tags),
            config.quantiles,
            "i" if config.version == 1 else "u",
        )

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        rows = await asyncio.to_thread(_rows_of, batch.pieces)
        changes = [row.change for piece in rows for row in piece if isinstance(row, Unfinished)]
        if not changes:
            return await super().deliver(batch)
        self._tell_of_order()
        values = await self._memory.work_out(batch.token, batch.source_id, changes)
        pieces = await asyncio.to_thread(_finish, batch.pieces, rows, values)
        delivery = await super().deliver(replace(batch, pieces=pieces))
        delivery.sent_rows += values.count(None)
        return delivery

    @override
    async def close(self) -> None:
        await self._memory.close()
        await super().close()

    def _tell_of_order(self) -> None:
        if self._is_order_told or self.concurrency == 1:
            return
        self._is_order_told = True
        self._context.log.warning(
            "absolute counters and incremental gauges need their order: set request.concurrency to 1",
            sink=self._context.component_id,
        )


def _rows_of(pieces: Sequence[Piece]) -> list[list[Row]]:
    return [[unfinished(data) or data for data in unpack(piece.payload)] for piece in pieces]


def _finish(
    pieces: Sequence[Piece], rows: Sequence[Sequence[Row]], values: Sequence[float | None]
) -> list[Piece]:
    """The same pieces with nothing but points, of as many rows as have a value."""
    following = iter(values)
    made = []
    for piece, own in zip(pieces, rows, strict=True):
        points = []
        for row in own:
            if isinstance(row, bytes):
                points.append(row)
            elif (value := next(following)) is not None:
                points.append(row.with_value(value))
        made.append(replace(piece, payload=finished(points), rows=len(points)))
    return made
