"""Who sends a byte now and then keeps no place: at the pages, the collector's doors and the engine."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from typing_extensions import override

from tailrace.collect.http import RefusedError, Request
from tailrace.engine.body import QueryBody, receive_query
from tailrace.engine.connection import Connection, Exchange
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.request import Request as EngineRequest
from tailrace.http_head import LINGER_SECS, BoundedHttp
from tailrace.http_pace import BODY_BYTES, BODY_SECS, HEAD_SECS, BodyPace
from tests.leaping import now_secs, run_leaping

DAY_SECS = 86_400
KEEP_ALIVE_SECS = 75
GET = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIVE = GET.replace(b"/ping", b"/live")
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


class Wire(asyncio.Transport):
    """A client's end: what it was sent, and when its connection was closed."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.received = b""
        self.closed_at: float | None = None
        protocol.connection_made(self)

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received += data

    @override
    def is_closing(self) -> bool:
        return self.closed_at is not None

    @override
    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = now_secs()
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    @override
    def pause_reading(self) -> None:
        """Everything is taken."""

    @override
    def resume_reading(self) -> None:
        """Everything is taken."""

    async def send(self, data: bytes) -> None:
        """Send at once, and see what comes of it."""
        self.protocol.data_received(data)
        await asyncio.sleep(1)

    async def trickle(self, data: bytes, every_secs: float) -> None:
        """Send byte by byte for as long as the connection is open."""
        for byte in data:
            if self.closed_at is not None:
                return
            self.protocol.data_received(bytes([byte]))
            await asyncio.sleep(every_secs)


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answers without a look at the body; `/live` takes a day for it."""
    if scope["path"] == "/live":
        await asyncio.sleep(DAY_SECS)
    headers = [(b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})


async def handle(exchange: Exchange) -> None:
    """The same at the engine, which reads what is left of a body for a moment."""
    if exchange.target == b"/live":
        await asyncio.sleep(DAY_SECS)
    await exchange.answer(200, [], b"ok\n")
    await exchange.discard_rest(5)


def connect_uvicorn() -> Wire:
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, timeout_keep_alive=KEEP_ALIVE_SECS
    )
    config.load()
    return Wire(BoundedHttp(config, uvicorn.Server(config).server_state, {}))


def connect_engine() -> Wire:
    return Wire(Connection(handle, set()))


Connect = Callable[[], Wire]
both = pytest.mark.parametrize(
    "connect",
    [pytest.param(connect_uvicorn, id="uvicorn"), pytest.param(connect_engine, id="engine")],
)


@both
def test_a_head_that_comes_byte_by_byte_is_given_up(connect: Connect) -> None:
    async def work() -> None:
        wire = connect()
        await wire.trickle(GET, every_secs=BODY_SECS - 1)
        assert wire.received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert wire.closed_at is not None
        assert HEAD_SECS <= wire.closed_at <= HEAD_SECS + LINGER_SECS

    run_leaping(work())


@both
def test_so_is_the_next_one_of_a_connection(connect: Connect) -> None:
    async def work() -> None:
        wire = connect()
        await wire.send(GET)
        await asyncio.sleep(KEEP_ALIVE_SECS / 2)
        began_at = now_secs()
        await wire.trickle(GET, every_secs=BODY_SECS - 1)
        first, second = wire.received.split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200 ")
        assert second.startswith(b"408 ")
        assert wire.closed_at is not None
        assert HEAD_SECS <= wire.closed_at - began_at <= HEAD_SECS + LINGER_SECS

    run_leaping(work())


@both
def test_a_head_in_pieces_is_taken_in_time(connect: Connect) -> None:
    async def work() -> None:
        wire = connect()
        await wire.trickle(GET, every_secs=0.9 * HEAD_SECS / len(GET))
        await asyncio.sleep(HEAD_SECS - 1)
        await wire.trickle(GET, every_secs=0.9 * HEAD_SECS / len(GET))
        assert wire.received.count(b"HTTP/1.1 200 ") == 2
        assert wire.closed_at is None
        wire.close()
        await asyncio.sleep(0)

    run_leaping(work())


@both
def test_a_connection_that_says_nothing_is_closed_without_a_word(connect: Connect) -> None:
    async def work() -> None:
        wire = connect()
        await asyncio.sleep(HEAD_SECS + 1)
        assert (wire.received, wire.closed_at) == (b"", HEAD_SECS)

    run_leaping(work())


@both
def test_an_answer_may_take_a_day(connect: Connect) -> None:
    async def work() -> None:
        wire = connect()
        # Whoever follows logs may have asked for something else meanwhile.
        await wire.send(LIVE + GET[:-5])
        await asyncio.sleep(DAY_SECS - 10)
        assert (wire.received, wire.closed_at) == (b"", None)
        await asyncio.sleep(20)
        await wire.send(GET[-5:])
        assert wire.received.count(b"HTTP/1.1 200 ") == 2
        wire.close()
        await asyncio.sleep(0)

    run_leaping(work())


@both
def test_the_rest_of_a_body_that_is_answered_keeps_no_connection(connect: Connect) -> None:
    async def work() -> None:
        wire = connect()
        await wire.send(POST)
        await wire.trickle(b"x" * 999, every_secs=KEEP_ALIVE_SECS / 2)
        assert wire.received.count(b"HTTP/1.1 ") == 1
        assert wire.closed_at is not None
        assert wire.closed_at <= 2 * HEAD_SECS

    run_leaping(work())


def test_empty_lines_between_requests_keep_no_connection() -> None:
    """uvicorn waits `timeout_keep_alive` for the next request, and no more once anything has come."""

    async def work() -> None:
        wire = connect_uvicorn()
        await wire.send(GET)
        await wire.trickle(b"\r\n" * 500, every_secs=KEEP_ALIVE_SECS / 2)
        assert wire.received.count(b"HTTP/1.1 ") == 1
        assert wire.closed_at is not None
        assert wire.closed_at <= 2 * HEAD_SECS

    run_leaping(work())


class Sender:
    """Gives pieces of a body, each after so many seconds."""

    def __init__(self, *pieces: bytes, every_secs: float) -> None:
        self._pieces = list(pieces)
        self._every_secs = every_secs

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(self._every_secs)
        piece = self._pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}


async def read(sender: Sender) -> bytes:
    scope = {"method": "POST", "path": "/", "query_string": b"", "headers": []}
    return await Request(scope).read(sender.receive, 1_000_000)


def test_a_body_that_comes_byte_by_byte_is_given_up() -> None:
    async def work() -> None:
        with pytest.raises(RefusedError, match="fewer than 16384 bytes") as raised:
            await read(Sender(*[b"x"] * 1000, every_secs=BODY_SECS - 1))
        assert raised.value.status == 408
        assert raised.value.headers == {"Connection": "close"}
        assert now_secs() == BODY_SECS

    run_leaping(work())


def test_what_came_before_gives_no_credit() -> None:
    async def work() -> None:
        sender = Sender(b"x" * 500_000, *[b"x"] * 1000, every_secs=BODY_SECS - 1)
        with pytest.raises(RefusedError, match="fewer than"):
            await read(sender)
        assert now_secs() == BODY_SECS - 1 + BODY_SECS

    run_leaping(work())


def test_a_slow_body_is_taken_while_enough_comes() -> None:
    pieces = [b"x" * (BODY_BYTES // 2)] * 50

    async def work() -> None:
        assert await read(Sender(*pieces, b"end", every_secs=BODY_SECS / 2 - 1)) == (
            b"".join(pieces) + b"end"
        )
        assert now_secs() > 10 * BODY_SECS

    run_leaping(work())


def test_what_is_done_within_is_left_as_it_is() -> None:
    async def work() -> None:
        with pytest.raises(ValueError, match="of ours"):
            async with BodyPace():
                raise ValueError("of ours")

    run_leaping(work())


def test_the_engine_gives_up_a_slow_body(tmp_path: Path) -> None:
    refused: list[ClickHouseError] = []

    async def query(exchange: Exchange) -> None:
        request = EngineRequest.parse(exchange.method, exchange.target, exchange.headers)
        body = QueryBody(b"INSERT INTO t FORMAT LineAsString", tmp_path)
        try:
            await receive_query(exchange, request, body)
        except ClickHouseError as error:
            refused.append(error)
            await exchange.answer(error.http_status, [], b"")
        finally:
            body.remove()

    async def work() -> None:
        wire = Wire(Connection(query, set()))
        wire.protocol.data_received(POST)
        await wire.trickle(b"x" * 1000, every_secs=BODY_SECS - 1)
        assert wire.received.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nConnection: close\r\n" in wire.received
        assert wire.closed_at == BODY_SECS

    run_leaping(work())
    assert [error.code for error in refused] == [159]


def test_the_engine_takes_a_slow_body_while_enough_comes(tmp_path: Path) -> None:
    sizes: list[int] = []

    async def query(exchange: Exchange) -> None:
        body = QueryBody(b"INSERT INTO t FORMAT LineAsString", tmp_path)
        await exchange.receive(body)
        sizes.append(body.data.size if body.data else 0)
        body.remove()
        await exchange.answer(200, [], b"")

    async def work() -> None:
        wire = Wire(Connection(query, set()))
        wire.protocol.data_received(POST.replace(b"1000", b"%d" % (20 * BODY_BYTES)))
        for _ in range(20):
            await asyncio.sleep(BODY_SECS - 1)
            wire.protocol.data_received(b"x" * BODY_BYTES)
        await asyncio.sleep(1)
        assert wire.received.startswith(b"HTTP/1.1 200 ")
        wire.close()
        await asyncio.sleep(0)

    run_leaping(work())
    assert sizes == [20 * BODY_BYTES]
