"""A source's door to its journal: see `tailrace.collect.source`, whose `Intake` and `Batches` it is.

What is too large for one batch is cut between lines; the append returns when all parts are on disk.
Where sinks want it (`buffer.when_full: drop_newest`), what a full buffer has no place for is dropped
instead of waited for. It is counted, in the ledger too, before the append returns, and a source that
says where it stands stands behind it.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from tailrace.clock import Clock
from tailrace.collect.buffer.journal import Chunk, Journal
from tailrace.collect.ledger import Count, Ledger
from tailrace.collect.metrics import ComponentMetrics
from tailrace.collect.pipeline import read_position, write_origin
from tailrace.collect.rejected import RejectedStore
from tailrace.collect.sink import RejectedRow
from tailrace.collect.source import Frames, RejectedLine

BUFFER_FULL = "buffer_full"
"""Why events are discarded."""


class JournalIntake:
    """See the module."""

    def __init__(
        self,
        source_id: str,
        journal: Journal,
        rejected: RejectedStore,
        ledger: Ledger,
        metrics: ComponentMetrics,
        clock: Clock,
    ) -> None:
        self._source_id = source_id
        self._journal = journal
        self._rejected = rejected
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock
        self._metadata = lru_cache(10_000)(write_origin)
        self._discarded: list[Chunk] = []
        """Not in the ledger yet."""
        self._one_writes = asyncio.Lock()

    async def append(self, frames: Sequence[Frames]) -> None:
        """Keep `frames`; returns once all of them are on disk."""
        chunks = [
            Chunk(payload, count, self._describe(part), part.one_frame)
            for part in frames
            for payload, count in self._cut(part)
        ]
        if self._journal.limits.drops_newest:
            await self._discard(await self._journal.offer(chunks))
        else:
            await self._journal.append(chunks)
        self._metrics.received(
            sum(chunk.events for chunk in chunks), sum(len(chunk.payload) for chunk in chunks)
        )

    @property
    def timeout_secs(self) -> float:
        """Age at which a batch is to be delivered, full or not."""
        return self._journal.limits.segment_timeout_secs

    async def deliver(
        self,
        name: str,
        frames: Sequence[Frames],
        arrival_ms: int | None = None,
        *,
        again: bool = False,
    ) -> None:
        """Bring a batch to every sink; returns once they have it."""
        chunks = [
            Chunk(part.payload, part.count, self._describe(part), part.one_frame) for part in frames
        ]
        self._metrics.received(
            sum(chunk.events for chunk in chunks), sum(len(chunk.payload) for chunk in chunks)
        )
        await self._journal.deliver(name, chunks, arrival_ms, again=again)

    async def forget(self, prefix: str, names: Collection[str]) -> None:
        """Batches that begin with `prefix` and are not in `names` will not be brought again."""
        await self._journal.forget(prefix, names)

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        """Keep what cannot become an event, with its reason; returns once it is on disk."""
        now_ms = self._clock.now_ms()
        await self._rejected.keep(
            [
                RejectedRow(self._source_id, line.peer, now_ms, line.reason, line.raw)
                for line in lines
            ]
        )
        self._metrics.error("decode_failed", len(lines))
        self._metrics.discarded(len(lines), "rejected", intentional=False)
        await self._ledger.add(
            [Count(self._source_id, "rejected_at_door", len(lines))], {now_ms: len(lines)}
        )

    def is_full(self) -> bool:
        """Whether an append would have to wait for room."""
        if self._journal.limits.drops_newest:
            return self._journal.is_stuck()
        return self._journal.is_full()

    async def _discard(self, chunks: Sequence[Chunk]) -> None:
        """Drop `chunks`; those that come while the ledger is being written are counted together."""
        if not chunks:
            return
        self._metrics.discarded(
            sum(chunk.events for chunk in chunks), BUFFER_FULL, intentional=False
        )
        self._discarded += chunks
        async with self._one_writes:
            dropped, self._discarded = self._discarded, []
            if dropped:
                events = sum(chunk.events for chunk in dropped)
                found = [read_position(chunk.metadata) for chunk in dropped]
                positions = [position for position in found if position]
                await self._ledger.discard(self._source_id, events, BUFFER_FULL, positions)

    def _describe(self, part: Frames) -> bytes:
        if part.position or part.reject_reason:
            return write_origin(part.origin, part.one_frame, part.position, part.reject_reason)
        return self._metadata(
            part.origin, part.one_frame, enveloped=part.enveloped, ready=part.ready
        )

    def _cut(self, part: Frames) -> Iterator[tuple[bytes, int]]:
        payload, most = part.payload, self._journal.limits.segment_max_bytes
        most_events = self._journal.limits.segment_max_events
        if part.one_frame or part.position:
            yield payload, part.count
            return
        if most_events and part.count > most_events:
            lines = payload.split(b"\n")[:-1]
            for first in range(0, len(lines), most_events):
                some = lines[first : first + most_events]
                yield b"\n".join([*some, b""]), len(some)
            return
        if len(payload) <= most:
            yield payload, part.count
            return
        start = 0
        while start < len(payload):
            end = payload.rfind(b"\n", start, start + most) + 1
            if end == 0:
                end = payload.index(b"\n", start) + 1
            yield payload[start:end], payload.count(b"\n", start, end)
            start = end
