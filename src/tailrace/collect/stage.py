"""The one place that segments go through on their way to transforms that remember.

What is guaranteed:
- One segment at a time, in the order in which `process` is called, by one worker process.
- What came of a segment and what the transforms remember after it are on disk, fsynced
  (`tailrace.collect.outcome`), before `process` returns. A segment that comes again, after a crash
  or because a delivery failed, gets the same answer, and is not worked on a second time: nothing is
  counted, merged or let through twice.
- So a segment may be removed although a transform holds back events of it: those are in the newest
  outcome. They are let go when they are due, after any number of restarts.
- A worker that dies leaves no trace: the next one starts from the newest outcome. A segment that
  ends two workers is searched for the frames that do it, on states that are thrown away; those
  frames are rejected, and all others go on.
- What an outcome holds for a sink that the configuration no longer has is rejected, not lost;
  events that were held back by a transform that is gone are kept aside, and that is said.

An outcome is removed when its segment is gone for good, but for the newest.
"""

import asyncio
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tailrace.collect import outcome as outcomes
from tailrace.collect.outcome import SUFFIX, Outcome
from tailrace.collect.pipeline import PipelineSpec, Processed, frames
from tailrace.collect.sink import RejectedRow
from tailrace.collect.stage_worker import StageJob, serve_stage
from tailrace.collect.stateful import StatefulConfig
from tailrace.collect.worker import Job, Worker, WorkerDiedError
from tailrace.telemetry import Logger

FOLDER = "_state"
"""Name of the folder beside those of the sources."""

DEATHS_UNTIL_SEARCHED = 2
DEATHS_UNTIL_ALL_ARE_REJECTED = 4
GONE_REASON = "the configuration has no longer the sink that this was made for"


def remembers(spec: PipelineSpec) -> bool:
    """Whether a source's way leads through transforms that remember."""
    return any(isinstance(config, StatefulConfig) for config in spec.transforms.values())


def wakes_every_secs(spec: PipelineSpec) -> float | None:
    """How often transforms on a source's way must know the time; None: never."""
    periods = [
        period
        for config in spec.transforms.values()
        if isinstance(config, StatefulConfig) and (period := config.wakes_every_ms())
    ]
    return min(periods) / 1000 if periods else None


class Stage:
    """See the module. `open` it, `close` it."""

    def __init__(self, specs: Mapping[str, PipelineSpec], folder: Path, log: Logger) -> None:
        self._specs = specs
        self._folder = folder
        self._log = log
        self._worker = Worker(specs, partial(serve_stage, folder))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stage")
        self._one_at_a_time = asyncio.Lock()
        self._version = 0
        self._versions: dict[str, tuple[int, Path]] = {}
        """Version and segment's file by token."""
        self.held = 0
        """Events that transforms hold back now."""

    @classmethod
    async def open(cls, specs: Mapping[str, PipelineSpec], folder: Path, log: Logger) -> "Stage":
        """Go on where the newest outcome ends."""
        stage = cls(specs, folder, log)
        await asyncio.to_thread(stage._open)
        return stage

    async def process(self, job: Job) -> Processed:
        """What becomes of a segment; the same, however often it is asked."""
        async with self._one_at_a_time:
            known = self._versions.get(job.segment.token)
            if known:
                found = await asyncio.to_thread(
                    outcomes.read, outcomes.path_of(self._folder, known[0])
                )
                return self._fit(found.processed, job)
            processed = await self._until_done(job)
            self._version += 1
            self._versions[job.segment.token] = (self._version, job.segment.path)
            self.held = processed.held
            await asyncio.to_thread(self._clean)
            return processed

    async def close(self) -> None:
        """End the worker; what it was working on is either on disk or was not begun."""
        await asyncio.to_thread(self._worker.stop)
        self._thread.shutdown()

    async def _until_done(self, job: Job) -> Processed:
        excluded: frozenset[int] = frozenset()
        deaths = 0
        while True:
            try:
                return await self._work(StageJob(job, self._version, excluded))
            except WorkerDiedError:
                deaths += 1
                self._log.error("a worker died", source=job.source_id, deaths=deaths)
            if deaths >= DEATHS_UNTIL_SEARCHED:
                count = await asyncio.to_thread(lambda: len(list(frames(job.segment.records()))))
                excluded = frozenset(range(count))
                if deaths < DEATHS_UNTIL_ALL_ARE_REJECTED:
                    excluded = frozenset(await self._search(job, 0, count))

    async def _search(self, job: Job, first: int, end: int) -> list[int]:
        """Frames that end a worker, each by itself."""
        if first == end:
            return []
        part = Job(job.source_id, job.segment, job.encoders, (first, end))
        try:
            await self._work(StageJob(part, self._version, counts=False))
        except WorkerDiedError:
            if end - first == 1:
                return [first]
            middle = (first + end) // 2
            return [*await self._search(job, first, middle), *await self._search(job, middle, end)]
        return []

    async def _work(self, work: StageJob) -> Processed:
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, self._worker.work, work))

    def _fit(self, processed: Processed, job: Job) -> Processed:
        """An answer given under another configuration, for the sinks of this one."""
        known = self._specs[job.source_id].sink_inputs
        for sink_id, body in processed.bodies.items():
            if body and sink_id not in known:
                row = RejectedRow(
                    sink_id, "", job.segment.first_received_at_ms, GONE_REASON, bytes(body)
                )
                processed.rejected.append(row)
        processed.bodies = {name: processed.bodies.get(name, b"") for name in job.encoders}
        return processed

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        newest: tuple[Path, Outcome] | None = None
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                found = outcomes.read(path)
            except ValueError as error:
                self._log.error("cannot read a state: it is kept aside", problem=str(error))
                path.replace(path.with_suffix(".damaged"))
                continue
            self._version = int(path.stem)
            self._versions[found.token] = (self._version, Path(found.segment_path))
            self.held = found.processed.held
            newest = path, found
        if newest:
            self._look_for_orphans(*newest)
        self._clean()

    def _look_for_orphans(self, path: Path, found: Outcome) -> None:
        kinds = {
            name: config.type
            for spec in self._specs.values()
            for name, config in spec.transforms.items()
        }
        for name, held in found.held.items():
            if held and kinds.get(name) != found.types[name]:
                aside = path.with_suffix(".orphaned")
                shutil.copyfile(path, aside)
                self._log.error(
                    "events were held back by a transform that is gone: they are kept aside",
                    transform=name,
                    events=held,
                    file=str(aside),
                )
                self.held -= held

    def _clean(self) -> None:
        """Remove the outcomes of segments that are gone, but for the newest."""
        for token, (version, segment_path) in list(self._versions.items()):
            if version == self._version or segment_path.exists():
                continue
            # A segment that a crash brings back must find its outcome here.
            if segment_path.parent.exists():
                outcomes.sync_folder(segment_path.parent)
            outcomes.path_of(self._folder, version).unlink(missing_ok=True)
            del self._versions[token]
