"""Asks the collectors how they are: whether they are ready, and how much waits in their buffers.

All of them are asked at once, and none for longer than half a second: one that is away or slow keeps
no page waiting longer than that, and nothing of what the others say is lost.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tailrace.clock import Clock

WAITING_METRIC: Final = "buffer_events"
USUALLY_WAITING: Final = 20_000
"""Events that are on the way in a busy, healthy system: what comes in within a batch's time."""
_KEEP_SECS: Final = 1.0
_ANSWER_SECS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Delivery:
    """State of what was accepted: `waiting` events are in buffers; None is not known."""

    collectors: int = 1
    missing: tuple[str, ...] = ()
    """Names of those that do not answer: what waits there is not known."""
    waiting: int | None = None
    by_vector: bool = False
    """Whether Vector collects, which has no page that says how much waits."""

    @property
    def label(self) -> str:
        """In a few words."""
        if self.by_vector:
            return "collected by Vector"
        if self.missing and self.collectors == 1:
            return "collector does not answer"
        answer = self.collectors - len(self.missing)
        parts = [f"{answer} of {self.collectors} collectors"] if self.missing else []
        if self.waiting:
            parts.append(f"{self.waiting:,} on the way")
        return ", ".join(parts) or "all delivered"

    @property
    def explanation(self) -> str:
        """What the words are about, and who is missing where there are several."""
        if self.collectors == 1:
            return "State of the collector's buffers"
        whose = f"State of the buffers of {self.collectors} collectors"
        return f"{whose}; no answer from {', '.join(self.missing)}" if self.missing else whose

    @property
    def state(self) -> str:
        """good, waiting or bad, for its colour."""
        if self.missing:
            return "bad"
        return "waiting" if (self.waiting or 0) > USUALLY_WAITING else "good"


class Collectors:
    """The collectors' own pages; what waits is asked for at most once a second."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        client: httpx.AsyncClient,
        clock: Clock,
        *,
        is_vector: bool = False,
        answer_secs: float = _ANSWER_SECS,
    ) -> None:
        """`addresses` by the collectors' names, the first one first (`tailrace.collectors`)."""
        self._addresses = addresses
        self._client = client
        self._clock = clock
        self._is_vector = is_vector
        self._answer_secs = answer_secs
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._delivery = Delivery(len(addresses), tuple(addresses))

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def takes_events(self) -> bool:
        """Whether the first one, whose intakes events are handed to, is ready."""
        if self._is_vector:
            return True
        answer = await self._get(next(iter(self._addresses.values())), "/readyz")
        return answer is not None and answer.status_code == 200

    async def problems(self) -> list[str]:
        """Which of them do not take and deliver events; of Vector it is believed that it does."""
        if self._is_vector:
            return []
        return [
            f"{name} at {self._addresses[name]} "
            + ("does not answer" if answer is None else "is not ready")
            for name, answer in (await self._get_all("/readyz")).items()
            if answer is None or answer.status_code != 200
        ]

    async def delivery(self) -> Delivery:
        """What their buffers hold together."""
        if self._is_vector:
            return Delivery(by_vector=True)
        async with self._asking:
            now = self._clock.monotonic()
            if now - self._asked_at >= _KEEP_SECS:
                self._delivery = _sum(await self._get_all("/metrics"))
                self._asked_at = now
        return self._delivery

    async def _get_all(self, path: str) -> dict[str, httpx.Response | None]:
        gets = (self._get(address, path) for address in self._addresses.values())
        return dict(zip(self._addresses, await asyncio.gather(*gets), strict=True))

    async def _get(self, address: str, path: str) -> httpx.Response | None:
        try:
            # httpx's own limit is one for each piece of an answer, not for the whole.
            async with asyncio.timeout(self._answer_secs):
                return await self._client.get(f"{address}{path}")
        except (httpx.HTTPError, TimeoutError):
            return None


def _sum(answers: Mapping[str, httpx.Response | None]) -> Delivery:
    texts = {
        name: answer.text
        for name, answer in answers.items()
        if answer is not None and answer.status_code == 200
    }
    counts = [count for text in texts.values() if (count := _waiting(text)) is not None]
    return Delivery(
        collectors=len(answers),
        missing=tuple(name for name in answers if name not in texts),
        waiting=sum(counts) if counts else None,
    )


def _waiting(text: str) -> int | None:
    # Of hundreds of lines only these are worth the parser's time.
    lines = "".join(line for line in text.splitlines(True) if line.startswith(WAITING_METRIC))
    counts = [
        sample.value
        for family in text_string_to_metric_families(lines)
        if family.name == WAITING_METRIC
        for sample in family.samples
    ]
    return int(sum(counts)) if counts else None
