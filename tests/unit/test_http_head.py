"""Requests whose head does not end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import pytest
import uvicorn

from tailrace.http_head import MOST_HEAD_BYTES, BoundedHttp

Message = MutableMapping[str, Any]


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answers with the size of the body."""
    assert scope["type"] == "http"
    size_bytes = 0
    while True:
        message = await receive()
        size_bytes += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    text = b"%d" % size_bytes
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(application, http=BoundedHttp, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: BoundedHttp(config, server.server_state, {}), "127.0.0.1", 0
    )
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def answer(port: int, *pieces: bytes) -> bytes:
    """The head of what comes back, and its body, while pieces are sent for as long as they are taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass  # it was refused before its end

    sending = asyncio.create_task(send())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        return head if head.startswith(b"HTTP/1.1 431 ") else head + await reader.read(10)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()


MUCH = [b"x" * 65536] * (4 * MOST_HEAD_BYTES // 65536)


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nX: ",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: ",
    ],
    ids=["address", "header", "trailer"],
)
async def test_a_head_without_end_is_refused(port: int, beginning: bytes) -> None:
    assert (await answer(port, beginning, *MUCH)).startswith(b"HTTP/1.1 431 ")


async def test_a_large_body_is_none(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % sum(map(len, MUCH))
    assert (await answer(port, head, *MUCH)).endswith(b"%d" % sum(map(len, MUCH)))


async def test_a_long_head_is_taken(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nX: " + b"x" * (MOST_HEAD_BYTES // 2) + b"\r\n\r\n"
    assert (await answer(port, head)).startswith(b"HTTP/1.1 200 ")
