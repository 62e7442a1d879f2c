"""What a sink is.

Contract of every sink:

- It runs on the event loop and never blocks it.
- `deliver` returns only when every row of the batch is at its destination or in the result's
  `rejected`, with the reason. It repeats what may help when repeated, with growing waits, for ever
  unless an option says how often; it never drops. It may be cancelled at any moment: the same batch, the same bytes
  under the same token, is delivered again later, and must not be there twice then (or, where a
  destination knows no tokens, the sink says so in its documentation).
- The batch's bytes belong to the buffer: a sink reads them and keeps nothing of them.
- `close` gives connections back; nothing is delivered afterwards.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tailrace.clock import Clock
from tailrace.collect.metrics import ComponentMetrics
from tailrace.settings import Settings
from tailrace.telemetry import Logger

Bytes = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Piece:
    """Complete lines that came from one place at one time."""

    payload: Bytes
    rows: int
    received_at_ms: int
    peer: str = ""


@dataclass(frozen=True)
class SinkBatch:
    """What a sink gets at once."""

    token: str
    """The same for the same bytes, in every process; no other batch has it."""

    source_id: str
    pieces: Sequence[Piece]

    @property
    def rows(self) -> int:
        """Number of lines."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def size_bytes(self) -> int:
        """Size of all lines."""
        return sum(len(piece.payload) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that its destination refused, or that could not become one."""

    component_id: str
    peer: str
    received_at_ms: int
    reason: str
    raw: bytes


@dataclass
class Delivery:
    """What became of a batch."""

    sent_rows: int = 0
    sent_bytes: int = 0
    attempts: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)
    dated: list[Sequence[Piece]] = field(default_factory=list)
    """Of each insert whose rows got the time of their arrival from us, the pieces."""


class Encoder(ABC):
    """Turns events into the lines that a sink wants; used in worker processes, so it is pickled."""

    @abstractmethod
    def encode(self, events: list[dict[str, Any]]) -> bytes:
        """One line for each event, each with its newline; or what the sink itself takes apart."""

    def writes_events_as_they_are(self) -> bool:
        """Whether each line is the event's own JSON, no more and no less."""
        return False


class Refusals(Protocol):
    """What destinations refused of batches that are not done with; survives the collector."""

    async def refused(self, token: str) -> dict[tuple[int, int], str]:
        """Spans of rows of a batch that were refused, with the reason."""

    async def note(self, token: str, span: tuple[int, int], reason: str) -> None:
        """A span was refused; returns once that is on disk."""


class MemoryRefusals:
    """Those of this process alone; for tests and for sinks that note none."""

    def __init__(self) -> None:
        self._spans: dict[str, dict[tuple[int, int], str]] = {}

    async def refused(self, token: str) -> dict[tuple[int, int], str]:
        """Spans of rows of a batch that were refused, with the reason."""
        return dict(self._spans.get(token, {}))

    async def note(self, token: str, span: tuple[int, int], reason: str) -> None:
        """A span was refused."""
        self._spans.setdefault(token, {})[span] = reason


@dataclass(frozen=True)
class SinkContext:
    """What a sink is given besides its options."""

    component_id: str
    metrics: ComponentMetrics
    log: Logger
    clock: Clock
    settings: Settings
    refusals: Refusals = field(default_factory=MemoryRefusals)
    own_folder: Path = Path("tailrace-data/buffer/_sinks")
    """Where a sink may keep what it has to know after a crash."""


class Sink(ABC):
    """A running sink; see the module's contract."""

    batch_max_bytes: int
    batch_max_events: int | None
    batch_timeout_secs: float
    concurrency: int
    """Batches of one source that it takes at once."""
    adapts_concurrency: bool = False
    """Whether `concurrency` is only the most, and how many there are is to be found out."""
    keeps_rejected: ClassVar[bool] = False
    """Whether there is a table for rejected rows where it sends to."""

    @property
    @abstractmethod
    def is_well(self) -> bool:
        """Whether the last delivery worked, or none was needed yet."""

    async def check(self) -> str | None:
        """What is wrong with the destination now; None where nothing is."""
        return None

    @abstractmethod
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        """Whether the bytes of JSON lines will do, exactly as they came.

        `added_fields` are the names of the fields that the source adds to each event, which such
        bytes do not have. Waits until the destination has answered what that depends on.
        """

    @abstractmethod
    async def encoder(self) -> Encoder:
        """How it wants events. Waits as `takes_lines` does."""

    @abstractmethod
    async def deliver(self, batch: SinkBatch) -> Delivery:
        """Bring a batch to its destination."""

    async def deliver_rejected(self, table: str, token: str, lines: Bytes) -> None:
        """Insert into the rejected table; `lines` are what `tailrace.collect.rejected` writes."""
        raise RuntimeError(f"BUG: a {type(self).__name__} has no table {table} for {token}")

    @abstractmethod
    async def close(self) -> None:
        """Give connections back."""
