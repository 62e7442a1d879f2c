"""How many segments are worked on at once, and how many of them are sent."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from typing_extensions import override

from tailrace.clock import SystemClock
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tailrace.collect.delivery import Deliverer, Route, Tools
from tailrace.collect.ledger import Ledger
from tailrace.collect.metrics import Metrics
from tailrace.collect.pipeline import Processed, write_origin
from tailrace.collect.rejected import RejectedStore
from tailrace.collect.sink import Delivery, SinkBatch
from tailrace.collect.sinks.blackhole import BlackholeConfig, BlackholeSink
from tailrace.collect.source import Origin
from tailrace.collect.worker import Job, Workers
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log, sink_context, until

SEGMENTS = 8


@dataclass
class Gate:
    """Who is inside, until it opens."""

    inside: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def go_through(self) -> None:
        self.inside += 1
        await self.opened.wait()
        self.inside -= 1


class GatedWorkers:
    """Workers that take segments, and give each back as one line when the gate opens."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.gate = Gate()

    async def process(self, job: Job) -> Processed:
        await self.gate.go_through()
        processed = Processed(bodies=dict.fromkeys(job.encoders, b"{}\n"))
        processed.rows.update(dict.fromkeys(job.encoders, 1))
        return processed


class GatedSink(BlackholeSink):
    """A sink that takes `concurrency` batches at once."""

    def __init__(self, concurrency: int, folder: Path) -> None:
        context = sink_context("out", folder)
        super().__init__(BlackholeConfig.model_validate({"inputs": ["in"]}), context)
        self.concurrency = concurrency
        self.gate = Gate()

    @override
    async def deliver(self, batch: SinkBatch) -> Delivery:
        await self.gate.go_through()
        return await super().deliver(batch)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    """A journal with segments of one event each."""
    limits = JournalLimits(segment_max_events=1, fsync_max_wait_ms=0)
    journal = await Journal.open(tmp_path / "in", limits, SystemClock(), quiet_log())
    chunk = Chunk(b"{}\n", 1, write_origin(Origin(), one_frame=False))
    await journal.append([chunk] * SEGMENTS)
    yield journal
    await journal.close()


@pytest.mark.parametrize(
    ("concurrency", "workers", "worked_on", "sent"),
    [(3, 5, 5, 3), (3, 1, 3, 3), (1, 5, 1, 1)],
)
async def test_no_worker_is_idle_and_no_sink_gets_more_than_it_takes(
    journal: Journal, tmp_path: Path, concurrency: int, workers: int, worked_on: int, sent: int
) -> None:
    sink, gated = GatedSink(concurrency, tmp_path), GatedWorkers(workers)
    rejected_journal = await Journal.open(
        tmp_path / "rejected", JournalLimits(), SystemClock(), quiet_log()
    )
    ledger = await Ledger.open(tmp_path / "ledger.db", SystemClock())
    metrics = Metrics(new_registry())
    components = {
        "in": metrics.component("in", "source", "socket"),
        "out": metrics.component("out", "sink", "blackhole"),
    }
    rejected = RejectedStore(rejected_journal, "logs.rejected", {})
    tools = Tools(cast(Workers, gated), rejected, ledger, SystemClock(), components)
    route = Route("out", sink, components["out"], is_direct=False)
    deliverer = Deliverer("in", frozenset(), journal, [route], tools)
    delivering = asyncio.create_task(deliverer.deliver_for_ever())
    await until(lambda: gated.gate.inside == worked_on)
    assert deliverer._places.taken == worked_on
    gated.gate.opened.set()
    await until(lambda: sink.gate.inside == sent)
    await until(lambda: gated.gate.inside == 0)
    assert sink.gate.inside == sent
    sink.gate.opened.set()
    await journal.until_empty()
    delivering.cancel()
    await asyncio.wait([delivering])
    await ledger.close()
    await rejected_journal.close()
