"""One client's HTTP/1.1 connection.

Leaner than a general server where ClickHouse's interface needs it: a request's body is pushed
straight into whoever takes it, without a task switch for each piece; headers can be sent while a
query still runs (`X-ClickHouse-Progress`); and an answer can be cut off on purpose, which is how
a client learns that a stream broke in its middle.

Requests of one connection are answered one after the other. Reading goes on while an answer is
made, so that a client that goes away is noticed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Protocol, cast

import httptools
from typing_extensions import override

from tailrace.http_pace import HEAD_SECS, BodyPace

MAX_HEADER_BYTES = 1024 * 1024
"""A query may stand in the URL, so this is far more than other servers take."""

_MAX_WAITING_BYTES = 1024 * 1024
_DIRECT_BYTES = 256 * 1024
_NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

Headers = list[tuple[str, str]]


class ClientGoneError(Exception):
    """The client closed its connection before its answer was complete."""


class Sink(Protocol):
    """Takes a request's body piece by piece, in the order of arrival."""

    def write(self, data: bytes) -> object:
        """Take the next piece; an exception ends the request with that error."""


class _Nowhere:
    def write(self, data: bytes) -> None:
        """Forget it."""


class Exchange:
    """One request and its answer."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._sink: Sink | None = None
        self._pace: BodyPace | None = None
        self._complete = asyncio.get_running_loop().create_future()
        self._gone = asyncio.get_running_loop().create_future()
        self._all_there = asyncio.Event()
        self._expects_continue = False
        self._chunked = False
        self._header_open = False
        self._status = 0
        self.method = ""
        self.target = b""
        self.headers: dict[str, str] = {}
        self.http_minor = 1
        self.keep_alive = True
        self.started = False
        self.finished = False
        self.bytes_in = 0
        self.bytes_out = 0

    # The request, from the connection's side.

    def feed(self, data: bytes) -> None:
        """Take a piece of the body from the wire."""
        self.bytes_in += len(data)
        if self._pace is not None:
            self._pace.came(len(data))
        if self._sink is not None:
            self._pass_on(data)
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > _MAX_WAITING_BYTES:
            self._connection.pause_reading()

    def _pass_on(self, data: bytes) -> None:
        if self._sink is None:
            return
        try:
            self._sink.write(data)
        except Exception as error:  # noqa: BLE001 - handed to the request's own task
            self._sink = _Nowhere()
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._complete.done():
            self._complete = asyncio.get_running_loop().create_future()
        self._complete.set_exception(error)
        self._complete.exception()  # marks it as seen: nobody may be waiting any more

    def feed_end(self) -> None:
        """The body is complete."""
        self._all_there.set()
        if not self._complete.done():
            self._complete.set_result(None)

    def lose(self) -> None:
        """The client is gone."""
        self._all_there.set()
        if not self._gone.done():
            self._gone.set_result(None)
        if not self._complete.done():
            self._fail(ClientGoneError())

    def expect_continue(self) -> None:
        """The client waits for a word before it sends the body."""
        self._expects_continue = True

    # The request, from the handler's side.

    @property
    def has_body(self) -> bool:
        """Whether the request says that a body follows."""
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"

    async def receive(self, sink: Sink) -> None:
        """Push the whole body into `sink`.

        Raises what the sink raised, ClientGoneError, or TimeoutError for a body that comes too slowly.
        """
        self._sink = sink
        if self._expects_continue:
            self._expects_continue = False
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self._waiting:
            self._pass_on(self._waiting.popleft())
        self._waiting_bytes = 0
        self._connection.resume_reading()
        try:
            async with BodyPace() as self._pace:
                await asyncio.shield(self._complete)
        finally:
            self._pace = None

    async def discard_rest(self, timeout_secs: float) -> None:
        """Read and forget the rest of the body, so that a client still sending hears the answer."""
        if self._expects_continue or self._all_there.is_set():
            return
        self._sink = _Nowhere()
        self._waiting.clear()
        self._connection.resume_reading()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_there.wait(), timeout_secs)

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done once the client has closed its connection."""
        return self._gone

    # The answer.

    def start(self, status: int, headers: Iterable[tuple[str, str]], length: int | None) -> None:
        """Send the status and the headers; `length` None sends the body in chunks."""
        self.open_headers(status, headers)
        self.close_headers([], length)

    def open_headers(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Send the status and first headers; more may follow until `close_headers`."""
        self.started = self._header_open = True
        self._status = status
        reason = HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
        self._send_lines(lines)

    def add_header(self, name: str, value: str) -> None:
        """Send one more header while they are open."""
        self._send_lines([f"{name}: {value}"])

    def close_headers(self, headers: Headers, length: int | None) -> None:
        """Send the last headers; the body may begin."""
        lines = [f"{name}: {value}" for name, value in headers]
        if self._status in _NO_BODY:
            pass
        elif length is not None:
            lines.append(f"Content-Length: {length}")
        elif self.http_minor >= 1:
            self._chunked = True
            lines.append("Transfer-Encoding: chunked")
        else:
            self.keep_alive = False
        if not self._all_there.is_set():
            self.keep_alive = False
        lines.append("Connection: " + ("keep-alive" if self.keep_alive else "close"))
        lines.append("\r\n")
        self._send_lines(lines, last=True)
        self._header_open = False

    def _send_lines(self, lines: list[str], *, last: bool = False) -> None:
        text = "\r\n".join(lines) + ("" if last else "\r\n")
        self._connection.send(text.encode("utf-8", "replace"))

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; waits while the client is slow to read."""
        if self._gone.done():
            raise ClientGoneError
        if not data or self.method == "HEAD":
            return
        self.bytes_out += len(data)
        if self._chunked:
            self._connection.send(b"%x\r\n" % len(data))
            self._connection.send(data)
            self._connection.send(b"\r\n")
        else:
            self._connection.send(data)
        await self._connection.drain()

    def end(self) -> None:
        """The answer is complete."""
        if self._chunked and self.method != "HEAD":
            self._connection.send(b"0\r\n\r\n")
        self.finished = True

    def cut_off(self) -> None:
        """End the answer so that the client knows that it is not complete."""
        self.keep_alive = False
        self.finished = True

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        self.start(status, headers, len(body))
        await self.write(body)
        self.end()


Handler = Callable[[Exchange], Awaitable[None]]


class Connection(asyncio.Protocol):
    """Reads requests and hands each to `handler` as an Exchange.

    The handler must finish every exchange that it is given; an exception that it lets out closes
    the connection and is the event loop's to report.
    """

    def __init__(self, handler: Handler, connections: "set[Connection]") -> None:
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._queue: deque[Exchange] = deque()
        self._reading: Exchange | None = None
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._open_bytes = 0
        """Bytes since a head or a piece of a body was complete."""
        self._has_divided = False
        self._is_in_head = False
        self._head_deadline: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self._paused = False
        self._closing = False
        self._last = False
        self._rest_bytes = 0
        self._direct_bytes = 0

    # asyncio.Protocol

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it
        self._connections.add(self)
        self._limit_head()

    @override
    def data_received(self, data: bytes) -> None:
        if self._direct_bytes:
            data = self._feed_directly(data)
            if not data:
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "cannot upgrade the connection: speak HTTP/1.1")
        except httptools.HttpParserError as error:
            if not self._closing:
                self._refuse(400, f"cannot read the request: {error}")
        else:
            self._direct_bytes, self._rest_bytes = self._rest_bytes, 0
            # The parser tells of a header when it is complete, and copies what it has with each piece.
            self._open_bytes = 0 if self._has_divided else self._open_bytes + len(data)
            self._has_divided = False
            if self._open_bytes > MAX_HEADER_BYTES and not self._closing:
                self._refuse(431, f"cannot take a header of more than {MAX_HEADER_BYTES} bytes")
            elif self._is_in_head and not (self.busy or self._closing):
                self._limit_head()

    def _feed_directly(self, data: bytes) -> bytes:
        """Hand on the rest of a large body past the parser, which would copy it; what follows."""
        body = data[: self._direct_bytes]  # no copy when the body is not yet complete
        self._direct_bytes -= len(body)
        if self._reading is not None:
            self._reading.feed(body)
        if not self._direct_bytes:
            self._parser = httptools.HttpRequestParser(self)
            self.on_message_complete()
        return data[len(body) :]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._closing = True
        self._unlimit_head()
        self._writable.set()
        for exchange in self._queue:
            exchange.lose()

    @override
    def pause_writing(self) -> None:
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        self._writable.set()

    # httptools callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head = True
        self._target, self._headers, self._header_bytes = b"", {}, 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count_header(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("utf-8", "replace")

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES and not self._closing:
            self._refuse(431, f"cannot take more than {MAX_HEADER_BYTES} bytes of URL and headers")

    def on_headers_complete(self) -> None:
        """The request's headers are there; its body follows."""
        self._has_divided = True
        self._is_in_head = False
        self._unlimit_head()
        if self._closing:
            return
        exchange = Exchange(self)
        exchange.method = self._parser.get_method().decode("ascii", "replace")
        exchange.target = self._target
        exchange.headers = self._headers
        exchange.http_minor = 0 if self._parser.get_http_version() == "1.0" else 1
        exchange.keep_alive = self._parser.should_keep_alive()
        if self._headers.get("expect", "").lower() == "100-continue":
            exchange.expect_continue()
        self._reading = exchange
        self._rest_bytes = _direct_size(self._headers)
        self._queue.append(exchange)
        if len(self._queue) == 1:
            self._begin(exchange)
        else:
            self.pause_reading()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._has_divided = True
        if self._reading is not None:
            self._reading.feed(body)
        self._rest_bytes = max(0, self._rest_bytes - len(body))

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._has_divided = True
        if self._reading is not None:
            self._reading.feed_end()
            self._reading = None

    # What an exchange asks of its connection.

    def send(self, data: bytes) -> None:
        """Write to the client; nothing happens when it is gone."""
        if self._transport is not None and not self._closing:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has read enough of what was sent."""
        if not self._writable.is_set():
            await self._writable.wait()

    def pause_reading(self) -> None:
        """Stop reading from the client."""
        if self._transport is not None and not self._paused and not self._closing:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again."""
        if self._transport is not None and self._paused and not self._closing:
            self._paused = False
            self._transport.resume_reading()

    # The server's side.

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._queue)

    def finish(self) -> None:
        """Take no more requests: close the connection when the present one is answered."""
        self._last = True
        if not self.busy:
            self.close()

    def close(self) -> None:
        """Close the connection once what was written is sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def _begin(self, exchange: Exchange) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except ClientGoneError:
            exchange.cut_off()
        finally:
            self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        exchange.lose()
        self._queue.popleft()
        if self._closing:
            return
        if not exchange.finished or not exchange.keep_alive or self._last:
            self.close()
            return
        if self._queue:
            self._begin(self._queue[0])
        elif self._is_in_head:
            self._limit_head()
        if len(self._queue) <= 1:
            self.resume_reading()

    def _limit_head(self) -> None:
        if self._head_deadline is None:
            loop = asyncio.get_running_loop()
            self._head_deadline = loop.call_later(HEAD_SECS, self._give_up)

    def _unlimit_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _give_up(self) -> None:
        if self._is_in_head:
            self._refuse(408, f"cannot wait longer than {HEAD_SECS:g} s for a request's headers")
        else:
            self.close()

    def _refuse(self, status: int, message: str) -> None:
        body = message.encode() + b"\n"
        if not self.busy:
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain\r\n"
            self.send(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
            self.send(body)
        self.close()


def _direct_size(headers: dict[str, str]) -> int:
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not length.isdigit():
        return 0
    return int(length) if int(length) >= _DIRECT_BYTES else 0
