"""Sink `console`: writes events to standard output or standard error.

What is guaranteed: a batch counts as delivered when the system has taken all of its bytes; what
reads the other end of a pipe is not asked. At least once: a batch that was cut short by the end of
the process is written again by the next. Where the reader has gone, the collector ends with an
error, and what was not written stays in the buffer.
"""

import asyncio
import os
import threading
from collections.abc import Sequence
from typing import Literal

from typing_extensions import override

from tailrace.collect.component import Component, SinkConfig
from tailrace.collect.encoding import NEWLINE_DELIMITED, Encoding, SinkFraming, StreamEncoder
from tailrace.collect.options import Acknowledgements
from tailrace.collect.sink import Bytes, Delivery, Encoder, Sink, SinkBatch, SinkContext
from tailrace.errors import TailraceError

DESCRIPTORS = {"stdout": 1, "stderr": 2}


class ConsoleConfig(SinkConfig):
    """Writes events to standard output or standard error."""

    type: Literal["console"] = "console"

    target: Literal["stdout", "stderr"] = "stdout"
    """Where to."""

    encoding: Encoding
    """How an event becomes bytes."""

    framing: SinkFraming = NEWLINE_DELIMITED
    """What stands between events."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""


class ConsoleSink(Sink):
    """See the module."""

    batch_max_bytes = 1_000_000
    batch_max_events = None
    batch_timeout_secs = 0.1
    concurrency = 1

    def __init__(self, config: ConsoleConfig, context: SinkContext) -> None:
        self._config = config
        self._descriptor = DESCRIPTORS[config.target]
        self._one_at_a_time = asyncio.Lock()
        del context

    @property
    @override
    def is_well(self) -> bool:
        return True

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        return False

    @override
    async def encoder(self) -> Encoder:
        return StreamEncoder(self._config.encoding, self._config.framing)

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        async with self._one_at_a_time:
            try:
                await _in_daemon(self._descriptor, [piece.payload for piece in batch.pieces])
            except OSError as error:
                raise TailraceError(
                    f"cannot write to {self._config.target}: {error.strerror}. What was not "
                    "written is in the buffer, for the next start"
                ) from error
        return Delivery(batch.rows, batch.size_bytes, attempts=1)

    @override
    async def close(self) -> None:
        return


async def _in_daemon(descriptor: int, payloads: Sequence[Bytes]) -> None:
    """Write in a thread that does not keep the process alive: a pipe may be full for ever."""
    loop = asyncio.get_running_loop()
    written: asyncio.Future[None] = loop.create_future()

    def finish(error: OSError | None) -> None:
        if written.done():
            return
        if error:
            written.set_exception(error)
        else:
            written.set_result(None)

    def write() -> None:
        failure: OSError | None = None
        try:
            for payload in payloads:
                rest = memoryview(payload)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        except OSError as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, failure)

    threading.Thread(target=write, name="console", daemon=True).start()
    await written


CONSOLE: Component[Sink] = Component(ConsoleConfig, ConsoleSink)
