"""The one way to reach ClickHouse: the embedded engine, a server or a cluster, all by HTTP.

Guarantees:
- `Store` may be used by many threads and tasks at once; connections are kept and shared.
- The first call connects; a ClickHouse that goes away and comes back is used again by the next call.
- With `Limits` a query can only read tables (`readonly = 1` and `guard`: no writes, no SET, no
  `file()`, `url()` and their like) and ends at a time, a number of rows and an amount of memory.
- Everything that goes wrong is a StoreError with ClickHouse's code: a StoreUnavailableError when
  there was no answer, a TableMissingError when there is no such table.
"""

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error, OperationalError, StreamFailureError
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError

from tailrace.errors import StoreError, StoreUnavailableError, TableMissingError, UsageError
from tailrace.settings import Settings
from tailrace.store.guard import check_reads_only

CONNECT_TIMEOUT_SECS = 5
ANSWER_TIMEOUT_SECS = 300
MAX_CONNECTIONS = 16
AUTHENTICATION_FAILED = 516
UNKNOWN_TABLE = 60
UNKNOWN_DATABASE = 81

_AROUND: Final = re.compile(
    r"^Received ClickHouse exception, code: \d+, server response: | \(for url \S+\)$"
)
"""What the client adds to ClickHouse's own words, which have all of it."""

Value = str | int | float | bool | list[Any] | None
Parameters = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What a query that is not our own may take."""

    max_seconds: float = 30.0
    max_rows: int = 10_000
    max_memory_bytes: int = 2_000_000_000

    def as_settings(self) -> dict[str, Value]:
        """ClickHouse's settings; one row more than allowed tells a full answer from a cut one."""
        return {
            "max_execution_time": self.max_seconds,
            "max_result_rows": self.max_rows + 1,
            "result_overflow_mode": "break",
            "max_memory_usage": self.max_memory_bytes,
            "readonly": 1,
        }


_FOR_ATTRIBUTE_ITEMS: Final[dict[str, Value]] = {"query_plan_direct_read_from_text_index": 0}
"""What a query of the index on attributes needs, whose expression has a lambda.

ClickHouse (26.9) answers from the index alone, and in a part whose index no merge has built yet it
rebuilds the expression from its text, where the lambda is lost: code 43, the query fails. Without
that, reading the index still says which granules to read.
"""


@dataclass(frozen=True)
class Statistics:
    """What an answer took. `limit` names the limit that cut it short."""

    rows_read: int = 0
    bytes_read: int = 0
    elapsed_ms: float = 0.0
    limit: str | None = None


@dataclass(frozen=True)
class Result:
    """A whole answer: names and ClickHouse types of its columns, and its rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    statistics: Statistics

    def dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def value(self) -> Any:
        """The first value of the first row."""
        return self.rows[0][0]


class Store:
    """A ClickHouse, by its HTTP address. Close it, or use it as a context manager."""

    def __init__(self, address: str, user: str = "", password: str = "") -> None:
        parts = _parts_of(address)
        self.address = address
        self._options: dict[str, Any] = {
            "host": parts.hostname,
            "port": parts.port or (8443 if parts.scheme == "https" else 8123),
            "interface": parts.scheme,
            "proxy_path": parts.path.strip("/"),
            "username": user or parts.username or "default",
            "password": password or parts.password or "",
        }
        # The client logs each failed request; we raise it.
        logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._pool = get_pool_manager(maxsize=MAX_CONNECTIONS, num_pools=2)
        self._threads = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="store")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The ClickHouse that the settings mean."""
        password = settings.clickhouse_password
        return cls(
            settings.clickhouse_address,
            settings.clickhouse_user or "",
            password.get_secret_value() if password else "",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; waits for queries that run."""
        self._threads.shutdown(cancel_futures=True)
        if self._client is not None:
            self._client.close()
        self._pool.clear()

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        limits: Limits | None = None,
        settings: Mapping[str, Value] | None = None,
    ) -> Result:
        """The whole answer to `sql`, whose `{name:Type}` are bound to `parameters`.

        `limits` belong to every query that a person wrote: it can then only read.
        """
        if limits:
            check_reads_only(sql)
        client = self._connected()
        with self._errors():
            answer = client.query(
                sql, parameters=dict(parameters or {}), settings=_settings(sql, limits, settings)
            )
            rows = [tuple(row) for row in answer.result_rows]
        return Result(
            tuple(answer.column_names),
            tuple(kind.name for kind in answer.column_types),
            rows[: limits.max_rows] if limits else rows,
            _statistics(answer.summary, len(rows), limits),
        )

    @contextmanager
    def stream(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        limits: Limits | None = None,
        settings: Mapping[str, Value] | None = None,
    ) -> Iterator["Stream"]:
        """The answer as it comes, block by block; leaving early ends the query."""
        if limits:
            check_reads_only(sql)
        client = self._connected()
        with self._errors():
            answer = client.query_row_block_stream(
                sql, parameters=dict(parameters or {}), settings=_settings(sql, limits, settings)
            )
        with answer:
            source: Any = answer.source
            yield Stream(
                tuple(source.column_names),
                tuple(kind.name for kind in source.column_types),
                self._blocks(answer),
            )

    def _blocks(self, answer: Any) -> Iterator[list[tuple[Any, ...]]]:
        # Around the reading alone: an OSError of whoever takes the rows is none of ClickHouse's.
        with self._errors():
            for block in answer:
                yield list(block)

    def command(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        settings: Mapping[str, Value] | None = None,
    ) -> None:
        """Run a statement that has no answer: DDL, ALTER, KILL."""
        client = self._connected()
        with self._errors():
            client.command(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))

    def insert(
        self,
        table: str,
        body: bytes,
        format_name: str,
        *,
        columns: list[str] | None = None,
        settings: Mapping[str, Value] | None = None,
    ) -> None:
        """Insert bytes that are in one of ClickHouse's formats."""
        client = self._connected()
        with self._errors():
            client.raw_insert(
                table,
                column_names=columns,
                insert_block=body,
                fmt=format_name,
                settings={"async_insert": 0, **(settings or {})},
            )

    def ping(self) -> None:
        """Return when ClickHouse answers a query; raise StoreUnavailableError when it does not."""
        self.query("SELECT 1")

    async def aquery(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        limits: Limits | None = None,
        settings: Mapping[str, Value] | None = None,
    ) -> Result:
        """`query` for coroutines: runs in a thread of the store's own."""
        return await self._in_thread(
            lambda: self.query(sql, parameters, limits=limits, settings=settings)
        )

    async def acommand(self, sql: str, parameters: Parameters | None = None) -> None:
        """`command` for coroutines."""
        await self._in_thread(lambda: self.command(sql, parameters))

    async def aping(self) -> None:
        """`ping` for coroutines."""
        await self._in_thread(self.ping)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _connected(self) -> Client:
        """The client. Only its making asks ClickHouse anything (version, time zone, settings)."""
        with self._lock:
            if self._client is None:
                with self._errors():
                    self._client = clickhouse_connect.get_client(
                        **self._options,
                        pool_mgr=self._pool,
                        connect_timeout=CONNECT_TIMEOUT_SECS,
                        send_receive_timeout=ANSWER_TIMEOUT_SECS,
                        # A session is for one query at a time; this client is for many.
                        autogenerate_session_id=False,
                        client_name="tailrace",
                        tz_mode="aware",
                    )
            return self._client

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except (OperationalError, HTTPError, OSError) as error:
            if isinstance(error, StreamFailureError) or getattr(error, "code", None):
                raise _refused(error) from error
            raise StoreUnavailableError(
                f"cannot reach ClickHouse at {self.address}: {_first_line(error)}. Is it running "
                "(`tailrace engine`, `tailrace up`)? TAILRACE_CLICKHOUSE_URL names another"
            ) from error
        except Error as error:
            raise _refused(error) from error


@dataclass(frozen=True)
class Stream:
    """An answer that is still coming: its columns, and blocks of rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    blocks: Iterator[list[tuple[Any, ...]]]


def _parts_of(address: str) -> SplitResult:
    """The parts of ClickHouse's address; UsageError for one that cannot be."""
    # urlsplit and the port raise ValueError for what is none.
    with suppress(ValueError):
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise UsageError(
        f"cannot use {address!r} as ClickHouse's address: give http://HOST:PORT or "
        "https://HOST:PORT (TAILRACE_CLICKHOUSE_URL)"
    )


def _settings(
    sql: str, limits: Limits | None, settings: Mapping[str, Value] | None
) -> dict[str, Value]:
    needed = _FOR_ATTRIBUTE_ITEMS if "attribute_items" in sql else {}
    return {**needed, **(settings or {}), **(limits.as_settings() if limits else {})}


def _statistics(summary: Mapping[str, Any], rows: int, limits: Limits | None) -> Statistics:
    return Statistics(
        rows_read=int(summary.get("read_rows", 0)),
        bytes_read=int(summary.get("read_bytes", 0)),
        elapsed_ms=int(summary.get("elapsed_ns", 0)) / 1e6,
        limit="max_rows" if limits and rows > limits.max_rows else None,
    )


def _refused(error: Exception) -> StoreError:
    code = getattr(error, "code", None) or 0
    if code == AUTHENTICATION_FAILED:
        return StoreError(
            "cannot log in to ClickHouse: TAILRACE_CLICKHOUSE_USER and "
            "TAILRACE_CLICKHOUSE_PASSWORD must be those that it knows",
            code=code,
        )
    is_missing = code in (UNKNOWN_TABLE, UNKNOWN_DATABASE)
    kind = TableMissingError if is_missing else StoreError
    said = _AROUND.sub("", str(error))
    return kind(f"cannot run the query: {said}", code=code)


def _first_line(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of errors: Connection refused."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]
