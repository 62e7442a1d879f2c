"""What a source is.

Contract of every source:

- It listens (or opens what it reads) in `start`, and raises there what a person must see: a taken
  port, a missing file. It serves from the moment `start` returns.
- It runs on the event loop and never blocks it; what takes longer than 20 ms goes to a thread.
- Bytes belong to the source until it hands them to `Intake.append`, and to the buffer from then on:
  a source does not change them afterwards.
- It acknowledges (answers 200, moves a checkpoint) only after the awaitable of `Intake.append` has
  come back, for then the bytes are on disk (or after that of `Batches.deliver`, for then they are
  at their destinations). While that waits it takes no more than a few MB from
  its peers, or tells them to come again; it never drops what it has taken.
- `stop` stops accepting, hands over every complete frame that has arrived, and returns when all of
  them are on disk or its grace time is over. It may be called at any moment after `start`, once.
- `finished` is set when nothing will ever come any more (the end of standard input).
- Work that goes on in the background is a task in `tasks`: when one fails, the collector ends with
  its error, rather than go on deaf.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tailrace.clock import Clock
from tailrace.collect.metrics import ComponentMetrics
from tailrace.telemetry import Logger


@dataclass(frozen=True)
class Origin:
    """Where the lines of one append came from, and what the source adds to each of their events.

    `fields` are names and values that an event gets where it has no such field of its own.
    """

    peer: str = ""
    fields: tuple[tuple[str, str | int | None], ...] = ()


@dataclass(frozen=True)
class RejectedLine:
    """Something that a source took but that cannot become an event."""

    raw: bytes
    reason: str
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a source has come with one of the things that it reads.

    It travels in the record of the frames that lead up to it, so that both are on disk or neither
    is. (See `tailrace.collect.positions`.)
    """

    key: str
    """Which of the things."""
    sequence: int
    """Of two positions with one key the one with the higher number counts."""
    value: str
    """What only the source itself understands."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Complete frames: lines that each end in a newline, or one frame of any bytes."""

    payload: bytes
    count: int
    origin: Origin
    one_frame: bool = False
    position: Position | None = None
    """Where the source stands behind these frames, which are then never parted."""
    reject_reason: str = ""
    """With it, the frames are kept in their order, but go to the rejected table."""
    enveloped: bool = False
    """Whether the lines are envelopes: see `tailrace.collect.envelope`."""
    ready: bool = False
    """Whether the lines of a source of envelopes are events instead, with all that the pipeline would
    add, and a `timestamp` that it would take for one."""


class Intake(Protocol):
    """The buffer, as a source sees it."""

    async def append(self, frames: Sequence[Frames]) -> None:
        """Keep `frames`; returns once all of them are on disk. Waits while the buffer is full, or,
        where the sinks want that, drops what has no place, which to the source is the same."""

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        """Keep what cannot become an event, with its reason; returns once it is on disk."""

    def is_full(self) -> bool:
        """Whether an append would have to wait for room."""


class Batches(Protocol):
    """Delivery for a source that can read everything again, whatever becomes of this collector.

    It acknowledges only when a batch is at its destinations, and brings one that was not
    acknowledged again, with the same frames under the same name. Destinations that know tokens
    then have it once.
    """

    @property
    def timeout_secs(self) -> float:
        """Age at which a batch is to be delivered, full or not."""

    async def deliver(
        self,
        name: str,
        frames: Sequence[Frames],
        arrival_ms: int | None = None,
        *,
        again: bool = False,
    ) -> None:
        """Bring a batch to every sink; returns once they have it. The name fits a file's.

        `arrival_ms`: when it arrived; unset: now. `again`: somebody else may have brought it already.
        """

    async def forget(self, prefix: str, names: Collection[str]) -> None:
        """Batches that begin with `prefix` and are not in `names` will not be brought again."""


class Positions(Protocol):
    """What is known of where a source stood; survives whatever ends the collector."""

    found: Mapping[str, Position]
    """At start, by key."""

    async def put(self, positions: Sequence[Position]) -> None:
        """Keep positions that no frames lead up to; returns once they are on disk."""

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep nothing of what is not there any more."""


@dataclass(frozen=True)
class SourceContext:
    """What a source is given besides its options."""

    component_id: str
    intake: Intake
    decode: Callable[[bytes], list[dict[str, Any]]]
    """Its codec, for sources whose peers are told whether what they sent can be read."""
    metrics: ComponentMetrics
    log: Logger
    clock: Clock
    positions: Positions | None = None
    most_events_at_once: int | None = None
    """Frames with a position are never parted: a source makes none of more events."""
    most_bytes_at_once: int | None = None
    """The same for their size, but that one event may be larger."""
    batches: Batches | None = None


class Source(ABC):
    """A running source; see the module's contract."""

    def __init__(self) -> None:
        self.finished = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    @abstractmethod
    async def start(self) -> None:
        """Listen; events may come from now on."""

    @abstractmethod
    async def stop(self, grace_secs: float) -> None:
        """Accept no more, and hand over what has arrived."""
