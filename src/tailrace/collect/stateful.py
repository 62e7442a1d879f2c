"""Transforms that remember: what one batch leaves behind decides about the next.

They need one place and one order, so all sources that reach one go through a single worker, a
segment at a time, each source's in the order of its journal (`tailrace.collect.stage`). Time is the
time of arrival that stands in the journal's records, never the clock: so what becomes of a segment
does not depend on when it is worked on. Where nothing comes, the collector puts empty records into
the journal, whose only content is the time.

What a transform remembers, and the events that it holds back, are its state. The state is written
to disk, fsynced, together with what came of the segment, before anything of that is delivered. So
neither a crash nor a restart forgets, repeats or loses anything.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from tailrace.collect.transform import Event, Outputs, Transform, TransformConfig


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of arrival of the newest of some events."""

    now_ms: int
    is_end: bool = False
    """Whether nothing comes any more, so that nothing may be held back."""


class StatefulTransform(Transform):
    """A running transform that remembers. Of a batch it keeps only what is in its state."""

    @abstractmethod
    def run_at(self, events: list[Event], moment: Moment) -> Outputs:
        """Take events that have come until `moment`, and let go what is due by then."""

    @abstractmethod
    def state(self) -> Any:
        """What it remembers: lists, dictionaries, texts, numbers and events, nothing else."""

    @abstractmethod
    def restore(self, state: Any) -> None:
        """Remember what `state` gave, in this process or another."""

    @property
    def held(self) -> int:
        """Events that it holds back."""
        return 0

    @override
    def run(self, events: list[Event]) -> Outputs:
        """Transform events as if they were all that ever comes."""
        return self.run_at(events, Moment(0, is_end=True))


class StatefulConfig(TransformConfig):
    """Base of the options of transforms that remember."""

    def wakes_every_ms(self) -> int | None:
        """How often it must know the time while it holds events back; None: never."""
        return None
