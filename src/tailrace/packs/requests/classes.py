"""Classes of latencies: how the rollups group what requests took.

A class is known by the greatest of its milliseconds. It is a quarter of that long at most, or 20 ms.
The column `upto_ms` of `logs.api_requests` has the same classes in SQL.
"""

from collections.abc import Iterable
from typing import Final

STEPS: Final = (
    (200, 20),
    (500, 50),
    (1_000, 100),
    (2_000, 200),
    (5_000, 500),
    (10_000, 1_000),
    (20_000, 2_000),
    (50_000, 5_000),
    (100_000, 10_000),
    (200_000, 20_000),
    (500_000, 50_000),
)
"""Up to so many milliseconds, classes are so long."""
LONGEST_MS: Final = 100_000


def upto_ms(ms: int) -> int:
    """The greatest latency of the class that a latency is in."""
    step = next((step for upto, step in STEPS if ms <= upto), LONGEST_MS)
    return -(-ms // step) * step


def at_place(counts: Iterable[tuple[int, int]], place: int) -> tuple[int, int]:
    """The value at a place, counted from 0, and how many places are left within it.

    `counts` are values in ascending order with how often each is there. Where there are fewer than
    that, it is the last of them; 0 where there are none.
    """
    value = 0
    for value, count in counts:  # noqa: B007 — the last one counts
        if place < count:
            break
        place -= count
    return value, place
