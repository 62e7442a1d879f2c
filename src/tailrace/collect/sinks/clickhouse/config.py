"""Options of the sink `clickhouse`, as Vector names them."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, HttpUrl, field_validator

from tailrace.collect.component import SinkConfig
from tailrace.collect.encoding import FieldChoice
from tailrace.collect.options import (
    ENDLESS_RETRIES,
    Acknowledgements,
    BasicAuth,
    Batch,
    BearerAuth,
    ClientTls,
    Healthcheck,
    Request,
)


class ClickhouseRequest(Request):
    """How requests are made and repeated."""

    retry_attempts: int | None = Field(default=None, ge=0)
    """Refused, but for Vector's default, which is never to give up, as when unset."""

    concurrency: int | Literal["none", "adaptive"] = 3
    """Batches of one source that may be on their way at once: 1 to 16; `none` is 1; `adaptive` finds
    out how many ClickHouse takes without answering later than usual, up to 16."""

    @field_validator("retry_attempts")
    @classmethod
    def _never_give_up(cls, attempts: int | None) -> int | None:
        if attempts is not None and attempts != ENDLESS_RETRIES:
            raise ValueError(
                "cannot give up a batch: after an answer that was lost nobody knows whether its rows "
                "are in the table, and they would be lost or there twice. Take this out: requests "
                "are repeated until ClickHouse has the rows, and events wait on disk"
            )
        return attempts


class ClickhouseConfig(SinkConfig):
    """Inserts events into a table of ClickHouse."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SinkConfig.not_taken,
        "batch_encoding": "rows are sent as lines of JSON",
        "query_settings": "an insert is one block with a token, which `async_insert` would break",
    }

    type: Literal["clickhouse"] = "clickhouse"

    endpoint: HttpUrl
    """Address of ClickHouse's HTTP interface. The embedded engine's usual one, http://127.0.0.1:8123,
    stands for the ClickHouse that TAILRACE_CLICKHOUSE_URL or TAILRACE_ENGINE_PORT name, if any."""

    database: str = "default"
    """Database of the table; no template."""

    table: str
    """Table; no template."""

    format: Literal["json_each_row", "json_as_string"] = "json_each_row"
    """`json_each_row`: fields become columns. `json_as_string`: the event is one column's text."""

    skip_unknown_fields: bool | None = None
    """Whether fields without a column are left out; unset: kept in the column `attributes`, a
    map of strings, if there is one, else as the server's default has it."""

    date_time_best_effort: bool = False
    """Let ClickHouse guess how timestamps are written."""

    insert_random_shard: bool = False
    """Let a distributed table without a sharding key choose a shard at random."""

    compression: Literal["gzip", "zstd", "none"] | None = None
    """How requests are compressed; unset: gzip, but none where the endpoint is this machine,
    where copying a byte costs a hundredth of compressing it."""

    batch: Batch = Batch()
    """How many events travel together."""

    encoding: FieldChoice = FieldChoice()
    """Which fields are sent, and how."""

    request: ClickhouseRequest = ClickhouseRequest()
    """How requests are made and repeated."""

    auth: Annotated[BasicAuth | BearerAuth, Field(discriminator="strategy")] | None = None
    """Who we are; `user:password@` in `endpoint` does as well. Unset: nobody."""

    tls: ClientTls = ClientTls()
    """How identities are proved and checked."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""

    healthcheck: Healthcheck = Healthcheck()
    """Whether ClickHouse is asked at start."""
