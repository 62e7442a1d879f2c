"""The source beside a sink that never answers."""

import asyncio
from collections.abc import Collection, Sequence

from tailrace.clock import SystemClock
from tailrace.collect.codecs import CODECS
from tailrace.collect.metrics import Metrics
from tailrace.collect.source import Frames, SourceContext
from tailrace.collect.sources.kafka import KAFKA
from tailrace.telemetry import new_registry
from tests.unit.collect.kept import Kept
from tests.unit.collect.support import quiet_log, until
from tests.unit.collect_kafka.kafka_support import MockCluster


class NeverDelivered:
    """Takes batches, and that is all."""

    timeout_secs = 0.01

    def __init__(self) -> None:
        self.names: list[str] = []

    async def deliver(
        self,
        name: str,
        frames: Sequence[Frames],
        arrival_ms: int | None = None,
        *,
        again: bool = False,
    ) -> None:
        self.names.append(name)
        await asyncio.Event().wait()

    async def forget(self, prefix: str, names: Collection[str]) -> None:
        """There is nothing to forget."""


async def test_nothing_works_on_when_it_has_stopped() -> None:
    cluster = await asyncio.to_thread(MockCluster)
    await asyncio.to_thread(cluster.send, "t", [b"{}"])
    config = KAFKA.config.model_validate(
        {
            "bootstrap_servers": cluster.servers,
            "group_id": "g",
            "topics": ["t"],
            "auto_offset_reset": "earliest",
        }
    )
    before = asyncio.all_tasks()
    batches = NeverDelivered()
    metrics = Metrics(new_registry()).component("in", "source", "kafka")
    context = SourceContext(
        "in", Kept(), CODECS["json"], metrics, quiet_log(), SystemClock(), batches=batches
    )
    source = KAFKA.build(config, context)
    await source.start()
    await until(lambda: batches.names)
    await source.stop(1.0)
    assert asyncio.all_tasks() == before
