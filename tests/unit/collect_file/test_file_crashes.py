"""kill -9 of a collector that reads files, at every single step of its work, one after the other.

A step is each time before and after the buffer's disk, the ledger or ClickHouse is asked for
something. Whatever step it dies at, the collector that is started after it finds every line, once.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import orjson
from typing_extensions import override

from tailrace.clock import SystemClock
from tailrace.collect.buffer.disk import Disk
from tailrace.collect.buffer.journal import Journal, JournalLimits
from tailrace.collect.codecs import CODECS
from tailrace.collect.delivery import Deliverer, Route, Tools
from tailrace.collect.intake import JournalIntake
from tailrace.collect.ledger import Ledger
from tailrace.collect.metrics import Metrics
from tailrace.collect.pipeline import Pipeline, PipelineSpec, Processed, frames
from tailrace.collect.positions import LedgerPositions
from tailrace.collect.rejected import RejectedStore
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sinks.clickhouse.sink import ClickhouseSink
from tailrace.collect.source import SourceContext
from tailrace.collect.sources.file.config import FileConfig
from tailrace.collect.sources.file.source import FileSource
from tailrace.collect.worker import Job, Workers
from tailrace.telemetry import new_registry
from tests.unit.collect.support import FakeClickhouse, quiet_log, sink_context, until

T = TypeVar("T")
LIMITS = JournalLimits(segment_max_bytes=150, segment_timeout_secs=0.01, fsync_max_wait_ms=0)


class KilledError(BaseException):
    """Nothing is done any more."""


@dataclass
class Fate:
    """Counts steps, and ends everything at one of them."""

    dies_at: int | None = None
    steps: int = 0

    @property
    def is_dead(self) -> bool:
        return self.dies_at is not None and self.steps >= self.dies_at

    def step(self) -> None:
        self.steps += 1
        if self.is_dead:
            raise KilledError


class MortalDisk(Disk):
    def __init__(self, fate: Fate) -> None:
        self.fate = fate

    def _do(self, function: Callable[[], T]) -> T:
        self.fate.step()
        result = function()
        self.fate.step()
        return result

    @override
    def create(self, path: Path) -> int:
        self.fate.step()
        return super().create(path)

    @override
    def write(self, descriptor: int, buffers: Sequence[bytes]) -> None:
        if self.fate.steps + 1 == self.fate.dies_at:
            super().write(descriptor, [b"".join(buffers)[:50]])
        self._do(lambda: Disk.write(self, descriptor, buffers))

    @override
    def sync(self, descriptor: int) -> None:
        self._do(lambda: Disk.sync(self, descriptor))

    @override
    def remove(self, path: Path) -> None:
        self._do(lambda: Disk.remove(self, path))


class MortalLedger(Ledger):
    fate: Fate

    @override
    async def _in_thread(self, function: Callable[[], T]) -> T:
        if getattr(self, "fate", None) is None:
            return await super()._in_thread(function)
        self.fate.step()
        result = await super()._in_thread(function)
        self.fate.step()
        return result


class InlineWorkers(Workers):
    """Works where the test can see it."""

    def __init__(self, specs: dict[str, PipelineSpec]) -> None:
        self.count = 1
        self._pipelines = {name: Pipeline(spec) for name, spec in specs.items()}

    @override
    async def process(self, job: Job) -> Processed:
        return self._pipelines[job.source_id].process(
            list(frames(job.segment.records())), job.encoders
        )


@dataclass
class Collector:
    """All that is behind a source of files, in one folder."""

    folder: Path
    server: FakeClickhouse
    fate: Fate
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        clock, log, metrics = SystemClock(), quiet_log(), Metrics(new_registry())
        config = ClickhouseConfig.model_validate(
            {
                "inputs": ["in"],
                "endpoint": "http://127.0.0.1:8123",
                "database": "logs",
                "table": "intake",
                "format": "json_as_string",
            }
        )
        self.sink = ClickhouseSink(
            config, sink_context("out", self.folder), httpx.MockTransport(self._answer)
        )
        self.journal = await Journal.open(
            self.folder / "in", LIMITS, clock, log, MortalDisk(self.fate)
        )
        self.rejected_journal = await Journal.open(self.folder / "rejected", LIMITS, clock, log)
        rejected = RejectedStore(self.rejected_journal, "logs.rejected", {"out": self.sink})
        self.ledger = await MortalLedger.open(self.folder / "ledger.db", clock)
        source_metrics = metrics.component("in", "source", "file")
        out = metrics.component("out", "sink", "clickhouse")
        spec = PipelineSpec("in", "file", "bytes", {}, {}, {"out": ("in",)})
        tools = Tools(
            InlineWorkers({"in": spec}),
            rejected,
            self.ledger,
            clock,
            {"in": source_metrics, "out": out},
        )
        routes = [Route("out", self.sink, out, is_direct=False)]
        deliverer = Deliverer("in", frozenset({"file", "host"}), self.journal, routes, tools)
        context = SourceContext(
            "in",
            JournalIntake("in", self.journal, rejected, self.ledger, source_metrics, clock),
            CODECS["bytes"],
            source_metrics,
            log,
            clock,
            await LedgerPositions.open("in", self.ledger, self.journal.waiting_segments),
        )
        options = {"include": [str(self.folder / "app.log")], "glob_minimum_cooldown_ms": 1}
        self.source = FileSource(
            FileConfig.model_validate({**options, "max_read_bytes": 40}), context
        )
        assert isinstance(self.ledger, MortalLedger)
        self.ledger.fate = self.fate
        self.tasks.append(asyncio.create_task(deliverer.deliver_for_ever()))
        await self.source.start()

    async def kill(self) -> None:
        """As the system would: what runs is gone, what is on disk stays."""
        self.fate.dies_at = self.fate.steps
        journals = [self.journal, self.rejected_journal]
        tasks = [*self.tasks, *self.source.tasks]
        tasks += [journal._task for journal in journals if journal._task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for journal in journals:
            journal._thread.shutdown()
            if journal._writer:
                os.close(journal._writer.descriptor)
        self.ledger._thread.submit(self.ledger._connection.close)
        self.ledger._thread.shutdown()
        await self.sink.close()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.fate.step()
        answer = await self.server.handle(request)
        self.fate.step()
        return answer


async def until_delivered(server: FakeClickhouse, count: int, fate: Fate) -> None:
    await until(lambda: fate.is_dead or len(server.rows) >= count)


async def collect_three_times_ten_lines(folder: Path, dies_at: int | None) -> Fate:
    """Lines are there at start, come later, and come in a new file after a rotation."""
    log, server, fate = folder / "app.log", FakeClickhouse(), Fate(dies_at)
    stages: list[Callable[[], object]] = [
        lambda: append(log, lines(0)),
        lambda: append(log, lines(1)),
        lambda: (log.rename(folder / "app.log.1"), append(log, lines(2))),
    ]
    stages.pop(0)()
    collector = Collector(folder, server, fate)
    with suppress(KilledError):
        await collector.start()
        for expected in (10, 20, 30):
            await until_delivered(server, expected, fate)
            if fate.is_dead or not stages:
                break
            stages.pop(0)()
        if not fate.is_dead:
            await until(lambda: fate.is_dead or not collector.journal.size_bytes)
    await collector.kill()
    if dies_at is not None:
        collector = Collector(folder, server, Fate())
        await collector.start()
        while True:
            await until_delivered(server, 30 - 10 * len(stages), collector.fate)
            if not stages:
                break
            stages.pop(0)()
        await until(lambda: not collector.journal.size_bytes)
        await collector.kill()
    messages = [int(orjson.loads(row)["message"].split()[0]) for row in server.rows]
    assert sorted(messages) == list(range(30)), f"after dying at step {dies_at}"
    return fate


def append(path: Path, text: bytes) -> int:
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        return file.write(text)


def lines(stage: int) -> bytes:
    return b"".join(b"%d is a line\n" % number for number in range(stage * 10, stage * 10 + 10))


async def test_a_crash_at_any_step_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    fate = await collect_three_times_ten_lines(tmp_path / "all", None)
    assert fate.steps > 50
    for dies_at in range(1, fate.steps):
        await collect_three_times_ten_lines(tmp_path / str(dies_at), dies_at)
