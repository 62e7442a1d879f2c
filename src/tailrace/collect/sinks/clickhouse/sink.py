"""Sink `clickhouse`: batches become inserts, and bad rows are found out one by one.

What is guaranteed: a batch is inserted as one block under its token, or, where ClickHouse refuses
it, in halves, and halves of halves, under tokens made from the batch's and the rows' numbers, until
each bad row is alone; it is handed back with ClickHouse's message. (Which answers mean what:
`judge`; how requests are repeated: `client`.)
"""

from collections.abc import Sequence

import httpx
from pydantic import HttpUrl
from typing_extensions import override

from tailrace.collect.sink import (
    Bytes,
    Delivery,
    Encoder,
    Piece,
    Sink,
    SinkBatch,
    SinkContext,
)
from tailrace.collect.sinks.clickhouse.client import ClickhouseClient
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.sinks.clickhouse.insert import (
    Insert,
    insert_json,
    insert_lines,
    insert_rejected,
    quote_table,
)
from tailrace.collect.sinks.clickhouse.parts import BatchInParts
from tailrace.collect.sinks.clickhouse.table import Table

ADDRESSES_OF_THE_ENGINE = ("http://127.0.0.1:8123", "http://localhost:8123")
"""Where the embedded engine is unless it was moved; pipelines that mean it say so."""

COVERED_BY_ORIGIN = frozenset({"host", "source_type", "timestamp"})
"""Fields of a source that a table like `logs.intake` knows from its own columns."""

ADDED_BY_EVERY_SOURCE = frozenset({"source_type", "timestamp"})


class ClickhouseSink(Sink):
    """See the module."""

    keeps_rejected = True

    def __init__(
        self,
        config: ClickhouseConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.config = config = _at_our_clickhouse(config, context)
        self.context = context
        self.batch_max_bytes = config.batch.max_bytes
        self.batch_max_events = config.batch.max_events
        self.batch_timeout_secs = config.batch.timeout_secs
        self.concurrency = config.request.most_at_once
        self.adapts_concurrency = config.request.concurrency == "adaptive"
        self._client = ClickhouseClient(config, context, transport)
        self._table_name = quote_table(config.database, config.table)
        self._table: Table | None = None
        self._settings = _settings(config)

    @property
    @override
    def is_well(self) -> bool:
        return self._client.is_well

    @override
    async def check(self) -> str | None:
        return await self._client.check() if self.config.healthcheck.enabled else None

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        table = await self._describe()
        encoding = self.config.encoding
        if encoding.only_fields is not None or encoding.except_fields:
            return False
        if self.config.format == "json_as_string":
            return table.line_column is not None and added_fields <= COVERED_BY_ORIGIN
        if self._fills_attributes(table):
            return False
        return not table.is_filled_by(added_fields | ADDED_BY_EVERY_SOURCE)

    @override
    async def encoder(self) -> Encoder:
        table = await self._describe()
        encoding = self.config.encoding
        return RowEncoder(
            encoding,
            frozenset(table.types) if self._fills_attributes(table) else None,
        )

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        table = await self._describe()
        dated: list[Sequence[Piece]] = []

        async def insert(pieces: Sequence[Piece], token: str) -> int:
            made = self._insert(table, batch.source_id, pieces)
            await self._client.insert(made, token, self._settings)
            if self._dates_rows(table):
                dated.append(pieces)
            return made.size_bytes

        before = self._client.attempts
        parts = BatchInParts(
            batch,
            self.context.component_id,
            insert,
            self.context.refusals,
            # Into a table like `logs.intake` any line may go: it sorts out what is no event.
            must_be_objects=self.config.format == "json_each_row" or not table.line_column,
        )
        delivery = await parts.deliver()
        delivery.attempts = self._client.attempts - before
        delivery.dated = dated
        return delivery

    @override
    async def deliver_rejected(self, table: str, token: str, lines: Bytes) -> None:
        await self._client.insert(insert_rejected(table, lines), token, {})

    @override
    async def close(self) -> None:
        await self._client.close()

    async def _describe(self) -> Table:
        if self._table is None:
            self._table = await self._client.describe(self._table_name)
        return self._table

    def _fills_attributes(self, table: Table) -> bool:
        return (
            self.config.format == "json_each_row"
            and self.config.skip_unknown_fields is None
            and table.has_attributes
        )

    def _dates_rows(self, table: Table) -> bool:
        """Whether rows take their time of arrival with them."""
        return self.config.format == "json_as_string" and table.line_column is not None

    def _insert(self, table: Table, source_id: str, pieces: Sequence[Piece]) -> Insert:
        if self.config.format == "json_each_row":
            return insert_json(self._table_name, pieces, "JSONEachRow")
        if table.line_column is None:
            return insert_json(self._table_name, pieces, "JSONAsString")
        return insert_lines(self._table_name, table.line_column, source_id, pieces)


def _at_our_clickhouse(config: ClickhouseConfig, context: SinkContext) -> ClickhouseConfig:
    """The sink's options, with the address that our settings give to the embedded engine."""
    if str(config.endpoint).rstrip("/") not in ADDRESSES_OF_THE_ENGINE:
        return config
    return config.model_copy(update={"endpoint": HttpUrl(context.settings.clickhouse_address)})


def _settings(config: ClickhouseConfig) -> dict[str, str]:
    settings: dict[str, str] = {}
    if config.format == "json_each_row":
        settings["input_format_import_nested_json"] = "1"
    if config.skip_unknown_fields is not None:
        settings["input_format_skip_unknown_fields"] = str(int(config.skip_unknown_fields))
    if config.date_time_best_effort:
        settings["date_time_input_format"] = "best_effort"
    if config.insert_random_shard:
        settings["insert_distributed_one_random_shard"] = "1"
    return settings
