"""Puts sources, journals, workers and sinks together as a configuration says, and runs them.

Start: first what is in the buffer can be delivered, then sources listen. Stop: first sources take no
more and hand over what has come, then what is in the buffer is delivered as far as the grace time
goes; the rest stays on disk for the next start.

Reload: sources whose options are the same go on without a pause, their connections stay open, and
what is in their buffers stays there. Transforms, sinks and workers are made anew; a batch that was
on its way is delivered again, under its token. Other sources stop as at the end, and what they
leave in their buffers is delivered by the source of their name, or by the next that has it. Where
the new configuration cannot start, the old one is put in place again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tailrace.clock import Clock
from tailrace.collect.buffer.disk import KEPT_FREE_BYTES, Disk
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
from tailrace.collect.stateful import StatefulConfig
from tailrace.collect.transform import TransformConfig
from tailrace.collect.worker import Workers
from tailrace.errors import ConfigurationError, TailraceError
from tailrace.settings import Settings
from tailrace.telemetry import Logger

REJECTED_LIMITS = JournalLimits(segment_timeout_secs=0.5)
"""Rejected rows wait half a second for others before they are inserted."""

SOURCES_GRACE_SECS = 1.0

RELOAD_GRACE_SECS = 2.0
"""Time for the delivery of what is in the buffers of sources that go."""


@dataclass
class Line:
    """One source with everything behind it."""

    source_id: str
    source: Source
    journal: Journal
    rejected_journal: Journal
    rejected: RejectedStore
    resources: AsyncExitStack
    """What is given back when the source goes."""
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
        self._metrics = metrics
        self._components = _component_metrics(config, metrics)
        self._folder = (config.data_dir or settings.data_dir) / "buffer"
        self._lines: list[Line] = []
        self._sinks: dict[str, Sink] = {}
        self._deliveries: list[asyncio.Task[None]] = []
        self._checks: list[asyncio.Task[None]] = []
        self._ledger: Ledger | None = None
        self._delivery_resources = AsyncExitStack()
        """What is made anew by a reload."""
        self._generation = 0
        self._is_steady = asyncio.Event()
        """Cleared while the running tasks change."""
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
            self._ledger = await Ledger.open(self._folder / LEDGER_FILE, self._clock)
            await self._open(plan(self._config, self._components))
        except BaseException:
            await self._close()
            raise
        self._is_listening = True

    async def run(self) -> None:
        """Deliver until every source is finished and all is delivered; raises what goes wrong."""
        while not await self._is_done_before_a_change():
            await self._is_steady.wait()

    async def until_steady(self) -> None:
        """Until no change of the configuration is under way."""
        await self._is_steady.wait()

    async def _is_done_before_a_change(self) -> bool:
        generation = self._generation
        finished = asyncio.create_task(self._until_finished())
        running = {finished, *self._deliveries}
        for line in self._lines:
            running |= {line.journal.task, line.rejected_journal.task, *line.source.tasks}
        try:
            while not finished.done():
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                # A change ends tasks, which is no error; there are others afterwards.
                if self._generation != generation:
                    return False
                for task in done:
                    await _result_of(task)
        finally:
            finished.cancel()
        return True

    async def reload(self, config: Config) -> None:
        """Go on as another configuration says; raises, and goes on as before, where it cannot."""
        if ((config.data_dir or self._settings.data_dir) / "buffer") != self._folder:
            raise ConfigurationError("cannot change data_dir while running: start anew")
        old = self._config
        plans = plan(config, _component_metrics(config, self._metrics))
        self._is_steady.clear()
        self._generation += 1
        try:
            await self._switch(config, plans)
        except (TailraceError, OSError):
            await self._switch(old, plan(old, _component_metrics(old, self._metrics)))
            raise
        finally:
            self._is_steady.set()

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
            await self._let_everything_go()
        for line in self._lines:
            await line.rejected_journal.flush()
            await line.rejected_journal.until_empty()

    async def _let_everything_go(self) -> None:
        """Until transforms hold nothing back any more."""
        for line in self._lines:
            if line.wakes_every_secs:
                await line.tick("end")
        await self._until_journals_are_empty()

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

    async def _switch(self, config: Config, plans: list[Plan]) -> None:
        """From the present configuration to another; after an error some sources are missing."""
        same = {
            name
            for name, source in config.sources.items()
            if source == self._config.sources.get(name)
        }
        leaving = [line for line in self._lines if line.source_id not in same]
        async with asyncio.TaskGroup() as group:
            for line in leaving:
                group.create_task(line.source.stop(SOURCES_GRACE_SECS))
        with suppress(TimeoutError):
            async with asyncio.timeout(RELOAD_GRACE_SECS):
                for line in leaving:
                    await line.journal.flush()
                    await line.journal.until_empty()
                if (
                    self._stage
                    and self._stage.held
                    and _memories(config) != _memories(self._config)
                ):
                    await self._let_everything_go()
        await self._end_deliveries()
        for line in leaving:
            await self._close_line(line, config)
        for line in self._lines:
            await line.journal.rewind()
            await line.rejected_journal.rewind()
        self._config, self._components = config, _component_metrics(config, self._metrics)
        await self._open(plans)

    async def _close_line(self, line: Line, config: Config | None = None) -> None:
        if config and line.journal.events and line.source_id not in config.sources:
            self._log.warning(
                "events stay in the buffer of a source that is gone, until one has its name",
                source=line.source_id,
                events=line.journal.events,
            )
        self._lines.remove(line)
        await line.resources.aclose()

    async def _open(self, plans: list[Plan]) -> None:
        """Make everything that is not there yet, and begin."""
        await self._make_sinks(plans)
        present = {line.source_id: line for line in self._lines}
        new: list[Line] = []
        try:
            for one in plans:
                line = present.get(one.source_id)
                if line is None:
                    line = await self._open_line(one)
                    self._lines.append(line)
                    new.append(line)
                self._begin_deliveries(one, line)
            if self._config.healthchecks:
                self._checks = [asyncio.create_task(self._check(name)) for name in self._sinks]
            while new:
                await new[0].source.start()
                new.pop(0)
        except BaseException:
            await self._end_deliveries()
            for line in new:
                await self._close_line(line)
            raise
        self._is_steady.set()

    async def _make_sinks(self, plans: list[Plan]) -> None:
        specs = {one.source_id: one.spec for one in plans}
        resources = self._delivery_resources
        self._workers = Workers(self._settings.transform_workers, specs, self._log)
        resources.push_async_callback(self._workers.close)
        in_order = {name: spec for name, spec in specs.items() if remembers(spec)}
        self._stage = None
        if in_order:
            self._stage = await Stage.open(in_order, self._folder / STAGE_FOLDER, self._log)
            resources.push_async_callback(self._stage.close)
        self._sinks = {}
        for sink_id, sink_config in self._config.sinks.items():
            context = SinkContext(
                sink_id,
                self._components[sink_id],
                self._log,
                self._clock,
                self._settings,
                self._open_ledger,
                own_folder=self._folder / "_sinks",
            )
            sink = SINKS[sink_config.type].build(sink_config, context)
            self._sinks[sink_id] = sink
            resources.push_async_callback(sink.close)

    def _begin_deliveries(self, one: Plan, line: Line) -> None:
        """Bring what is in a source's buffers to the sinks that there are now."""
        sinks = {sink_id: self._sinks[sink_id] for sink_id in one.sink_ids}
        line.journal.limits = self._limits(one)
        line.rejected.use(sinks)
        line.wakes_every_secs = wakes_every_secs(one.spec)
        stage = self._stage if remembers(one.spec) else None
        work = stage or self._workers
        tools = Tools(work, line.rejected, self._open_ledger, self._clock, self._components)
        added = self._config.sources[one.source_id].added_fields()
        deliverer = Deliverer(one.source_id, added, line.journal, one.routes(sinks), tools)
        endless = [deliverer.deliver_for_ever(), line.rejected.deliver_for_ever()]
        if stage and line.wakes_every_secs:
            endless.append(self._tick_for_ever(line, stage, line.wakes_every_secs))
        self._deliveries += [asyncio.create_task(each, name=line.source_id) for each in endless]

    async def _end_deliveries(self) -> None:
        """Let nothing be under way any more, and give back what was used for it."""
        tasks = [*self._deliveries, *self._checks]
        self._deliveries, self._checks = [], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._delivery_resources.aclose()
        self._delivery_resources = AsyncExitStack()

    async def _open_line(self, one: Plan) -> Line:
        async with AsyncExitStack() as resources:
            name = quote(one.source_id, safe="")
            folder = self._folder / name
            resources.enter_context(lock_folder(folder, one.source_id))
            sinks = {sink_id: self._sinks[sink_id] for sink_id in one.sink_ids}
            disk = Disk(KEPT_FREE_BYTES)
            journal = await self._open_journal(folder, self._limits(one), disk, resources)
            folder = self._folder / REJECTED_FOLDER / name
            disk = Disk(KEPT_FREE_BYTES // 2)
            rejected_journal = await self._open_journal(folder, REJECTED_LIMITS, disk, resources)
            metrics = self._components[one.source_id]
            rejected = RejectedStore(rejected_journal, self._settings.rejected_table, sinks)
            metrics.set_aside(journal.damaged_records)
            metrics.watch_buffer(lambda: journal.events, lambda: journal.size_bytes)
            ledger = self._open_ledger
            intake = JournalIntake(one.source_id, journal, rejected, ledger, metrics, self._clock)
            positions = await LedgerPositions.open(one.source_id, ledger, journal.waiting_segments)
            context = SourceContext(
                one.source_id,
                intake,
                CODECS[one.spec.codec],
                metrics,
                self._log,
                self._clock,
                positions,
                journal.limits.segment_max_events,
                journal.limits.segment_max_bytes,
                batches=intake,
            )
            config = self._config.sources[one.source_id]
            source = SOURCES[config.type].build(config, context)
            kept = resources.pop_all()
        return Line(one.source_id, source, journal, rejected_journal, rejected, kept)

    async def _open_journal(
        self, folder: Path, limits: JournalLimits, disk: Disk, resources: AsyncExitStack
    ) -> Journal:
        journal = await Journal.open(folder, limits, self._clock, self._log, disk)
        resources.push_async_callback(journal.close)
        return journal

    @property
    def _open_ledger(self) -> Ledger:
        if self._ledger is None:
            raise RuntimeError("BUG: the topology was not started")
        return self._ledger

    def _limits(self, one: Plan) -> JournalLimits:
        """Those of a source's journal: the smallest that any of its sinks asks for."""
        sinks = [self._sinks[sink_id] for sink_id in one.sink_ids]
        buffers = [self._config.sinks[sink_id].buffer for sink_id in one.sink_ids]
        counts = [sink.batch_max_events for sink in sinks if sink.batch_max_events]
        sizes = [buffer.max_size for buffer in buffers if buffer.max_size]
        return JournalLimits(
            segment_max_bytes=min(sink.batch_max_bytes for sink in sinks),
            segment_max_events=min(counts, default=None),
            segment_timeout_secs=min(sink.batch_timeout_secs for sink in sinks),
            fsync_max_wait_ms=self._settings.fsync_max_wait_ms,
            max_bytes=min(sizes, default=self._settings.buffer_max_bytes),
            max_waiting_events=min(
                [buffer.max_events for buffer in buffers if buffer.max_events], default=None
            ),
            # All of them agree: the configuration was checked for that.
            drops_newest=buffers[0].when_full == "drop_newest",
        )

    async def _close(self) -> None:
        await self._end_deliveries()
        for line in list(self._lines):
            await self._close_line(line)
        if self._ledger:
            await self._ledger.close()


async def _result_of(task: asyncio.Task[None]) -> None:
    """Raises what went wrong; where all of that is for a person, the first of it, by itself."""
    try:
        await task
    except BaseExceptionGroup as group:
        ours: BaseException | None
        ours, others = group.split(TailraceError)
        while isinstance(ours, BaseExceptionGroup):
            ours = ours.exceptions[0]
        if ours is None or others:
            raise
        raise ours from None


def _memories(config: Config) -> dict[str, TransformConfig]:
    """The transforms that remember."""
    return {
        name: transform
        for name, transform in config.transforms.items()
        if isinstance(transform, StatefulConfig)
    }


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
