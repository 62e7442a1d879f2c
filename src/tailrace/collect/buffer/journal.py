"""The durable queue between a source and the delivery of its events.

- `append` comes back when its bytes are fsynced. Appends that wait at the same time share one fsync
  (group commit); none waits for company longer than `fsync_max_wait_ms`.
- Appended bytes come out of `next_segment` once a segment is full, or old enough and wanted, in the
  order of their appends, in the same process or after any crash in a later one. They come out again
  at every start until `remove` was called. While all who deliver are busy, an old segment goes on
  growing: the slower a destination, the larger its batches, so that it can catch up.
- It holds at most `max_bytes` on disk, and one append more. When it is full, `append` waits, and
  `offer` gives back what has no place. While the disk itself is full or fails both wait, and go on by
  themselves when there is room.
- In memory it holds only what waits for its fsync. All file work happens in one thread of its own.

Beside what is appended there are batches of a name (`deliver`), for sources that can read again what
they have read. Such a batch is a segment of its own, and its name is its token. A crash forgets what
is in it, for the source brings it again under its name; of those that a crash has cut short the
names stay, as empty files, until `forget` says that nobody brings them any more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tailrace.clock import Clock
from tailrace.collect.buffer.disk import Disk, is_disk_full
from tailrace.collect.buffer.recovery import Recovered, recover
from tailrace.collect.buffer.segment import NAMED_SUFFIX, Entry, Segment, SegmentWriter
from tailrace.telemetry import Logger

ENOUGH_FOR_A_COMMIT_BYTES = 1024**2
"""With so much waiting, an fsync is worth it and more company would not make it cheaper."""

DISK_RETRY_SECS = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class JournalLimits:
    """When a segment is finished, and how much there may be."""

    segment_max_bytes: int = 10_000_000
    segment_max_events: int | None = None
    segment_timeout_secs: float = 1.0
    fsync_max_wait_ms: float = 5.0
    max_bytes: int = 4 * 1024**3
    max_waiting_events: int | None = None
    """Events in finished segments that nobody has taken, at which it is full as well."""
    drops_newest: bool = False
    """Whether new events are dropped when it is full: whoever appends asks that, by `offer`."""


@dataclass(frozen=True)
class Chunk:
    """Complete frames and where they came from, as JSON."""

    payload: bytes
    events: int
    metadata: bytes
    is_apart: bool = False
    """Whether it must have a record of its own."""


class Journal:
    """See the module. `open` it, `close` it; use it from one event loop."""

    def __init__(self, folder: Path, limits: JournalLimits, clock: Clock, log: Logger) -> None:
        self.folder = folder
        self.limits = limits
        self._clock = clock
        self._log = log
        self._disk = Disk()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"journal-{folder.name}")
        self._waiting: list[tuple[Chunk, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._stored_bytes = 0
        self._stored_events = 0
        self._writer: SegmentWriter | None = None
        self._writer_deadline = 0.0
        self._next_sequence = 1
        self._finished: deque[Segment] = deque()
        self._given_out: dict[Path, Segment] = {}
        self._takers = 0
        self._batches: dict[Path, asyncio.Future[None]] = {}
        """Those of a name that are not removed yet."""
        self._something_waits = asyncio.Event()
        self._enough_waits = asyncio.Event()
        self._room = asyncio.Event()
        self._removed = asyncio.Event()
        self._segment_ready = asyncio.Event()
        self._flushed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._disk_is_full = False
        self.damaged_records = 0
        """Parts of what an earlier run left that could not be read."""

    @classmethod
    async def open(
        cls,
        folder: Path,
        limits: JournalLimits,
        clock: Clock,
        log: Logger,
        disk: Disk | None = None,
    ) -> "Journal":
        """Repair what is there and begin; what was not delivered comes out first."""
        journal = cls(folder, limits, clock, log)
        journal._disk = disk or journal._disk
        await journal._start()
        return journal

    @property
    def task(self) -> asyncio.Task[None]:
        """The work in the background; it ends with `close`, or with an error that nobody expects."""
        if self._task is None:
            raise RuntimeError("BUG: the journal is not open")
        return self._task

    @property
    def size_bytes(self) -> int:
        """Bytes on disk or on their way there."""
        return self._stored_bytes + self._waiting_bytes

    @property
    def events(self) -> int:
        """Events on disk."""
        return self._stored_events

    @property
    def waiting_segments(self) -> tuple[Segment, ...]:
        """Finished segments that were not given out yet."""
        return tuple(self._finished)

    def is_full(self) -> bool:
        """Whether an append would have to wait for room."""
        return self.is_stuck() or self._has_its_most()

    def is_stuck(self) -> bool:
        """Whether the disk takes nothing more for now."""
        return self._disk_is_full

    async def append(self, chunks: Sequence[Chunk]) -> None:
        """Keep `chunks`; comes back once all are on disk."""
        futures = []
        for chunk in chunks:
            await self._wait_while(self.is_full)
            futures.append(self._enqueue(chunk))
        for future in futures:
            await future

    async def offer(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Keep those of `chunks` that there is room for; comes back, with the others, once those
        are on disk."""
        await self._wait_while(self.is_stuck)
        futures, left = [], []
        for chunk in chunks:
            if self._has_its_most():
                left.append(chunk)
            else:
                futures.append(self._enqueue(chunk))
        for future in futures:
            await future
        return left

    async def deliver(
        self,
        name: str,
        chunks: Sequence[Chunk],
        received_at_ms: int | None = None,
        *,
        again: bool = False,
    ) -> None:
        """Make a segment of `chunks` alone, whose token is `name`; comes back once it is removed."""
        sequence, self._next_sequence = self._next_sequence, self._next_sequence + 1
        arrived_at_ms = self._clock.now_ms() if received_at_ms is None else received_at_ms
        entries = _as_entries(list(chunks), arrived_at_ms)
        path = self.folder / f"{name}{NAMED_SUFFIX}"
        # From now on, so that nobody takes what is just being written for something left behind.
        removed = self._batches[path] = asyncio.get_running_loop().create_future()
        try:
            segment = await self._write_batch(path, sequence, entries)
        except BaseException:
            del self._batches[path]
            raise
        segment = replace(segment, again=again)
        self._stored_bytes += segment.size_bytes
        self._stored_events += segment.events
        self._finished.append(segment)
        self._segment_ready.set()
        await removed

    async def forget(self, prefix: str, names: Collection[str]) -> None:
        """Remove what a crash has left of batches that begin with `prefix`, but for `names`."""

        def remove() -> None:
            for path in self.folder.glob(f"{prefix}*{NAMED_SUFFIX}"):
                if path not in self._batches and path.name.removesuffix(NAMED_SUFFIX) not in names:
                    self._disk.remove(path)

        await self._in_thread(remove)

    async def next_segment(self) -> Segment:
        """The oldest finished segment that was not given out yet."""
        self._takers += 1
        try:
            while not self._finished:
                self._something_waits.set()  # an old segment may be finished now
                self._segment_ready.clear()
                await self._segment_ready.wait()
        finally:
            self._takers -= 1
        segment = self._finished.popleft()
        self._given_out[segment.path] = segment
        self._room.set()
        return segment

    async def rewind(self) -> None:
        """Give out again, first, what was given out and is not removed; nobody may work on it."""
        given, self._given_out = list(self._given_out.values()), {}
        # In the journal's thread, behind a removal that nobody waited for any more.
        there = await self._in_thread(lambda: [path.path.exists() for path in given])
        for segment, is_there in sorted(
            zip(given, there, strict=True), key=_sequence, reverse=True
        ):
            if is_there:
                self._finished.appendleft(segment)
            else:
                self._forget(segment)
        self._segment_ready.set()

    async def remove(self, segment: Segment) -> None:
        """Forget a segment whose events are delivered."""
        await self._in_thread(self._disk.remove, segment.path)
        self._given_out.pop(segment.path, None)
        self._forget(segment)

    def _forget(self, segment: Segment) -> None:
        removed = self._batches.pop(segment.path, None)
        if removed and not removed.done():
            removed.set_result(None)
        self._stored_bytes -= segment.size_bytes
        self._stored_events -= segment.events
        self._room.set()
        self._removed.set()

    async def until_empty(self) -> None:
        """Until everything that was appended is removed."""
        while self._stored_bytes or self._waiting:
            self._removed.clear()
            await self._removed.wait()

    async def flush(self) -> None:
        """Commit and finish whatever was appended so far, without waiting for more."""
        if self._flushed is None:
            self._flushed = asyncio.get_running_loop().create_future()
        self._something_waits.set()
        self._enough_waits.set()
        await asyncio.shield(self._flushed)

    async def close(self) -> None:
        """Commit what waits, finish the open segment and stop."""
        self._closing = True
        self._something_waits.set()
        self._enough_waits.set()
        if self._task:
            await self._task
        await self._finish_segment()
        self._thread.shutdown()

    def _has_its_most(self) -> bool:
        if self.size_bytes >= self.limits.max_bytes:
            return True
        most = self.limits.max_waiting_events
        # What somebody waits for will not wait itself.
        if most is None or self._takers:
            return False
        making = self._writer.events if self._writer else 0
        given_out = sum(segment.events for segment in self._given_out.values())
        return self._stored_events - making - given_out >= most

    async def _wait_while(self, has_no_room: Callable[[], bool]) -> None:
        while has_no_room():
            self._room.clear()
            await self._room.wait()

    def _enqueue(self, chunk: Chunk) -> asyncio.Future[None]:
        """Done once `chunk` is on disk."""
        if self._closing:
            raise RuntimeError("BUG: append to a journal that is being closed")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((chunk, future))
        self._waiting_bytes += len(chunk.payload)
        self._something_waits.set()
        if self._waiting_bytes >= ENOUGH_FOR_A_COMMIT_BYTES:
            self._enough_waits.set()
        return future

    async def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self._in_thread(self._empty_batches)
        recovered = await self._in_thread(recover, self.folder, self._disk)
        self._report(recovered)
        self._next_sequence = recovered.next_sequence
        for segment in recovered.segments:
            self._stored_bytes += segment.size_bytes
            self._stored_events += segment.events
            self._finished.append(segment)
        self._segment_ready.set()
        self._task = asyncio.create_task(self._commit_for_ever(), name=f"journal {self.folder}")

    def _empty_batches(self) -> None:
        for path in self.folder.glob(f"*{NAMED_SUFFIX}"):
            self._disk.cut(path, 0)

    async def _write_batch(self, path: Path, sequence: int, entries: list[Entry]) -> Segment:
        """A finished segment, however long the disk is full."""

        def write() -> Segment | None:
            self._disk.remove(path)
            writer = SegmentWriter.create(
                self._disk, self.folder, sequence, self._clock.now_ms(), path.stem
            )
            try:
                writer.commit(entries)
            except BaseException:
                writer.finish(failed=True)
                raise
            return writer.finish()

        while True:
            try:
                segment = await self._in_thread(write)
            except OSError as error:
                self._say_disk_fails(error)
                await asyncio.sleep(DISK_RETRY_SECS)
                continue
            self._say_disk_works()
            if segment is None:
                raise RuntimeError(f"BUG: the batch {path.stem} is empty")
            return segment

    def _report(self, recovered: Recovered) -> None:
        self.damaged_records = len(recovered.damaged_files)
        for path in recovered.damaged_files:
            self._log.error("cannot read a part of the buffer: it is kept aside", file=str(path))
        if recovered.segments:
            self._log.info(
                "delivering what an earlier run left in the buffer",
                segments=len(recovered.segments),
                events=sum(segment.events for segment in recovered.segments),
            )

    async def _commit_for_ever(self) -> None:
        while not self._closing or self._waiting:
            await self._wait_for_work()
            if self._waiting and not self._fits(self._waiting[0][0]):
                await self._finish_segment()
            if self._waiting:
                await self._commit_some()
            flush = self._flushed is not None and not self._waiting
            if self._writer and (flush or self._is_segment_full() or self._is_segment_due()):
                await self._finish_segment()
            if self._flushed and flush:
                self._flushed.set_result(None)
                self._flushed = None

    async def _wait_for_work(self) -> None:
        """Until something waits (and had company, or waited long enough) or a segment is old."""
        timeout = None
        if self._writer and self._is_segment_wanted():
            timeout = max(0.0, self._writer_deadline - self._clock.monotonic())
        if not self._waiting and not self._closing and not self._flushed:
            self._something_waits.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._something_waits.wait(), timeout)
        if self._waiting and self._waiting_bytes < ENOUGH_FOR_A_COMMIT_BYTES:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._enough_waits.wait(), self.limits.fsync_max_wait_ms / 1000
                )
        self._enough_waits.clear()

    async def _commit_some(self) -> None:
        """Bring what fits into the open segment to the disk, however long the disk is full."""
        group = self._take_group()
        entries = _as_entries([chunk for chunk, _ in group], self._clock.now_ms())
        while True:
            try:
                written = await self._in_thread(self._commit, entries)
                # Not in one statement: what is removed while that waits would be counted again.
                self._stored_bytes += written
                break
            except OSError as error:
                await self._recover_from(error)
                if self._closing:
                    self._give_up(group, error)
                    return
        self._stored_events += sum(entry.events for entry in entries)
        self._say_disk_works()
        for chunk, future in group:
            self._waiting_bytes -= len(chunk.payload)
            if not future.done():
                future.set_result(None)

    def _give_up(self, group: list[tuple[Chunk, asyncio.Future[None]]], error: OSError) -> None:
        for chunk, future in group:
            self._waiting_bytes -= len(chunk.payload)
            if not future.done():
                future.set_exception(error)

    def _take_group(self) -> list[tuple[Chunk, asyncio.Future[None]]]:
        """As much of what waits as fits into the open segment; a first one always does."""
        size_bytes = self._writer.synced_bytes if self._writer else 0
        events = self._writer.events if self._writer else 0
        count = 0
        for chunk, _ in self._waiting:
            size_bytes += len(chunk.payload)
            events += chunk.events
            if count and not self._is_within_limits(size_bytes, events):
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _fits(self, chunk: Chunk) -> bool:
        """Whether `chunk` may join the open segment."""
        if self._writer is None:
            return True
        return self._is_within_limits(
            self._writer.synced_bytes + len(chunk.payload), self._writer.events + chunk.events
        )

    def _is_within_limits(self, size_bytes: int, events: int) -> bool:
        most = self.limits.segment_max_events
        return size_bytes <= self.limits.segment_max_bytes and (most is None or events <= most)

    def _commit(self, entries: list[Entry]) -> int:
        writer = self._writer
        if writer is None:
            writer = SegmentWriter.create(
                self._disk, self.folder, self._next_sequence, self._clock.now_ms()
            )
            self._next_sequence += 1
            self._writer_deadline = self._clock.monotonic() + self.limits.segment_timeout_secs
            self._writer = writer
        before = writer.synced_bytes
        writer.commit(entries)
        return writer.synced_bytes - before

    async def _recover_from(self, error: OSError) -> None:
        """After a failed write or fsync: end this segment where it is sure, try a new one."""
        self._say_disk_fails(error)
        await self._finish_segment(failed=True)
        if not self._closing:
            await asyncio.sleep(DISK_RETRY_SECS)

    def _say_disk_works(self) -> None:
        if self._disk_is_full:
            self._disk_is_full = False
            self._log.info("there is room on the disk again", folder=str(self.folder))
            self._room.set()

    def _say_disk_fails(self, error: OSError) -> None:
        if not self._disk_is_full:
            self._disk_is_full = True
            self._log.error(
                "cannot write the buffer: the disk is full; taking nothing until there is room"
                if is_disk_full(error)
                else "cannot write the buffer; trying again",
                folder=str(self.folder),
                error=str(error),
            )

    def _is_segment_full(self) -> bool:
        writer, limits = self._writer, self.limits
        if writer is None:
            return False
        too_many = limits.segment_max_events and writer.events >= limits.segment_max_events
        return writer.synced_bytes >= limits.segment_max_bytes or bool(too_many)

    def _is_segment_due(self) -> bool:
        return self._is_segment_wanted() and self._clock.monotonic() >= self._writer_deadline

    def _is_segment_wanted(self) -> bool:
        """Whether somebody waits for it; a limit of waiting events counts finished ones alone."""
        is_awaited = bool(self._takers) and not self._finished
        return is_awaited or self.limits.max_waiting_events is not None

    async def _finish_segment(self, *, failed: bool = False) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        segment = await self._in_thread(lambda: writer.finish(failed=failed))
        if segment:
            self._finished.append(segment)
            self._segment_ready.set()

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _sequence(found: tuple[Segment, bool]) -> int:
    return found[0].sequence


def _as_entries(chunks: list[Chunk], now_ms: int) -> list[Entry]:
    """Neighbours from the same place share a record."""
    entries: list[Entry] = []
    for chunk in chunks:
        if entries and entries[-1].metadata == chunk.metadata and not chunk.is_apart:
            entries[-1].payloads.append(chunk.payload)
            entries[-1].events += chunk.events
        else:
            entries.append(Entry([chunk.payload], chunk.metadata, chunk.events, now_ms))
    return entries
