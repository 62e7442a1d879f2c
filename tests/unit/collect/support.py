"""What the collector's tests share."""

import asyncio
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import structlog

from tailrace.clock import SystemClock
from tailrace.collect.metrics import Metrics
from tailrace.collect.sink import MemoryRefusals, Refusals, SinkContext
from tailrace.settings import Settings
from tailrace.telemetry import Logger, new_registry

INTAKE = {
    "json": "String",
    "component_id": "LowCardinality(String)",
    "peer": "String",
    "received_at": "DateTime64(3, 'UTC')",
}


def quiet_log() -> Logger:
    """A logger that says nothing."""
    log: Logger = structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[structlog.processors.JSONRenderer(default=str)],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return log


async def until(condition: Callable[[], object], within_secs: float = 60.0) -> None:
    """Wait until `condition()` is true."""
    async with asyncio.timeout(within_secs):
        while not condition():  # noqa: ASYNC110  # any condition, not only what has an Event
            await asyncio.sleep(0.005)


def sink_context(
    component_id: str = "out",
    folder: Path | None = None,
    refusals: Refusals | None = None,
) -> SinkContext:
    """What a sink of a test is given."""
    return SinkContext(
        component_id,
        Metrics(new_registry()).component(component_id, "sink", "clickhouse"),
        quiet_log(),
        SystemClock(),
        Settings.read(data_dir=folder or Path("unused")),
        refusals or MemoryRefusals(),
    )


class FakeClickhouse:
    """A ClickHouse behind HTTPX's transport: one table, inserts by token, rows that it refuses."""

    def __init__(self, columns: dict[str, str] | None = None) -> None:
        self.columns = columns or INTAKE
        self.defaults: set[str] = set()
        self.rows: list[bytes] = []
        self.rejected: list[bytes] = []
        self.tokens: list[str] = []
        self.requests: list[httpx.Request] = []
        self.is_bad: Callable[[bytes], bool] = lambda row: False
        self.next_answers: list[httpx.Response | Exception] = []
        """Given in place of an insert's answer, once each."""
        self.loses_answers = 0
        """So many inserts happen without an answer."""
        self.swallows_rows = 0
        """So many times it says that the table has engine Null and no view that reads it."""
        self.hangs = False
        """Whether requests get no answer at all."""

    @property
    def transport(self) -> httpx.MockTransport:
        """What a client under test is given."""
        return httpx.MockTransport(self.handle)

    @property
    def queries(self) -> list[str]:
        """Queries so far."""
        return [request.url.params["query"] for request in self.requests]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        body = await request.aread()
        if request.headers.get("content-encoding") == "gzip":
            body = zlib.decompress(body, wbits=zlib.MAX_WBITS | 16)
        self.requests.append(request)
        if self.hangs:
            await asyncio.Event().wait()
        query = request.url.params["query"]
        if self.next_answers:
            answer = self.next_answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if query.startswith("DESCRIBE"):
            return httpx.Response(200, content=self._describe())
        if "system.tables" in query:
            self.swallows_rows -= 1
            return httpx.Response(200, content=b"1\n" if self.swallows_rows >= 0 else b"0\n")
        return self._insert(query, request.url.params["insert_deduplication_token"], body)

    def _describe(self) -> bytes:
        return b"".join(
            b'{"name":"%s","type":"%s","default_type":"%s"}\n'
            % (name.encode(), kind.encode(), b"DEFAULT" if name in self.defaults else b"")
            for name, kind in self.columns.items()
        )

    def _insert(self, query: str, token: str, body: bytes) -> httpx.Response:
        rows = [row for row in body.split(b"\n") if row]
        if re.match(r"INSERT INTO `logs`.`rejected`", query):
            if token not in self.tokens:
                self.tokens.append(token)
                self.rejected += rows
            return httpx.Response(200)
        if any(map(self.is_bad, rows)):
            return refusal(27, "Cannot parse input")
        if token not in self.tokens:
            self.tokens.append(token)
            self.rows += rows
        if self.loses_answers:
            self.loses_answers -= 1
            raise httpx.ReadError("connection lost")
        return httpx.Response(200)


def refusal(code: int, text: str, status: int = 400) -> httpx.Response:
    """An answer of ClickHouse that says no."""
    return httpx.Response(
        status, headers={"X-ClickHouse-Exception-Code": str(code)}, text=f"Code: {code}. {text}"
    )
