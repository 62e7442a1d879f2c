"""Sink `blackhole`: takes events and forgets them; for measuring what is before it.

What is guaranteed: every event that it gets is counted, at most `rate` of them a second.
"""

import asyncio
from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from tailrace.collect.component import LOGS_AND_METRICS, Component, EventKind, SinkConfig
from tailrace.collect.encoding import Encoding, StreamEncoder
from tailrace.collect.options import Acknowledgements
from tailrace.collect.sink import Delivery, Encoder, Sink, SinkBatch, SinkContext


class BlackholeConfig(SinkConfig):
    """Takes events and forgets them."""

    takes: ClassVar[frozenset[EventKind]] = LOGS_AND_METRICS

    type: Literal["blackhole"] = "blackhole"

    print_interval_secs: int = Field(default=0, ge=0)
    """Seconds between two messages that say how much came; 0: none."""

    rate: int | None = Field(default=None, ge=1)
    """Events a second at most. Unset: as many as come."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""


class BlackholeSink(Sink):
    """See the module."""

    batch_max_bytes = 10_000_000
    batch_max_events = None
    batch_timeout_secs = 1.0
    concurrency = 1

    def __init__(self, config: BlackholeConfig, context: SinkContext) -> None:
        self._config = config
        self._context = context
        self._events = self._bytes = 0
        self._said_at = context.clock.monotonic()
        self._free_at = 0.0

    @property
    @override
    def is_well(self) -> bool:
        return True

    @override
    async def takes_lines(self, added_fields: frozenset[str]) -> bool:
        return True

    @override
    async def encoder(self) -> Encoder:
        return StreamEncoder(Encoding(codec="json"))

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        if self._config.rate:
            # The next batch may come when this one has had its time.
            now = self._context.clock.monotonic()
            self._free_at = max(now, self._free_at) + batch.rows / self._config.rate
            await asyncio.sleep(self._free_at - now)
        self._events += batch.rows
        self._bytes += batch.size_bytes
        self._say()
        return Delivery(batch.rows, batch.size_bytes, attempts=1)

    @override
    async def close(self) -> None:
        return

    def _say(self) -> None:
        now = self._context.clock.monotonic()
        interval = self._config.print_interval_secs
        if interval and now - self._said_at >= interval:
            self._said_at = now
            self._context.log.info(
                "events taken and forgotten",
                sink=self._context.component_id,
                events=self._events,
                bytes=self._bytes,
            )


BLACKHOLE: Component[Sink] = Component(BlackholeConfig, BlackholeSink)
