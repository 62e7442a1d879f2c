"""Puts sources, journals, workers and sinks together as a configuration says, and runs them.

Start: first what is in the buffer can be delivered, then sources listen. Stop: first sources take no
more and hand over what has come, then what is in the buffer is delivered as far as the grace time
goes; the rest stays on disk for the next start.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tailrace.clock import Clock
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tailrace.collect.buffer.lock import lock_folder
from tailrace.collect.codecs import CODECS
from tailrace.collect.component import SinkConfig, SourceConfig
from tailrace.collect.config import Config
from tailrace.collect.delivery import Deliverer, Tools
from tailrace.collect.intake import JournalIntake
from tailrace.collect.ledger import FILE as LEDGER_FILE
from tailrace.collect.ledger import Ledger
from tailrace.collect.metrics import ComponentMetrics, Metrics
from tailrace.collect.pipeline import Tick, write_tick
from tailrace.collect.plan import Plan, plan
from tailrace.collect.positions import LedgerPositions
from tailrace.collect.rejected import FOLDER as REJECTED_FOLDER
from tailrace.collect.rejected import RejectedStore
from tailrace.collect.sink import Sink, SinkContext
from tailrace.collect.sinks import SINKS
from tailrace.collect.source import Source, SourceContext
from tailrace.collect.sources import SOURCES
from tailrace.collect.stage import FOLDER as STAGE_FOLDER
from tailrace.collect.stage import Stage, remembers, wakes_every_secs
from tailrace.collect.transform import TransformConfig
from tailrace.collect.worker import Workers
from tailrace.settings import Settings
from tailrace.telemetry import Logger

REJECTED_LIMITS = JournalLimits(segment_timeout_secs=0.5)
"""Rejected rows wait half a second for others before they are inserted."""

SOURCES_GRACE_SECS = 1.0


@dataclass
class Line:
    """One source with everything behind it."""

    source_id: str
    source: Source
    journal: Journal
    rejected_journal: Journal
    rejected: RejectedStore
    deliverer: Deliverer
    wakes_every_secs: float | None = None
    """How often transforms behind it must know the time."""

    async def tick(self, tick: Tick) -> None:
        """Tell transforms that remember what time it is, or that nothing comes any more."""
        await self.journal.append([Chunk(b"", 0, write_tick(tick))])


class Topology:
    """A running configuration."""

    def __init__(
        self, config: Config, settings: Settings, metrics: Metrics, clock: Clock, log: Logger
    ) -> None:
        self._config = config
        self._settings = settings
        self._clock = clock
        self._log = log
        self._components = _component_metrics(config, metrics)
        self._folder = (config.data_dir or settings.data_dir) / "buffer"
        self._lines: list[Line] = []
        self._sinks: dict[str, Sink] = {}
        self._deliveries: list[asyncio.Task[None]] = []
        self._checks: list[asyncio.Task[None]] = []
        self._resources = AsyncExitStack()
        self._stage: Stage | None = None
        self._is_listening = False

    def is_ready(self) -> bool:
        """Whether sources listen and the last delivery of every sink worked, if there was one."""
        return self._is_listening and all(sink.is_well for sink in self._sinks.values())

    @property
    def sources(self) -> dict[str, Source]:
        """The running sources."""
        return {line.source_id: line.source for line in self._lines}

    async def start(self) -> None:
        """Open the buffers and listen."""
        try:
            await self._open()
            if self._config.healthchecks:
                self._checks = [asyncio.create_task(self._check(name)) for name in self._sinks]
            for line in self._lines:
                await line.source.start()
        except BaseException:
            await self._close()
            raise
        self._is_listening = True

    async def run(self) -> None:
        """Deliver until every source is finished and all is delivered; raises what goes wrong."""
        finished = asyncio.create_task(self._until_finished())
        running = {finished, *self._deliveries}
        for line in self._lines:
            running |= {line.journal.task, line.rejected_journal.task, *line.source.tasks}
        try:
            while not finished.done():
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
        finally:
            finished.cancel()

    async def stop(self, grace_secs: float) -> None:
        """Take no more, deliver what can be delivered in time, and close everything."""
        self._is_listening = False
        before = self._clock.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for line in self._lines:
                    group.create_task(line.source.stop(min(SOURCES_GRACE_SECS, grace_secs / 2)))
            left = max(0.0, grace_secs - (self._clock.monotonic() - before))
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._until_delivered()
            waiting = sum(line.journal.events for line in self._lines)
            if waiting:
                self._log.info("events stay in the buffer for the next start", events=waiting)
        finally:
            await self._close()

    async def _check(self, sink_id: str) -> None:
        """Ask a destination whether it is well, and say so where it is not; events wait then."""
        problem = await self._sinks[sink_id].check()
        if problem:
            self._log.warning("the sink is not well yet", sink=sink_id, problem=problem)

    async def _until_finished(self) -> None:
        for line in self._lines:
            await line.source.finished.wait()
        await self._until_delivered()

    async def _until_delivered(self) -> None:
        await self._until_journals_are_empty()
        if self._stage and self._stage.held:
            for line in self._lines:
                if line.wakes_every_secs:
                    await line.tick("end")
            await self._until_journals_are_empty()
        for line in self._lines:
            await line.rejected_journal.flush()
            await line.rejected_journal.until_empty()

    async def _until_journals_are_empty(self) -> None:
        for line in self._lines:
            await line.journal.flush()
            await line.journal.until_empty()

    async def _tick_for_ever(self, line: Line, stage: Stage, period_secs: float) -> None:
        """Let time pass for transforms that hold events back while nothing comes."""
        while True:
            await asyncio.sleep(period_secs)
            if stage.held and not line.journal.size_bytes:
                await line.tick("now")

    async def _open(self) -> None:
        plans = plan(self._config, self._components)
        ledger = await Ledger.open(self._folder / LEDGER_FILE, self._clock)
        self._resources.push_async_callback(ledger.close)
        specs = {one.source_id: one.spec for one in plans}
        workers = Workers(self._settings.transform_workers, specs, self._log)
        self._resources.push_async_callback(workers.close)
        in_order = {name: spec for name, spec in specs.items() if remembers(spec)}
        if in_order:
            self._stage = await Stage.open(in_order, self._folder / STAGE_FOLDER, self._log)
            self._resources.push_async_callback(self._stage.close)
        for sink_id, sink_config in self._config.sinks.items():
            context = SinkContext(
                sink_id,
                self._components[sink_id],
                self._log,
                self._clock,
                self._settings,
                ledger,
                own_folder=self._folder / "_sinks",
            )
            sink = SINKS[sink_config.type].build(sink_config, context)
            self._sinks[sink_id] = sink
            self._resources.push_async_callback(sink.close)
        for one in plans:
            await self._open_line(one, ledger, workers)
        for line in self._lines:
            for delivery in (line.deliverer.deliver_for_ever(), line.rejected.deliver_for_ever()):
                self._deliveries.append(asyncio.create_task(delivery, name=line.source_id))
            if self._stage and line.wakes_every_secs:
                ticking = self._tick_for_ever(line, self._stage, line.wakes_every_secs)
                self._deliveries.append(asyncio.create_task(ticking, name=line.source_id))

    async def _open_line(self, one: Plan, ledger: Ledger, workers: Workers) -> None:
        name = quote(one.source_id, safe="")
        folder = self._folder / name
        self._resources.enter_context(lock_folder(folder, one.source_id))
        sinks = {sink_id: self._sinks[sink_id] for sink_id in one.sink_ids}
        journal = await self._open_journal(folder, self._limits(list(sinks.values())))
        rejected_journal = await self._open_journal(
            self._folder / REJECTED_FOLDER / name, REJECTED_LIMITS
        )
        metrics = self._components[one.source_id]
        rejected = RejectedStore(rejected_journal, self._settings.rejected_table, sinks)
        metrics.set_aside(journal.damaged_records)
        metrics.watch_buffer(lambda: journal.events, lambda: journal.size_bytes)
        intake = JournalIntake(one.source_id, journal, rejected, ledger, metrics, self._clock)
        config = self._config.sources[one.source_id]
        positions = await LedgerPositions.open(one.source_id, ledger, journal.waiting_segments)
        context = SourceContext(
            one.source_id,
            intake,
            CODECS[one.spec.codec],
            metrics,
            self._log,
            self._clock,
            positions,
        )
        stage = self._stage if remembers(one.spec) else None
        tools = Tools(stage or workers, rejected, ledger, self._clock, self._components)
        self._lines.append(
            Line(
                one.source_id,
                SOURCES[config.type].build(config, context),
                journal,
                rejected_journal,
                rejected,
                Deliverer(one.source_id, config.added_fields(), journal, one.routes(sinks), tools),
                wakes_every_secs(one.spec),
            )
        )

    async def _open_journal(self, folder: Path, limits: JournalLimits) -> Journal:
        journal = await Journal.open(folder, limits, self._clock, self._log)
        self._resources.push_async_callback(journal.close)
        return journal

    def _limits(self, sinks: list[Sink]) -> JournalLimits:
        counts = [sink.batch_max_events for sink in sinks if sink.batch_max_events]
        return JournalLimits(
            segment_max_bytes=min(sink.batch_max_bytes for sink in sinks),
            segment_max_events=min(counts) if counts else None,
            segment_timeout_secs=min(sink.batch_timeout_secs for sink in sinks),
            fsync_max_wait_ms=self._settings.fsync_max_wait_ms,
            max_bytes=self._settings.buffer_max_bytes,
        )

    async def _close(self) -> None:
        tasks = [*self._deliveries, *self._checks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._resources.aclose()


def _component_metrics(config: Config, metrics: Metrics) -> dict[str, ComponentMetrics]:
    kinds: dict[str, Mapping[str, SourceConfig | TransformConfig | SinkConfig]] = {
        "source": config.sources,
        "transform": config.transforms,
        "sink": config.sinks,
    }
    return {
        component_id: metrics.component(component_id, kind, component.type)
        for kind, components in kinds.items()
        for component_id, component in components.items()
    }
