"""Sends inserts to ClickHouse's HTTP interface until they are in.

A request that was not answered, or refused for now, is made again after 1, 1, 2, 3, 5 … seconds, at
most 30 (`request.retry_*`), for ever. Where nobody listens at all, or tables are missing, ClickHouse
is about to start or to be set up, and asking costs next to nothing: then it is made again after
0.2, 0.2, 0.4 … seconds, at most 1. `DataRefusedError` is the only thing that comes out: some row of
the body is bad. An insert is one block with a deduplication token, so it happens wholly or not at
all, and at most once.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address

import httpx
import orjson
import zstandard

from tailrace.collect.http_client import auth_of, client_context
from tailrace.collect.retry import RateLimit, Trouble, fibonacci
from tailrace.collect.sink import Bytes, SinkContext
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sinks.clickhouse.insert import Insert
from tailrace.collect.sinks.clickhouse.judge import CODE_HEADER, TABLE_IS_MISSING, Verdict, judge
from tailrace.collect.sinks.clickhouse.table import Table

ONE_BLOCK = {
    "async_insert": "0",
    "min_insert_block_size_rows": "100000000",
    "min_insert_block_size_bytes": "1000000000",
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    "materialize_skip_indexes_on_insert": "0",
}
"""What makes an insert one block, known by its token in the views that it feeds as well.

Text indexes are left to merges: building them in the insert takes four times as long.
"""

SWALLOWS_ROWS = """SELECT count() FROM system.tables
WHERE database = {database:String} AND name = {table:String}
    AND (engine = 'Null' AND empty(dependencies_table) OR startsWith(comment, 'Not ready'))
FORMAT TSV"""
"""Whether rows of a table, or of its rollups, would be forgotten. `schema/` of the pack writes such a
comment while not all views that read the table are there."""

IDLE_CONNECTION_SECS = 3.0
"""Shorter than servers keep them, so that we do not send into one that is being closed."""

GZIP_LEVEL = 1
"""Level 6, zlib's default, takes three times as long to save a tenth more."""

SOON_SECS = (0.2, 1.0)
"""First and longest wait where ClickHouse is about to be there."""


class DataRefusedError(Exception):
    """ClickHouse refused an insert because of what its body holds; the text is ClickHouse's."""


class ClickhouseClient:
    """One sink's connections to one ClickHouse."""

    def __init__(
        self,
        config: ClickhouseConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        self._context = context
        self._compression = config.compression or _best_compression(config)
        self._http = httpx.AsyncClient(
            base_url=str(config.endpoint),
            auth=_auth(config, context),
            timeout=httpx.Timeout(config.request.timeout_secs),
            limits=httpx.Limits(max_connections=32, keepalive_expiry=IDLE_CONNECTION_SECS),
            transport=transport,
            verify=client_context(config.tls) if str(config.endpoint).startswith("https") else True,
            trust_env=False,
        )
        self.attempts = 0
        """Requests made so far."""
        self._trouble = Trouble(context)
        self._rate = RateLimit(config.request, context.clock)

    @property
    def is_well(self) -> bool:
        """Whether the last answer was a good one, or there was none yet."""
        return self._trouble.is_over

    async def check(self) -> str | None:
        """What is wrong with ClickHouse now; None where it answers as it should."""
        try:
            response = await self._send({"query": "SELECT 1"}, None)
        except (httpx.RequestError, TimeoutError) as error:
            return f"cannot reach {self._config.endpoint}: {_describe(error)}"
        if response.is_success:
            return None
        return f"cannot use {self._config.endpoint}: {response.text.strip()[:500]}"

    async def describe(self, table: str) -> Table:
        """The table's columns; waits until ClickHouse knows it and keeps what goes into it."""
        query = f"DESCRIBE TABLE {table} FORMAT JSONEachRow"
        answer = await self._until_taken({"query": query}, None)
        columns = [orjson.loads(line) for line in answer.splitlines()]
        await self._until_rows_are_kept()
        self._trouble.end()
        return Table.from_description(columns)

    async def _until_rows_are_kept(self) -> None:
        soon, _ = self._waits()
        while await self._swallows_rows():
            self._trouble.report(
                f"not all views that read {self._config.table} are there: run `tailrace setup`"
            )
            await asyncio.sleep(next(soon))

    async def _swallows_rows(self) -> bool:
        """Whether ClickHouse would say yes to rows and forget them, as in the midst of a setup."""
        answer = await self._until_taken(
            {
                "query": SWALLOWS_ROWS,
                "param_database": self._config.database,
                "param_table": self._config.table,
            },
            None,
        )
        return answer.strip() == b"1"

    async def insert(self, insert: Insert, token: str, settings: dict[str, str]) -> None:
        """Bring an insert to ClickHouse; raises DataRefusedError where a row is bad."""
        parameters = {
            **ONE_BLOCK,
            **settings,
            "insert_deduplication_token": token,
            **{f"param_{name}": value for name, value in insert.parameters.items()},
            "query": insert.query,
        }
        await self._until_taken(parameters, insert)

    async def close(self) -> None:
        """Give connections back."""
        await self._http.aclose()

    async def _until_taken(self, parameters: dict[str, str], insert: Insert | None) -> bytes:
        soon, waits = self._waits()
        while True:
            self.attempts += 1
            is_missing = False
            try:
                response = await self._send(parameters, insert)
            except httpx.ConnectError as error:
                wait = next(soon)
                problem = f"cannot connect to {self._config.endpoint}: {error}"
            except (httpx.RequestError, TimeoutError) as error:
                wait = next(waits)
                problem = f"no answer from {self._config.endpoint}: {_describe(error)}"
            else:
                code = int(response.headers.get(CODE_HEADER) or 0)
                if response.is_success and not code:
                    if insert is not None:
                        self._trouble.end()
                    return response.content
                verdict, advice = judge(response.status_code, code, response.text)
                if verdict is Verdict.SPLIT:
                    raise DataRefusedError(response.text.strip())
                wait = next(soon if verdict is Verdict.RETRY_SOON else waits)
                problem = f"{advice}: {response.text.strip()[:500] or response.status_code}"
                is_missing = code in TABLE_IS_MISSING
            self._trouble.report(problem)
            await asyncio.sleep(wait)
            if is_missing and insert is not None:
                # Whoever makes the table anew makes its views after it.
                await self._until_rows_are_kept()

    def _waits(self) -> tuple[Iterator[float], Iterator[float]]:
        request = self._config.request
        return fibonacci(*SOON_SECS), fibonacci(
            request.retry_initial_backoff_secs, request.retry_max_duration_secs
        )

    async def _send(self, parameters: dict[str, str], insert: Insert | None) -> httpx.Response:
        headers: dict[str, str] = {}
        content: AsyncIterator[Bytes] | bytes = b""
        if insert is not None:
            headers["Content-Type"] = "application/x-ndjson"
            if self._compression == "none":
                headers["Content-Length"] = str(insert.size_bytes)
                content = _stream(insert)
            else:
                headers["Content-Encoding"] = self._compression
                content = await asyncio.to_thread(_COMPRESSORS[self._compression], insert)
        await self._rate.wait()
        async with asyncio.timeout(self._config.request.timeout_secs):
            return await self._http.post(
                "/",
                params=parameters,
                content=content,  # type: ignore[arg-type]  # it takes memoryviews as well
                headers=headers,
            )


def _describe(error: Exception) -> str:
    """What an error says, or at least what it is."""
    return str(error) or type(error).__name__


async def _stream(insert: Insert) -> AsyncIterator[Bytes]:
    for chunk in insert.chunks():
        yield chunk


def _gzip(insert: Insert) -> bytes:
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    parts = [compressor.compress(chunk) for chunk in insert.chunks()]
    return b"".join([*parts, compressor.flush()])


def _zstd(insert: Insert) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    parts = [compressor.compress(chunk) for chunk in insert.chunks()]
    return b"".join([*parts, compressor.flush()])


_COMPRESSORS = {"gzip": _gzip, "zstd": _zstd}


def _best_compression(config: ClickhouseConfig) -> str:
    host = (config.endpoint.host or "").strip("[]")
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    return "none" if is_here else "gzip"


def _auth(config: ClickhouseConfig, context: SinkContext) -> httpx.Auth | None:
    if config.auth:
        return auth_of(config.auth)
    settings = context.settings
    is_ours = str(config.endpoint).rstrip("/") == settings.clickhouse_address.rstrip("/")
    if is_ours and settings.clickhouse_user:
        password = settings.clickhouse_password
        return httpx.BasicAuth(
            settings.clickhouse_user, password.get_secret_value() if password else ""
        )
    return None
