"""One partition that this collector has: what was read of it, and how far it is delivered.

What is guaranteed:
- Messages come out of `cut` in their order, each in exactly one batch.
- The intents that an earlier owner has left become batches first, of exactly the messages that they
  name; then come new batches, each of which has an intent in `state` from its `cut` on.
- The offset in `state` is that of the first message that may not be delivered.
No thread but the reader's uses it.
"""

import hashlib
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tailrace.collect.source import Frames
from tailrace.collect.sources.kafka.intents import MOST_INTENTS, Intent, write
from tailrace.collect.sources.kafka.messages import Message, Render

MOST_OF_TOPIC = 150
"""A batch's name is a file's, too; a topic's name may be as long as a file's alone may be."""


@dataclass(frozen=True)
class Limits:
    """When a batch is full."""

    max_bytes: int
    max_events: int | None = None

    def allow(self, size_bytes: int, events: int) -> bool:
        """Whether a batch may be so large."""
        return size_bytes <= self.max_bytes and (
            self.max_events is None or events <= self.max_events
        )

    def are_reached(self, size_bytes: int, events: int) -> bool:
        """Whether a batch may not become any larger."""
        return size_bytes >= self.max_bytes or (
            self.max_events is not None and events >= self.max_events
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Messages that are delivered together."""

    partition: "Partition"
    intent: Intent
    frames: Sequence[Frames]
    size_bytes: int
    is_new: bool
    """Whether its intent is not written yet."""

    @property
    def name(self) -> str:
        """The same for the same messages, whoever delivers them; a topic has no `@` in its name."""
        intent = self.intent
        return f"{self.partition.prefix}{intent.first}-{intent.end}@{intent.mark}"


@dataclass
class _Gathered:
    """Messages that will be a batch, or part of one that is made again."""

    first: int
    end: int
    since: float
    frames: list[Frames] = field(default_factory=list)
    events: int = 0
    size_bytes: int = 0

    def add(self, frames: Iterable[Frames], end: int) -> None:
        for part in frames:
            self.frames.append(part)
            self.events += part.count
            self.size_bytes += len(part.payload)
        self.end = end


class Partition:
    """See the module."""

    def __init__(
        self,
        topic: str,
        number: int,
        render: Render,
        limits: Limits,
        left: Sequence[Intent] = (),
    ) -> None:
        self.topic = topic
        self.number = number
        self._render = render
        self._limits = limits
        self._left = deque(left)
        self._intents = list(left)
        """All that are not delivered, and delivered ones behind those, in their order."""
        self._delivered: set[Intent] = set()
        self._full: deque[_Gathered] = deque()
        self._open: _Gathered | None = None
        self._again: list[Batch] = []
        self._position: int | None = None
        self.under_way: set[Intent] = set()
        """Intents of the batches that were cut and are not delivered."""
        self.changed_at: float | None = None
        """Since when there is something delivered whose offset is not committed."""

    @property
    def prefix(self) -> str:
        """What the names of its batches begin with."""
        topic = self.topic
        if len(topic) > MOST_OF_TOPIC:
            topic = f"{topic[:MOST_OF_TOPIC]}~{hashlib.sha256(topic.encode()).hexdigest()[:16]}"
        return f"{topic}@{self.number}@"

    @property
    def makes_again(self) -> bool:
        """Whether batches that were left are not all made again yet."""
        return bool(self._left)

    @property
    def left_names(self) -> set[str]:
        """Names of the batches that will be made again."""
        return {Batch(self, intent, (), 0, is_new=False).name for intent in self._left}

    @property
    def waiting_bytes(self) -> int:
        """Size of what was read and not cut."""
        waiting = [*self._full, *([self._open] if self._open else [])]
        return sum(one.size_bytes for one in waiting) + sum(one.size_bytes for one in self._again)

    @property
    def state(self) -> tuple[int, str] | None:
        """Offset and text to commit; None where nothing is known yet."""
        offset = self._intents[0].first if self._intents else self._position
        return None if offset is None else (offset, write(self._intents))

    def take(self, messages: Sequence[Message], now: float) -> None:
        """Take what was read next."""
        while messages and self._left:
            messages = self._take_again(messages, now)
        if self._open and messages and offset_of(messages[0]) < self._open.end:
            # The topic was made anew while we had it: a batch is of one topic.
            self._full.append(self._open)
            self._open = None
        while messages:
            room = self._room(messages)
            self._gather(messages[:room], now)
            messages = messages[room:]

    def reached_end(self, offset: int, now: float) -> None:
        """There is nothing before `offset` that was not read."""
        while self._left and self._left[0].end <= offset:
            self._finish_again(now)

    def is_due(self, now: float, timeout_secs: float) -> bool:
        """Whether `cut` would give a batch for its age.

        While another is on its way it goes on growing: the slower a destination, the larger its
        batches, so that it can catch up.
        """
        is_old = self._open is not None and now - self._open.since >= timeout_secs
        return is_old and not self._left and not self.under_way

    def cut(self, now: float, timeout_secs: float, moments: Iterator[int]) -> list[Batch]:
        """Batches that are full or old enough; each new one gets the next of `moments`, in ms."""
        if self._open and self.is_due(now, timeout_secs):
            self._full.append(self._open)
            self._open = None
        batches, self._again = self._again, []
        while self._full and len(self._intents) < MOST_INTENTS:
            gathered = self._full.popleft()
            intent = Intent.new(gathered.first, gathered.end, next(moments))
            self._intents.append(intent)
            if gathered.frames:
                batches.append(
                    Batch(self, intent, gathered.frames, gathered.size_bytes, is_new=True)
                )
            else:
                self.delivered(intent, now)
        self.under_way.update(batch.intent for batch in batches)
        return batches

    def delivered(self, intent: Intent, now: float) -> None:
        """A batch is at its destinations."""
        self.under_way.discard(intent)
        if intent not in self._intents:
            return
        self._delivered.add(intent)
        while self._intents and self._intents[0] in self._delivered:
            done = self._intents.pop(0)
            self._delivered.remove(done)
            self._position = done.end
            if self.changed_at is None:
                self.changed_at = now

    def _take_again(self, messages: Sequence[Message], now: float) -> Sequence[Message]:
        """Take what belongs to the first of the intents that were left; the rest comes back."""
        intent = self._left[0]
        if offset_of(messages[0]) < intent.first:
            # These offsets were another topic's, of the same name.
            self._intents = [one for one in self._intents if one not in self._left]
            self._left.clear()
            self._open = None
            return messages
        count = bisect_left(messages, intent.end, key=offset_of)
        if count:
            if self._open is None:
                self._open = _Gathered(intent.first, intent.end, now)
            self._open.add(self._render(messages[:count]), intent.end)
        if count < len(messages) or offset_of(messages[-1]) + 1 >= intent.end:
            self._finish_again(now)
        return messages[count:]

    def _finish_again(self, now: float) -> None:
        intent = self._left.popleft()
        gathered, self._open = self._open, None
        if gathered and gathered.frames:
            self._again.append(
                Batch(self, intent, gathered.frames, gathered.size_bytes, is_new=False)
            )
        else:
            self.delivered(intent, now)

    def _room(self, messages: Sequence[Message]) -> int:
        """How many of the messages are tried at once; if each is one event, they fit."""
        most = self._limits.max_events
        if most is None:
            return len(messages)
        return max(1, most - (self._open.events if self._open else 0))

    def _gather(self, messages: Sequence[Message], now: float) -> None:
        frames = self._render(messages)
        events = sum(part.count for part in frames)
        size_bytes = sum(len(part.payload) for part in frames)
        if self._open and not self._limits.allow(
            self._open.size_bytes + size_bytes, self._open.events + events
        ):
            self._full.append(self._open)
            self._open = None
        if len(messages) > 1 and not self._limits.allow(size_bytes, events):
            middle = len(messages) // 2
            self._gather(messages[:middle], now)
            self._gather(messages[middle:], now)
            return
        if self._open is None:
            first = offset_of(messages[0])
            self._open = _Gathered(first, first, now)
        self._open.add(frames, offset_of(messages[-1]) + 1)
        if self._limits.are_reached(self._open.size_bytes, self._open.events):
            self._full.append(self._open)
            self._open = None


def offset_of(message: Message) -> int:
    """The offset, which every message from a broker has."""
    offset = message.offset()
    if offset is None:
        raise RuntimeError("BUG: a message without an offset")
    return offset
