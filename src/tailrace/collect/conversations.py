"""What sources share whose peers are answered on the connection that they send on.

Of each connection one piece is read, kept and answered before the next is read, so a full buffer
stops the peer. What is answered is on disk. At the end connections are closed when nothing has come
of any for a moment and nothing is being kept.
"""

import asyncio
from abc import abstractmethod
from contextlib import suppress

from typing_extensions import override

from tailrace.collect.listen import BACKLOG, open_listener
from tailrace.collect.options import Acknowledgements, Address, split_address
from tailrace.collect.source import Frames, RejectedLine, Source, SourceContext
from tailrace.collect.tcp import TcpOptions
from tailrace.collect.tls import accepting

READ_BYTES = 256 * 1024
"""Most that is read at once."""

SILENCE_SECS = 0.05


class ConversationConfig(TcpOptions):
    """What such sources have in common."""

    address: Address
    """Address and port to listen on."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Either is kept: what is acknowledged is on disk."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({"host"})


class Conversation:
    """One connection's state; a source makes one for each."""

    @abstractmethod
    async def hear(self, data: bytes) -> bytes:
        """Keep what is complete with `data`; returns the answer, which may be empty.

        Raises ValueError where the peer does not speak the protocol; the connection is then closed.
        """


class ConversationSource(Source):
    """Listens on one address."""

    def __init__(self, config: ConversationConfig, context: SourceContext) -> None:
        super().__init__()
        self.config = config
        self.context = context
        self.port = 0
        """The port that it listens on, once it does."""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._last_arrival = 0.0

    @abstractmethod
    def converse(self, host: str) -> Conversation:
        """The state of a new connection."""

    @override
    async def start(self) -> None:
        host, port = split_address(self.config.address)
        setting = f"sources.{self.context.component_id}"
        tls = self.config.tls.context(f"{setting}.tls")
        listener = open_listener(host, port, f"{setting}.address")
        self.config.prepare(listener)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(
            self._serve, sock=listener, backlog=BACKLOG, limit=READ_BYTES, **accepting(tls)
        )
        self.context.log.info("listening", source=self.context.component_id, port=self.port)

    @override
    async def stop(self, grace_secs: float) -> None:
        if self._server:
            self._server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_secs):
                await self._until_silent()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def keep(self, frames: list[Frames], rejected: list[RejectedLine]) -> None:
        """Return once everything is on disk."""
        if rejected:
            await self.context.intake.reject(rejected)
        if frames:
            await self.context.intake.append(frames)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("BUG: a connection is served outside of a task")
        host = writer.get_extra_info("peername")[0]
        if self.config.is_welcome(host, len(self._connections)):
            self._connections.add(task)
            self.context.metrics.connections(len(self._connections))
            try:
                await self._listen_to(host, reader, writer)
            # Of TLS as well: a peer may break off in the middle of anything.
            except OSError as error:
                self.context.log.debug("a connection was lost", peer=host, problem=str(error))
            finally:
                self._connections.discard(task)
                self.context.metrics.connections(len(self._connections))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _listen_to(
        self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.config.keep_alive(writer.get_extra_info("socket"))
        conversation = self.converse(host)
        self._last_arrival = self.context.clock.monotonic()
        while data := await reader.read(READ_BYTES):
            self._busy += 1
            try:
                writer.write(await conversation.hear(data))
                await writer.drain()
            except ValueError as error:
                await self.keep([], [RejectedLine(data[:65536], str(error), host)])
                return
            finally:
                self._busy -= 1
                self._last_arrival = self.context.clock.monotonic()

    async def _until_silent(self) -> None:
        self._last_arrival = self.context.clock.monotonic()
        while self._connections:
            silent_secs = self.context.clock.monotonic() - self._last_arrival
            if not self._busy and silent_secs >= SILENCE_SECS:
                return
            await asyncio.sleep(max(SILENCE_SECS - silent_secs, SILENCE_SECS / 10))
