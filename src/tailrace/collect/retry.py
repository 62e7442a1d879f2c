"""What sinks share that make requests and repeat them: the waits, and what is said meanwhile."""

import asyncio
from collections.abc import Iterator

from tailrace.clock import Clock
from tailrace.collect.options import Request
from tailrace.collect.sink import SinkContext

SAID_AGAIN_SECS = 60.0
"""How often an unchanged trouble is repeated in the log."""


def fibonacci(first_secs: float, most_secs: float) -> Iterator[float]:
    """Waits: 1, 1, 2, 3, 5 … times the first, at most `most_secs`."""
    wait, following = first_secs, first_secs
    while True:
        yield min(wait, most_secs)
        wait, following = following, min(wait + following, most_secs)


class Trouble:
    """Whether a sink can deliver, said once when it changes and once a minute while it lasts."""

    def __init__(self, context: SinkContext) -> None:
        self._context = context
        self._said = ("", 0.0)
        self.is_over = True

    def waits(self, first_secs: float = 1, most_secs: float = 30) -> Iterator[float]:
        """How long to wait before each repetition."""
        return fibonacci(first_secs, most_secs)

    def report(self, problem: str) -> None:
        """It does not work."""
        self.is_over = False
        self._context.metrics.retried()
        now = self._context.clock.monotonic()
        said, when = self._said
        if problem != said or now - when >= SAID_AGAIN_SECS:
            self._said = (problem, now)
            self._context.log.warning(
                "cannot deliver yet: events wait in the buffer",
                sink=self._context.component_id,
                problem=problem,
            )

    def end(self) -> None:
        """It works."""
        if not self.is_over:
            self._context.log.info("delivering again", sink=self._context.component_id)
        self.is_over = True
        self._said = ("", 0.0)


class RateLimit:
    """Lets so many requests through within a time, as `request.rate_limit_*` say."""

    def __init__(self, request: Request, clock: Clock) -> None:
        self._most = request.rate_limit_num
        self._within_secs = request.rate_limit_duration_secs
        self._clock = clock
        self._made_at: list[float] = []

    async def wait(self) -> None:
        """Return when one more may be made."""
        if self._most is None:
            return
        while True:
            now = self._clock.monotonic()
            self._made_at = [at for at in self._made_at if now - at < self._within_secs]
            if len(self._made_at) < self._most:
                self._made_at.append(now)
                return
            await asyncio.sleep(self._made_at[0] + self._within_secs - now)
