"""What a source has read and its journal has not taken yet: what sources share that answer nobody.

Everything that waits goes to the journal as a whole; what is added meanwhile waits for the next turn.
When more than `MOST_WAITING_BYTES` wait, the source reads no more until it is told to `resume`, so
that twice as much is in memory at most.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tailrace.collect.source import Frames, RejectedLine, SourceContext

MOST_WAITING_BYTES = 16 * 1024**2
LEAST_GRACE_SECS = 0.5


class Outbox:
    """One source's; `resume` is called when there is room again."""

    def __init__(self, context: SourceContext, resume: Callable[[], None]) -> None:
        self._context = context
        self._resume = resume
        self._frames: list[Frames] = []
        self._rejected: list[RejectedLine] = []
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._something_waits = asyncio.Event()
        self.all_taken = asyncio.Event()
        """Set while nothing waits."""
        self.all_taken.set()

    def start(self) -> asyncio.Task[None]:
        """Begin to hand over; the task ends by an error only."""
        self._task = asyncio.get_running_loop().create_task(self._hand_over_for_ever())
        return self._task

    def add(self, frames: Frames) -> None:
        """Complete frames."""
        self._frames.append(frames)
        self._waiting_bytes += len(frames.payload)
        self._wake()

    def reject(self, line: RejectedLine) -> None:
        """Something that is no frame."""
        self._rejected.append(line)
        self._wake()

    def is_congested(self) -> bool:
        """Whether nothing more must be read now."""
        return self._waiting_bytes > MOST_WAITING_BYTES

    async def stop(self, grace_secs: float) -> None:
        """Hand over the rest as far as the grace time goes, and say so where it is not enough."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(grace_secs, LEAST_GRACE_SECS)):
                await self.all_taken.wait()
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if not self.all_taken.is_set():
            # The buffer is full, or the disk: what came last has no place.
            self._context.log.error(
                "cannot keep what came last: the buffer is full",
                source=self._context.component_id,
            )

    def _wake(self) -> None:
        self.all_taken.clear()
        self._something_waits.set()

    async def _hand_over_for_ever(self) -> None:
        while True:
            await self._something_waits.wait()
            self._something_waits.clear()
            frames, self._frames = self._frames, []
            rejected, self._rejected = self._rejected, []
            self._waiting_bytes = 0
            self._resume()
            if frames:
                await self._context.intake.append(frames)
            if rejected:
                await self._context.intake.reject(rejected)
            if not self._frames and not self._rejected:
                self.all_taken.set()
