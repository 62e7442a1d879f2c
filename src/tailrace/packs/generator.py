"""What a pack's generator looks like to whoever runs it.

`pack.yaml` names it as `generator: module:name`; called with a seed (None draws one) and the events
a second that it is to imitate, it gives an object with `chunks()`. The same seed and rate must give
the same chunks. Pacing, sending, counting and times are the runner's.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol


class Chunk(Protocol):
    """Some events in the order of their times."""

    @property
    def offsets(self) -> Sequence[float]:
        """When each event happens, in [0, 1) of `secs`, ascending."""

    @property
    def secs(self) -> float:
        """How long the chunk takes at the imitated rate."""

    def render(self, start_ns: int, secs: float) -> list[str]:
        """A line for each event, with its newline; times begin at `start_ns` and take `secs`."""


class Generator(Protocol):
    """An endless source of chunks."""

    def chunks(self) -> Iterator[Chunk]:
        """Chunk after chunk, forever."""


class GeneratorFactory(Protocol):
    """What `generator:` in `pack.yaml` names."""

    def __call__(self, seed: int | None, events_per_sec: float) -> Generator:
        """A generator that begins anew."""


class Keys(Protocol):
    """What `keys:` in `pack.yaml` names."""

    def __call__(self, line: str) -> tuple[bytes, int | None]:
        """The key of a line's message, and a number whose remainder by the count of partitions is its
        partition; None where the key decides."""
