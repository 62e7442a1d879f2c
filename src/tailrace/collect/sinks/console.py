"""Sink `console`: writes events to standard output or standard error.

What is guaranteed: a batch counts as delivered when the system has taken all of its bytes; what
reads the other end of a pipe is not asked. At least once: a batch that was cut short by the end of
the process is written again by the next. Where the reader has gone, the collector ends with an
error, and what was not written stays in the buffer.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Literal

from typing_extensions import override

from tailrace.collect.component import Component, SinkConfig
from tailrace.collect.daemon import in_daemon
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
                # A pipe may be full for ever.
                await in_daemon(
                    "console", lambda: _write(self._descriptor, [p.payload for p in batch.pieces])
                )
            except OSError as error:
                raise TailraceError(
                    f"cannot write to {self._config.target}: {error.strerror}. What was not "
                    "written is in the buffer, for the next start"
                ) from error
        return Delivery(batch.rows, batch.size_bytes, attempts=1)

    @override
    async def close(self) -> None:
        return


def _write(descriptor: int, payloads: Sequence[Bytes]) -> None:
    for payload in payloads:
        rest = memoryview(payload)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


CONSOLE: Component[Sink] = Component(ConsoleConfig, ConsoleSink)
