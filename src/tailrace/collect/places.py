"""How many batches of a source may be on their way to its sinks at once.

As many as the sink allows that allows the fewest. Where a sink's `request.concurrency` is `adaptive`,
that is found out by additive increase and multiplicative decrease, as Vector does it: of all
deliveries within a round, as many as are allowed, the mean time is compared with that of the rounds
before. Where it was no longer, and all places were in use, there is one place more; where it was
longer by more than the times vary, there are a tenth fewer. A request that has to be repeated waits
a second at least, and so counts as long.
"""

import asyncio
from collections.abc import Sequence
from math import sqrt

DECREASE_RATIO = 0.9
NEW_ROUND_WEIGHT = 0.4
TOLERATED_DEVIATIONS = 2.5
"""These three are Vector's own."""


class AdaptiveLimit:
    """One sink's, between 1 and `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.now = 1
        """Batches that may be under way."""
        self._under_way = 0
        self._all_were_taken = False
        self._times: list[float] = []
        self._mean: float | None = None
        self._variance = 0.0

    def begin(self) -> None:
        """A batch goes on its way."""
        self._under_way += 1
        self._all_were_taken |= self._under_way >= self.now

    def end(self, secs: float | None) -> None:
        """It took so long; None where it has not arrived."""
        self._under_way -= 1
        if secs is None:
            return
        self._times.append(secs)
        if len(self._times) < self.now:
            return
        mean = sum(self._times) / len(self._times)
        self._judge(mean)
        self._remember(mean)
        self._times, self._all_were_taken = [], False

    def _judge(self, mean: float) -> None:
        if self._mean is None:
            return
        if mean > self._mean + TOLERATED_DEVIATIONS * sqrt(self._variance):
            self.now = max(1, int(self.now * DECREASE_RATIO))
        elif mean <= self._mean and self._all_were_taken:
            self.now = min(self._most, self.now + 1)

    def _remember(self, mean: float) -> None:
        if self._mean is None:
            self._mean = mean
            return
        difference = mean - self._mean
        self._mean += NEW_ROUND_WEIGHT * difference
        rest = 1 - NEW_ROUND_WEIGHT
        self._variance = rest * (self._variance + NEW_ROUND_WEIGHT * difference**2)


class Places:
    """One source's; whoever delivers a batch takes one and gives it back."""

    def __init__(self, fixed: int, adaptive: Sequence[AdaptiveLimit] = ()) -> None:
        self._fixed = fixed
        self._adaptive = adaptive
        self._given_back = asyncio.Event()
        self.taken = 0
        """Batches that are under way."""

    async def take(self) -> None:
        """Wait for a place."""
        while self.taken >= min([self._fixed, *(limit.now for limit in self._adaptive)]):
            self._given_back.clear()
            await self._given_back.wait()
        self.taken += 1

    def give_back(self) -> None:
        """A batch is delivered, or will not be."""
        self.taken -= 1
        self._given_back.set()
