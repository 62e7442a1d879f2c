"""Generated events on their way to where they go, at the pace that was asked for."""

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tailrace.clock import Clock
from tailrace.packs.generator import Generator
from tailrace.packs.sender import GaveUpError, Sender

UNPACED_EVENT_SECS = 3e-6
"""Time between events that are sent as fast as possible now: about what making one takes."""
TICK_SECS = 0.02
"""At high rates, events leave this often."""
FALLEN_BEHIND_SECS = 1.0


@dataclass(frozen=True)
class Batches:
    """So many events at once, every so many seconds."""

    events: int
    secs: float


@dataclass
class Job:
    """A generator on its way to a sender. `events_per_sec` is None for as fast as possible."""

    generator: Generator
    sender: Sender
    clock: Clock
    stop: threading.Event
    events_per_sec: float | None = None
    count: int | None = None
    start_ns: int | None = None
    past_ns: int | None = None
    """When the past begins whose events leave at once."""
    batches: Batches | None = None
    """Whether events leave some at once, and in which steps."""
    given: int = 0

    def run(self) -> Iterator[None]:
        """Send until the count is reached or a stop; yields after each step, for the display.

        Raises GaveUpError, having counted what was left of the count as not sent.
        """
        try:
            yield from self._in_batches(self.batches) if self.batches else self._chunks()
        except GaveUpError:
            if self.count is not None and not self.stop.is_set():
                self.sender.tally.not_sent += self.count - self.given
            raise

    def _chunks(self) -> Iterator[None]:
        event_ns = self.past_ns or self.start_ns or 0
        due = self.clock.monotonic()
        for chunk in self.generator.chunks():
            left = None if self.count is None else self.count - self.given
            if left == 0 or self.stop.is_set():
                return
            secs = chunk.secs
            if self._is_past(event_ns + int(secs * 1e9)):
                self._give(chunk.render(event_ns, secs)[:left])
                event_ns += int(secs * 1e9)
                due = self.clock.monotonic()
                yield
                continue
            if self.start_ns is None:
                if self.events_per_sec is None:
                    secs = UNPACED_EVENT_SECS * len(chunk.offsets)
                event_ns = max(event_ns, self.clock.now_ms() * 1_000_000)
            lines = chunk.render(event_ns, secs)[:left]
            event_ns += int(secs * 1e9)
            if self.events_per_sec is None:
                self._give(lines)
                yield
            else:
                yield from self._paced(lines, chunk.offsets, secs, due)
                due = self._next_due(due + secs)

    def _in_batches(self, batches: Batches) -> Iterator[None]:
        """At each step, the events of the time since the last one."""
        due = self.clock.monotonic()
        event_ns = self.start_ns or self.clock.now_ms() * 1_000_000 - int(batches.secs * 1e9)
        waiting: list[str] = []
        for chunk in self.generator.chunks():
            secs = len(chunk.offsets) / batches.events * batches.secs
            waiting += chunk.render(event_ns, secs)
            event_ns += int(secs * 1e9)
            while len(waiting) >= batches.events or self._is_last(len(waiting)):
                if self.stop.wait(max(due - self.clock.monotonic(), 0)):
                    return
                left = batches.events if self.count is None else self.count - self.given
                size = min(batches.events, left)
                self._give(waiting[:size])
                del waiting[:size]
                due = self._next_due(due + batches.secs)
                yield
                if self.given == self.count:
                    return

    def _is_last(self, waiting: int) -> bool:
        """Whether those that wait are all that are wanted."""
        return self.count is not None and self.given + waiting >= self.count

    def _is_past(self, end_ns: int) -> bool:
        """Whether a chunk that ends then belongs to the past that leaves at once."""
        if self.past_ns is None:
            return False
        if end_ns <= self.clock.now_ms() * 1_000_000:
            return True
        self.past_ns = None  # from here on events happen
        return False

    def _paced(
        self, lines: list[str], offsets: Sequence[float], secs: float, due: float
    ) -> Iterator[None]:
        """Give each line when it is due, those of one tick together."""
        given = 0
        while given < len(lines):
            now = self.clock.monotonic()
            upto = min(bisect_right(offsets, (now - due) / secs), len(lines))
            if upto > given:
                self._give(lines[given:upto])
                given = upto
                yield
                continue
            if self.stop.wait(max(due + offsets[given] * secs - now, TICK_SECS)):
                return

    def _next_due(self, due: float) -> float:
        """When the next chunk begins: what a slow target made us miss is not made up for."""
        now = self.clock.monotonic()
        return now if now - due > FALLEN_BEHIND_SECS else due

    def _give(self, lines: list[str]) -> None:
        self.given += len(lines)
        self.sender.send(lines)
