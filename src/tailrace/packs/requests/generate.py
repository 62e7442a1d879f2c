"""Makes lines of requests, a few hundred thousand a second on one core.

    2024-09-29 01:00:00 cust_1 /api/v1/resource1 200 0.532

The same seed and rate make the same lines, but for their times, which are the caller's. Three of four
lines are of the moment at which they are written; the others tell of some moment of the thirty days
before, as when a machine hands its log in late, so that there is a past to ask for at once.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

CUSTOMERS: Final = tuple(f"cust_{number}" for number in range(1, 51))
PATHS: Final = tuple(f"/api/v1/resource{number}" for number in range(1, 5))
STATUSES: Final = (200, 201, 400, 401, 403, 404, 500)
STATUS_WEIGHTS: Final = {
    "/api/v1/resource1": (9500, 495, 1, 1, 1, 1, 1),
    "/api/v1/resource2": (9700, 288, 3, 2, 1, 4, 2),
    "/api/v1/resource3": (6900, 3070, 10, 4, 2, 8, 6),
    "/api/v1/resource4": (9300, 500, 60, 30, 20, 60, 30),
}
"""How often each path answers with each status, in ten thousand: the last one is in trouble."""
MEDIAN_SECS: Final = dict(zip(PATHS, (0.18, 0.25, 0.4, 0.6), strict=True))
LEAST_SECS: Final = 0.1
MOST_SECS: Final = 2.0
PAST_SECS: Final = 30 * 86_400
LATE_SHARE: Final = 0.25

CHUNK_SECS: Final = 1.0
CHUNK_MIN_EVENTS: Final = 20
CHUNK_MAX_EVENTS: Final = 2000
POOL: Final = 4096


@dataclass(frozen=True)
class Chunk:
    """Lines without their times; `ages_secs` are how long before it was written each happened."""

    bodies: Sequence[str]
    ages_secs: Sequence[int]
    offsets: Sequence[float]
    secs: float

    def render(self, start_ns: int, secs: float) -> list[str]:
        """The lines, written from `start_ns` (since 1970) on, within `secs`."""
        start = start_ns / 1e9
        return [
            f"{_stamp(int(start + offset * secs) - age)}{body}"
            for offset, age, body in zip(self.offsets, self.ages_secs, self.bodies, strict=True)
        ]


class RequestGenerator:
    """An endless stream of chunks of lines, evenly spread over time."""

    def __init__(self, seed: int | None, events_per_sec: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 (events, not secrets)
        count = int(min(max(events_per_sec * CHUNK_SECS, CHUNK_MIN_EVENTS), CHUNK_MAX_EVENTS))
        self._secs = count / events_per_sec
        self._offsets = [number / count for number in range(count)]
        self._answers = [self._answer() for _ in range(POOL)]
        # A few customers make most of the requests.
        self._weights = [1 / (1 + number % 7) for number in range(len(CUSTOMERS))]

    def chunks(self) -> Iterator[Chunk]:
        """Chunk after chunk, forever."""
        draw, count = self._random, len(self._offsets)
        while True:
            customers = draw.choices(CUSTOMERS, self._weights, k=count)
            answers = draw.choices(self._answers, k=count)
            bodies = [
                f" {customer}{answer}" for customer, answer in zip(customers, answers, strict=True)
            ]
            ages = [
                draw.randrange(PAST_SECS) if draw.random() < LATE_SHARE else 0 for _ in range(count)
            ]
            yield Chunk(bodies, ages, self._offsets, self._secs)

    def _answer(self) -> str:
        """The part of a line after its customer."""
        draw = self._random
        path = draw.choice(PATHS)
        [status] = draw.choices(STATUSES, STATUS_WEIGHTS[path])
        seconds = MEDIAN_SECS[path] * draw.lognormvariate(0, 0.5)
        return f" {path} {status} {min(max(seconds, LEAST_SECS), MOST_SECS):.3f}\n"


@lru_cache(4096)
def _stamp(unix: int) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d %H:%M:%S}"
