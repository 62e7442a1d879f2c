"""Asks the collector how it is: whether it is ready, and how much waits in its buffers."""

from dataclasses import dataclass
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tailrace.clock import Clock

WAITING_METRIC: Final = "buffer_events"
USUALLY_WAITING: Final = 20_000
"""Events that are on the way in a busy, healthy system: what comes in within a batch's time."""
_KEEP_SECS: Final = 1.0
_TIMEOUT_SECS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Delivery:
    """State of what was accepted: `waiting` events are in a buffer; None is not known."""

    reachable: bool
    waiting: int | None = None
    by_vector: bool = False
    """Whether Vector collects, which has no page that says how much waits."""

    @property
    def label(self) -> str:
        """In a few words."""
        if self.by_vector:
            return "collected by Vector"
        if not self.reachable:
            return "collector does not answer"
        if self.waiting:
            return f"{self.waiting:,} on the way"
        return "all delivered"

    @property
    def state(self) -> str:
        """good, waiting or bad, for its colour."""
        if not self.reachable:
            return "bad"
        return "waiting" if (self.waiting or 0) > USUALLY_WAITING else "good"


class Collector:
    """The collector's own pages, asked at most once a second."""

    def __init__(
        self,
        host: str,
        port: int,
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        is_vector: bool = False,
    ) -> None:
        shown_host = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown_host}:{port}"
        self._client = client
        self._clock = clock
        self._is_vector = is_vector
        self._asked_at = float("-inf")
        self._delivery = Delivery(reachable=False)

    async def close(self) -> None:
        """Give its connections back."""
        await self._client.aclose()

    async def is_ready(self) -> bool:
        """Whether the collector takes and delivers events; of Vector it is believed."""
        if self._is_vector:
            return True
        try:
            answer = await self._client.get(f"{self.address}/readyz", timeout=_TIMEOUT_SECS)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def delivery(self) -> Delivery:
        """What its buffers hold."""
        if self._is_vector:
            return Delivery(reachable=True, by_vector=True)
        now = self._clock.monotonic()
        if now - self._asked_at >= _KEEP_SECS:
            self._asked_at = now
            self._delivery = await self._ask()
        return self._delivery

    async def _ask(self) -> Delivery:
        try:
            answer = await self._client.get(f"{self.address}/metrics", timeout=_TIMEOUT_SECS)
        except httpx.HTTPError:
            return Delivery(reachable=False)
        if answer.status_code != 200:
            return Delivery(reachable=False)
        return Delivery(reachable=True, waiting=_waiting(answer.text))


def _waiting(text: str) -> int | None:
    counts = [
        sample.value
        for family in text_string_to_metric_families(text)
        if family.name == WAITING_METRIC
        for sample in family.samples
    ]
    return int(sum(counts)) if counts else None
