"""Routes requests, and takes each query from its request to its answer.

A query runs in a worker thread and is asked for one piece of its answer at a time, so a slow client
slows its own query and nothing else. A client that goes away has its query ended, unless the query
writes: what was received in full is finished, as a ClickHouse server does.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from tempfile import SpooledTemporaryFile
from typing import Any, TypeVar

from prometheus_client import generate_latest

from tailrace.clock import Clock
from tailrace.engine.answer import Answer, progress_interval_secs
from tailrace.engine.auth import Guard
from tailrace.engine.body import FormBody, QueryBody, receive_form, receive_query
from tailrace.engine.connection import ClientGoneError, Exchange
from tailrace.engine.database import Database
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.execute import Execution
from tailrace.engine.metrics import Metrics
from tailrace.engine.processes import Processes
from tailrace.engine.request import Request
from tailrace.engine.sessions import Session, Sessions
from tailrace.engine.sql import first_word
from tailrace.telemetry import get_logger, new_registry

_THREADS = 128
_LINGER_SECS = 5.0
_KILL_AGAIN_SECS = 0.1
_WAITING_BYTES = 16 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024

_READERS = {"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK"}

T = TypeVar("T")


class App:
    """Answers as a ClickHouse server's HTTP interface does."""

    def __init__(self, database: Database, guard: Guard, clock: Clock) -> None:
        self.database = database
        self.processes = Processes(database)
        self.sessions = Sessions(database, clock)
        self._guard = guard
        self._clock = clock
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="query")
        self._metrics = Metrics(
            new_registry(), lambda: len(self.processes), lambda: len(self.sessions)
        )
        self._log = get_logger("engine")

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        request = Request.parse(exchange.method, exchange.target, exchange.headers)
        query_id = request.options.get("query_id") or str(uuid.uuid4())
        answer = Answer(
            exchange,
            request,
            query_id,
            version=self.database.version,
            timezone=self.database.timezone,
        )
        try:
            if not await self._plain_route(exchange, request):
                self._guard.check(request)
                await self._query(exchange, request, query_id, answer)
        except ClickHouseError as error:
            self._metrics.errors.labels(str(error.code)).inc()
            self._log.debug("query failed", query_id=query_id, error=str(error))
            await answer.fail(error)
        except ClientGoneError:
            self._metrics.cancelled.inc()
            raise
        except Exception as error:
            await answer.fail(ClickHouseError(1001, "STD_EXCEPTION", f"BUG: {error!r}"))
            raise
        finally:
            await exchange.discard_rest(_LINGER_SECS)
            self._metrics.bytes_in.inc(exchange.bytes_in)
            self._metrics.bytes_out.inc(exchange.bytes_out)

    async def _plain_route(self, exchange: Exchange, request: Request) -> bool:
        """Answer what is not a query; False when it is one."""
        text = [("Content-Type", "text/html; charset=UTF-8")]
        if exchange.method == "OPTIONS":
            exchange.start(204, [("Allow", "GET, HEAD, POST, OPTIONS")], None)
            exchange.end()
        elif exchange.method not in ("GET", "HEAD", "POST"):
            await exchange.answer(501, text, b"cannot take this method: use GET or POST\n")
        elif request.path in ("/ping", "/replicas_status", "/healthz"):
            await exchange.answer(200, text, b"Ok.\n")
        elif request.path == "/metrics":
            self._guard.check(request)
            body = await self._in_thread(lambda: generate_latest(self._metrics.registry))
            await exchange.answer(200, [("Content-Type", "text/plain; version=0.0.4")], body)
        elif request.path not in ("/", "/query"):
            await exchange.answer(404, text, f"There is no handle {request.path}\n".encode())
        elif exchange.method != "POST" and not request.query and not exchange.has_body:
            await exchange.answer(200, text, b"Ok.\n")
        else:
            return False
        return True

    # A query.

    async def _query(
        self, exchange: Exchange, request: Request, query_id: str, answer: Answer
    ) -> None:
        folder = self.database.spool_folder
        form = FormBody(request, folder) if request.is_form else None
        body: QueryBody | None = None
        try:
            if form is not None:
                await receive_form(exchange, request, form)
                body = QueryBody(request.query, folder)
                body.finish()
            else:
                body = QueryBody(request.query, folder)
                await receive_query(exchange, request, body)
            if not body.text.strip():
                raise ClickHouseError(62, "SYNTAX_ERROR", "Empty query.")
            await self._begin(query_id, request)
            try:
                await self._execute(exchange, request, query_id, answer, body, form)
            finally:
                self.processes.end(query_id)
        finally:
            for part in (body, form):
                if part is not None:
                    part.remove()

    async def _begin(self, query_id: str, request: Request) -> None:
        if request.settings.get("replace_running_query") == "1":
            for _ in range(50):
                if query_id not in self.processes:
                    break
                await self._in_thread(lambda: self.processes.kill(query_id))
                await asyncio.sleep(_KILL_AGAIN_SECS)
        self.processes.begin(query_id)

    def _take_session(self, request: Request) -> Session | None:
        name = request.options.get("session_id")
        if not name:
            return None
        return self.sessions.take(
            name, request.session_timeout_secs, must_exist=request.flag("session_check")
        )

    async def _execute(
        self,
        exchange: Exchange,
        request: Request,
        query_id: str,
        answer: Answer,
        body: QueryBody,
        form: FormBody | None,
    ) -> None:
        session = self._take_session(request)
        loop = asyncio.get_running_loop()
        report = _Reporter(answer, progress_interval_secs(request), self._clock)
        execution = Execution(
            self.database,
            request,
            query_id,
            session,
            form.files if form else {},
        )

        def see_progress() -> None:
            loop.call_soon_threadsafe(report, execution)

        execution.on_progress = see_progress
        self._metrics.queries.labels("insert" if body.insert else "query").inc()
        pieces = execution.run(body)

        async def give_back() -> None:
            await self._in_thread(pieces.close)  # type: ignore[attr-defined]
            if session is not None:
                self.sessions.give_back(session, close=request.flag("close_session"))
            self._metrics.written_rows.inc(execution.summary.written_rows)

        async with AsyncExitStack() as held:
            held.push_async_callback(give_back)
            reads = body.insert is None and first_word(body.text) in _READERS
            patient = Patience(self, exchange, query_id if reads else None)
            await self._send(pieces, execution, answer, patient, request, held.aclose)

    async def _send(
        self,
        pieces: Iterator[bytes],
        execution: Execution,
        answer: Answer,
        patient: "Patience",
        request: Request,
        give_back: Callable[[], Awaitable[None]],
    ) -> None:
        """Send the answer. Before its last byte everything that was taken for it is given back:
        a client that has its answer may use its session again at once.
        """
        summary = execution.summary
        if request.flag("wait_end_of_query"):
            with SpooledTemporaryFile(_WAITING_BYTES, dir=str(self.database.spool_folder)) as file:
                length = await patient.run(lambda: _collect(pieces, file))
                await give_back()
                await answer.begin(execution.output_format, summary, length)
                await self._send_pieces(_pieces_of(file), answer, patient, give_back)
            return
        first = await patient.run(lambda: next(pieces, None))
        if first is None:
            await give_back()
            await answer.begin(execution.output_format, summary, 0)
            await answer.end(empty=True)
            return
        packed = await patient.run(lambda: answer.encode(first))
        await answer.begin(execution.output_format, summary, None)
        await answer.write(packed)
        await self._send_pieces(pieces, answer, patient, give_back, empty=False)

    async def _send_pieces(
        self,
        pieces: Iterator[bytes],
        answer: Answer,
        patient: "Patience",
        give_back: Callable[[], Awaitable[None]],
        *,
        empty: bool = True,
    ) -> None:
        def following() -> bytes | None:
            piece = next(pieces, None)
            return None if piece is None else answer.encode(piece)

        while (packed := await patient.run(following)) is not None:
            empty = False
            await answer.write(packed)
        await give_back()
        await answer.end(empty=empty)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    def close(self) -> None:
        """Give back threads and handles; no request runs any more."""
        self.threads.shutdown()
        self.sessions.close()


class Patience:
    """Waits for a worker thread and looks after the client meanwhile.

    When the client goes away, the query of `query_id` is killed and ClientGoneError raised once
    the thread is done. Without an id the work is finished first.
    """

    def __init__(self, app: App, exchange: Exchange, query_id: str | None) -> None:
        self._app = app
        self._exchange = exchange
        self._query_id = query_id

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, run in a thread."""
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._app.threads, work)
        either: set[asyncio.Future[Any]] = {running, self._exchange.gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        while not running.done():
            if self._query_id is not None:
                await loop.run_in_executor(None, self._app.processes.kill, self._query_id)
            await asyncio.wait({running}, timeout=_KILL_AGAIN_SECS)
        with suppress(ClickHouseError):
            running.result()
        raise ClientGoneError


class _Reporter:
    """Sends progress headers, but not more often than the client wants."""

    def __init__(self, answer: Answer, interval_secs: float | None, clock: Clock) -> None:
        self._answer = answer
        self._interval_secs = interval_secs
        self._clock = clock
        self._last = clock.monotonic()

    def __call__(self, execution: Execution) -> None:
        now = self._clock.monotonic()
        if self._interval_secs is not None and now - self._last >= self._interval_secs:
            self._last = now
            self._answer.progress(execution.summary)


def _collect(pieces: Iterator[bytes], file: Any) -> int:
    length = 0
    for piece in pieces:
        length += file.write(piece)
    file.seek(0)
    return length


def _pieces_of(file: Any) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece
