"""Options of the sink `clickhouse`, as Vector names them."""

from typing import Annotated, Literal

from pydantic import Field, HttpUrl

from tailrace.collect.component import Options, SinkConfig
from tailrace.collect.encoding import FieldChoice
from tailrace.collect.options import Acknowledgements, BasicAuth, Batch, BearerAuth, ClientTls


class Request(Options):
    """How requests are made and repeated."""

    timeout_secs: int = Field(default=60, ge=1)
    """Seconds after which a request without an answer is given up and repeated."""

    retry_initial_backoff_secs: int = Field(default=1, ge=1)
    """Seconds before the first repetition; the following wait as the Fibonacci numbers grow."""

    retry_max_duration_secs: int = Field(default=30, ge=1)
    """Longest wait in seconds between two repetitions."""

    concurrency: int = Field(default=2, ge=1, le=16)
    """Batches of one source that may be on their way at once."""


class Healthcheck(Options):
    """Whether the destination is asked at start."""

    enabled: bool = True
    """Ask it and say so when it does not answer; the collector starts either way."""


class ClickhouseConfig(SinkConfig):
    """Inserts events into a table of ClickHouse."""

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

    request: Request = Request()
    """How requests are made and repeated."""

    auth: Annotated[BasicAuth | BearerAuth, Field(discriminator="strategy")] | None = None
    """Who we are; `user:password@` in `endpoint` does as well."""

    tls: ClientTls = ClientTls()
    """How identities are proved and checked."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""

    healthcheck: Healthcheck = Healthcheck()
    """Whether ClickHouse is asked at start."""
