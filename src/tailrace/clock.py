"""The one clock: every part of Tailrace that asks for the time asks here.

Tests pass a `Clock` of their own (`tailrace.testing.ManualClock`) where time matters.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a component may know of time."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; for measuring intervals."""


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that only ever grow; for measuring intervals."""
        return time.monotonic()


def utc_now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)
