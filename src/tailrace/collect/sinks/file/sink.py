"""Sink `file`: appends events to files.

What is guaranteed: a batch counts as delivered when its bytes are fsynced in their files, and each
event is in them once, also after a crash (how: `appender`). An event whose path cannot be filled
in, or would lead out of its folder, is rejected with the reason. A disk that is full, or a folder
that cannot be written, is tried again, for ever: events wait in the buffer. Several files of one
batch are not written at one moment: a reader may see one of them before the other.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import quote

from typing_extensions import override

from tailrace.collect.retry import Trouble
from tailrace.collect.sink import (
    Bytes,
    Delivery,
    Encoder,
    RejectedRow,
    Sink,
    SinkBatch,
    SinkContext,
)
from tailrace.collect.sinks.file.appender import Appender
from tailrace.collect.sinks.file.config import FileConfig
from tailrace.collect.sinks.file.encode import GroupEncoder, groups_in

T = TypeVar("T")


class FileSink(Sink):
    """See the module."""

    batch_max_bytes = 10_000_000
    batch_max_events = None
    batch_timeout_secs = 0.5
    concurrency = 1

    def __init__(self, config: FileConfig, context: SinkContext) -> None:
        self._config = config
        self._context = context
        state = context.own_folder / f"{quote(context.component_id, safe='')}.json"
        self._appender = Appender(state, config.compression, config.idle_timeout_secs)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="file-sink")
        self._one_at_a_time = asyncio.Lock()
        self._is_recovered = False
        self._trouble = Trouble(context)

    @property
    @override
    def is_well(self) -> bool:
        return self._trouble.is_over

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        return False

    @override
    async def encoder(self) -> Encoder:
        return GroupEncoder(self._config)

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        delivery = Delivery()
        payloads: dict[str, list[Bytes]] = {}
        for piece in batch.pieces:
            for group in groups_in(piece.payload):
                if group.reason:
                    row = RejectedRow(
                        self._context.component_id,
                        piece.peer,
                        piece.received_at_ms,
                        group.reason,
                        bytes(group.payload),
                    )
                    delivery.rejected.append(row)
                else:
                    payloads.setdefault(group.path, []).append(group.payload)
                    delivery.sent_rows += group.events
        if payloads:
            async with self._one_at_a_time:
                await self._append(batch, payloads, delivery)
        return delivery

    @override
    async def close(self) -> None:
        await self._in_thread(self._appender.close)
        self._thread.shutdown()

    async def _append(
        self, batch: SinkBatch, payloads: dict[str, list[Bytes]], delivery: Delivery
    ) -> None:
        waits = self._trouble.waits()
        while True:
            delivery.attempts += 1
            try:
                delivery.sent_bytes = await self._in_thread(lambda: self._write(batch, payloads))
            except OSError as error:
                self._trouble.report(f"cannot write {error.filename or 'a file'}: {error.strerror}")
                await asyncio.sleep(next(waits))
            else:
                self._trouble.end()
                return

    def _write(self, batch: SinkBatch, payloads: dict[str, list[Bytes]]) -> int:
        if not self._is_recovered:
            for path in self._appender.recover():
                self._context.log.warning(
                    "a batch was cut short and its file is another now: it may hold a part twice",
                    file=path,
                )
            self._is_recovered = True
        already = self._appender.has(batch.source_id, batch.token)
        if already is not None:
            return already
        return self._appender.append(
            batch.source_id, batch.token, payloads, self._context.clock.monotonic()
        )

    async def _in_thread(self, function: Callable[[], T]) -> T:
        # A write that has begun is finished, also when nobody waits for it any more.
        return await asyncio.shield(
            asyncio.get_running_loop().run_in_executor(self._thread, function)
        )
