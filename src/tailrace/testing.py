"""Fakes for tests, at the seams that Tailrace owns."""

from dataclasses import dataclass


@dataclass
class ManualClock:
    """A clock that stands still until it is told to move."""

    epoch_ms: int = 1_764_000_000_000
    elapsed_secs: float = 0.0

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        return self.epoch_ms + int(self.elapsed_secs * 1000)

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self.elapsed_secs

    def advance(self, secs: float) -> None:
        """Let `secs` seconds pass."""
        self.elapsed_secs += secs
