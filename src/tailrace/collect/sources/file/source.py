"""Source `file`: the lines of files, each exactly once, whatever happens to the files or to us.

- What was taken of a file is remembered in the same record as the lines themselves, so there is no
  moment at which a crash would repeat or skip any (see `tailrace.collect.positions`).
- A file is known by its device and inode and by its bytes, and is kept open until it was read to
  its end, so it may be renamed, deleted, emptied or replaced (see `place` and `tracked`).
- A last line without a delimiter waits for the rest of it. It is taken as it is when the file is
  not found any more and quiet for `rotate_wait_secs`, when it is to be removed, when nobody has
  changed it for a minute, or at the end of a gzip file.
- What cannot be helped: lines that are written between our last look and the moment in which the
  file is emptied (`copytruncate`) are in its copy only, and a copy is another file: `exclude` it. A
  file that is emptied and then moved away, both between two looks, is not known any more.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from typing_extensions import override

from tailrace.collect.component import Component
from tailrace.collect.source import Frames, Positions, Source, SourceContext
from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.tracked import Moment
from tailrace.collect.sources.file.tracker import Changes, Tracker

LEAST_WAIT_SECS = 0.02
MOST_WAIT_SECS = 0.25
"""Between two looks at quiet files."""


T = TypeVar("T")


class FileSource(Source):
    """See the module. Everything that touches a file happens in a thread."""

    def __init__(self, config: FileConfig, context: SourceContext) -> None:
        super().__init__()
        self._config = config
        self._context = context
        self._stopping = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"files-{context.component_id}")
        self._task: asyncio.Task[None] | None = None

    @override
    async def start(self) -> None:
        context = self._context
        tracker = Tracker(
            self._config,
            self._positions.found,
            context.most_events_at_once,
            context.most_bytes_at_once,
        )
        await self._remember(await self._in_thread(tracker.begin, self._now()))
        self._task = asyncio.create_task(self._read_for_ever(tracker))
        self.tasks.append(self._task)

    @override
    async def stop(self, grace_secs: float) -> None:
        self._stopping.set()
        if self._task is None:
            self._thread.shutdown(wait=False)
            return
        await asyncio.wait({self._task}, timeout=grace_secs)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _read_for_ever(self, tracker: Tracker) -> None:
        clock = self._context.clock
        cooldown_secs = self._config.glob_minimum_cooldown_ms / 1000
        next_look = clock.monotonic() + cooldown_secs
        wait_secs = LEAST_WAIT_SECS
        try:
            while not self._stopping.is_set():
                if clock.monotonic() >= next_look:
                    await self._remember(await self._in_thread(tracker.discover, self._now()))
                    await self._remember(await self._in_thread(tracker.tidy, self._now()))
                    next_look = clock.monotonic() + cooldown_secs
                frames = await self._in_thread(tracker.read, self._now())
                if frames:
                    await self._append(frames, tracker)
                    wait_secs = LEAST_WAIT_SECS
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait_secs)
                wait_secs = min(wait_secs * 1.5, MOST_WAIT_SECS)
        finally:
            # In its turn: a read that was not waited for may still be going on.
            self._thread.submit(tracker.close)
            self._thread.shutdown(wait=False)

    async def _append(self, frames: Sequence[Frames], tracker: Tracker) -> None:
        """Meanwhile, which may be long, new files are opened, lest they are gone before it ends."""
        cooldown_secs = self._config.glob_minimum_cooldown_ms / 1000
        appending = asyncio.ensure_future(self._context.intake.append(frames))
        try:
            while not (await asyncio.wait({appending}, timeout=cooldown_secs))[0]:
                await self._remember(await self._in_thread(tracker.discover, self._now()))
            await appending
        finally:
            appending.cancel()

    async def _in_thread(self, function: Callable[[Moment], T], now: Moment) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, now)

    async def _remember(self, changes: Changes) -> None:
        for path, problem in changes.problems:
            self._context.log.error(problem, file=path, source=self._context.component_id)
            self._context.metrics.error("file")
        if changes.put:
            await self._positions.put(changes.put)
        if changes.forget:
            await self._positions.forget(changes.forget)

    @property
    def _positions(self) -> Positions:
        if self._context.positions is None:
            raise RuntimeError("BUG: a source of files needs to know where it stood")
        return self._context.positions

    def _now(self) -> Moment:
        clock = self._context.clock
        return Moment(clock.monotonic(), clock.now_ms() / 1000)


FILE: Component[Source] = Component(FileConfig, FileSource)
