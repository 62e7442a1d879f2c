"""Hands events to the pipeline's HTTP intake: the one way from here to the collector, or to Vector.

Guarantees:
- `take` returns only when the intake has answered 200, which it does when every event is on disk.
  Any other end is an HTTPException: 429 with Retry-After while the buffer is full, 503 while the
  collector is out of reach, 400 and 413 for bodies that cannot be taken.
- A body is at most `MAX_BODY_BYTES`, as it comes and decompressed. All bodies that are here, and what
  became of them, take at most `MOST_BODIES_BYTES`; of large or compressed ones, which may become much
  more while they are read, `LARGE_AT_ONCE` are read at a time.
- A sender that leaves a body unfinished, or takes too long for it (`http_pace`), is given up: 408.
- Pages of other sites, which a browser lets send though not read, are refused: 403.
- An answer that is lost on the way here leaves the client with an error, though its events may be
  stored: it sends them again, and they are there twice.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol, TypeVar

import httpx
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tailrace.content import ContentError, ContentTooLargeError, decode_content
from tailrace.http_pace import BodyPace
from tailrace.web.intake.lines import BadBodyError, TooLargeError

MAX_BODY_BYTES = 32 * 1024**2
MOST_BODIES_BYTES = 256 * 1024**2
LARGE_AT_ONCE = 2

LARGE_BODY_BYTES = 64 * 1024
"""A larger body, or a compressed one, is read in a thread."""

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
RETRY_AFTER_SECS = 2


class Translated(Protocol):
    """What a translator makes of a body."""

    @property
    def payload(self) -> bytes:
        """Events, one JSON object a line, each with its newline; may be empty."""

    @property
    def answer_bytes(self) -> int:
        """The memory of what the sender will be answered, where that grows with the events."""


T = TypeVar("T", bound=Translated)


class Forwarder:
    """Takes bodies and forwards what translators make of them."""

    def __init__(self, address: str, client: httpx.AsyncClient) -> None:
        self._url = f"http://{address}/"
        self._client = client
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._bodies_bytes = 0

    async def close(self) -> None:
        """Give its connections back."""
        await self._client.aclose()

    async def take(
        self, request: Request, translate: Callable[[bytes], T], encodings: str | None = None
    ) -> T:
        """What `translate` made of the request's body, once its events are durable.

        `encodings` are undone before, by default those of the header Content-Encoding. Raises
        HTTPException; `translate` may raise BadBodyError.
        """
        _refuse_other_sites(request)
        if encodings is None:
            encodings = request.headers.get("content-encoding", "")

        def work(body: bytes) -> T:
            try:
                return translate(decode_content(body, encodings, MAX_BODY_BYTES))
            except (ContentTooLargeError, TooLargeError) as error:
                raise HTTPException(413, str(error)) from error
            except (ContentError, BadBodyError) as error:
                raise HTTPException(400, str(error)) from error

        async with self.body(request) as body:
            if not encodings and len(body) <= LARGE_BODY_BYTES:
                made = work(body)
            else:
                async with self._large:
                    made = await asyncio.to_thread(work, body)
            with self._memory() as use:
                use(len(made.payload) + made.answer_bytes)
                await self._send(made.payload)
        return made

    @contextmanager
    def _memory(self) -> Iterator[Callable[[int], None]]:
        """Gives what takes memory, within `MOST_BODIES_BYTES`; all of it is given back at the end."""
        used_bytes = 0

        def use(size_bytes: int) -> None:
            nonlocal used_bytes
            if self._bodies_bytes + size_bytes > MOST_BODIES_BYTES:
                raise _full("too many at once")
            used_bytes += size_bytes
            self._bodies_bytes += size_bytes

        try:
            yield use
        finally:
            self._bodies_bytes -= used_bytes

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body as it came; it counts as memory until the block ends."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            raise _too_large()
        parts: list[bytes] = []
        room_bytes = MAX_BODY_BYTES
        with self._memory() as use:
            try:
                async with BodyPace() as pace:
                    async for part in request.stream():
                        room_bytes -= len(part)
                        if room_bytes < 0:
                            raise _too_large()
                        use(len(part))
                        parts.append(part)
                        pace.came(len(part))
            except ClientDisconnect as error:
                raise HTTPException(
                    400, "cannot read the body: the connection was closed"
                ) from error
            except TimeoutError as error:
                raise HTTPException(408, str(error), {"Connection": "close"}) from error
            yield b"".join(parts)

    async def _send(self, payload: bytes) -> None:
        if not payload:
            return
        try:
            answer = await self._client.post(
                self._url,
                content=payload,
                headers={"Content-Type": "application/x-ndjson"},
                timeout=TIMEOUT,
            )
        except httpx.TransportError as error:
            raise HTTPException(
                503,
                f"cannot reach the collector at {self._url} (TAILRACE_INTAKE_HTTP): "
                f"{str(error) or type(error).__name__}; try again",
                {"Retry-After": str(RETRY_AFTER_SECS)},
            ) from error
        if answer.status_code in (429, 503):
            raise _full("the buffer is full", answer.headers.get("Retry-After", "1"))
        if answer.status_code in (400, 413):
            raise HTTPException(answer.status_code, _reason(answer))
        if not answer.is_success:
            raise HTTPException(
                502,
                f"cannot hand events to {self._url} (TAILRACE_INTAKE_HTTP): it answers "
                f"{answer.status_code}",
            )


def _refuse_other_sites(request: Request) -> None:
    """Raise HTTPException for what a browser sends on behalf of a page that is not ours."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise HTTPException(403, f"cannot take events from a page of {origin[:200]!r}")


def _too_large() -> HTTPException:
    return HTTPException(413, f"cannot take more than {MAX_BODY_BYTES} bytes: send smaller batches")


def _full(reason: str, retry_after_secs: str = "1") -> HTTPException:
    return HTTPException(
        429, f"cannot take events: {reason}; try again", {"Retry-After": retry_after_secs}
    )


def _reason(answer: httpx.Response) -> str:
    """The `detail` of a problem, or whatever it says."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:1000]
