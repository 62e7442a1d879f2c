"""What sources share that are sent requests over HTTP, each with a protocol of its own on top.

Bodies are read whole, within `max_body_bytes` each, as they come and decompressed, and within
`MOST_BODIES_BYTES` all together; while the buffer is full none is read, and the peer is told to come
again. What takes longer than a moment is done in a thread.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import ClassVar, TypeVar

from typing_extensions import override

from tailrace.collect.http import Answer, Receive, RefusedError, Request, Scope, Send, Server
from tailrace.collect.listen import open_listener
from tailrace.collect.options import split_address
from tailrace.collect.source import Source, SourceContext
from tailrace.collect.tls import HttpServerTls
from tailrace.content import ContentError, ContentTooLargeError, decode_content

MOST_BODIES_BYTES = 256 * 1024**2
"""Bodies that may be in memory at once."""

LARGE_BODY_BYTES = 64 * 1024
"""A larger body, or a compressed one, is read in a thread."""

COME_AGAIN = {"Retry-After": "1"}

T = TypeVar("T")


class RequestSource(Source):
    """Serves one address; a subclass says what a request means.

    `option` is the name of the option that `address` comes from; `tls` is beside it.
    """

    max_body_bytes: ClassVar[int] = 32 * 1024**2
    """Largest body; where it becomes one frame, its events are in a worker's memory at once."""

    def __init__(
        self, address: str, option: str, tls: HttpServerTls, context: SourceContext
    ) -> None:
        super().__init__()
        self.context = context
        self.port = 0
        """The port that it listens on, once it does."""
        self.bodies_bytes = 0
        """Size of all bodies that are in memory now."""
        self._address = address
        self._option = option
        self._tls = tls
        self._server: Server | None = None

    @abstractmethod
    async def take(self, request: Request, receive: Receive) -> Answer:
        """What a request is answered; raises RefusedError."""

    def refusal(self, request: Request, refused: RefusedError) -> Answer:
        """How this protocol says no."""
        del request
        return refused.answer()

    @override
    async def start(self) -> None:
        host, port = split_address(self._address)
        setting = f"sources.{self.context.component_id}.{self._option}"
        tls = self._tls.context(setting.removesuffix("address") + "tls")
        listener = open_listener(host, port, setting)
        self.port = listener.getsockname()[1]
        self._server = Server(self.answer, tls)
        await self._server.start(listener)
        self.context.log.info("listening", source=self.context.component_id, port=self.port)

    @override
    async def stop(self, grace_secs: float) -> None:
        if self._server:
            await self._server.stop(grace_secs)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        request = Request(scope)
        try:
            answer = await self.take(request, receive)
        except RefusedError as refused:
            answer = self.refusal(request, refused)
        await answer.send(send)

    @asynccontextmanager
    async def body(self, request: Request, receive: Receive) -> AsyncIterator[bytes]:
        """The body as it came; it counts as memory until the block ends."""
        if self.context.intake.is_full():
            raise RefusedError(503, "cannot take events: the buffer is full", COME_AGAIN)
        announced = request.announced_bytes or 0
        if announced > self.max_body_bytes:
            raise RefusedError(413, f"cannot take more than {self.max_body_bytes} bytes")
        taken = 0

        def take(size_bytes: int) -> None:
            nonlocal taken
            if self.bodies_bytes + size_bytes > MOST_BODIES_BYTES:
                raise RefusedError(503, "cannot take events: too many at once", COME_AGAIN)
            taken += size_bytes
            self.bodies_bytes += size_bytes

        try:
            take(announced)
            # One that comes in chunks does not announce its size: it is counted as it comes.
            yield await request.read(receive, self.max_body_bytes, _nothing if announced else take)
        finally:
            self.bodies_bytes -= taken

    async def read(self, request: Request, body: bytes, reader: Callable[[bytes], T]) -> T:
        """What `reader` makes of the body, decompressed."""
        encodings = request.headers.get("content-encoding", "")

        def work() -> T:
            return reader(decode_content(body, encodings, self.max_body_bytes))

        try:
            if encodings or len(body) > LARGE_BODY_BYTES:
                return await asyncio.to_thread(work)
            return work()
        except ContentTooLargeError as error:
            raise RefusedError(413, str(error)) from error
        except ContentError as error:
            raise RefusedError(400, str(error)) from error


def chosen(wanted: Sequence[str], present: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
    """Headers or parameters that are asked for; a name without wildcard that is absent is null, as in
    Vector."""
    found: dict[str, str | None] = {}
    for pattern in wanted:
        if "*" in pattern:
            names = (name for name in present if fnmatchcase(name, pattern.lower()))
            found |= {name: present[name] for name in names}
        else:
            found[pattern] = present.get(pattern, present.get(pattern.lower()))
    return tuple(found.items())


def _nothing(size_bytes: int) -> None:
    """Takes no memory: it was taken before."""
