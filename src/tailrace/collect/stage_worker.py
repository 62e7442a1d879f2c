"""The worker process of a stage: works on segments and writes down what came of them.

(What is guaranteed: `tailrace.collect.stage`.) It knows the version of the state that it has in
memory; where a job starts from another, it reads that one's outcome first.
"""

import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tailrace.collect import outcome as outcomes
from tailrace.collect.buffer.disk import is_disk_full
from tailrace.collect.handover import hand_over
from tailrace.collect.outcome import Outcome
from tailrace.collect.pipeline import (
    Frame,
    Pipeline,
    PipelineSpec,
    Processed,
    frames,
    read_tick,
)
from tailrace.collect.sink import RejectedRow
from tailrace.collect.stateful import Moment, StatefulConfig, StatefulTransform
from tailrace.collect.worker import POISON_REASON, Job
from tailrace.telemetry import get_logger

DISK_RETRY_SECS = 1.0


@dataclass(frozen=True)
class StageJob:
    """One segment's work."""

    job: Job
    version: int
    """Of the state that it starts from; 0: none yet."""
    excluded: frozenset[int] = frozenset()
    """Frames that are rejected, because they end workers."""
    counts: bool = True
    """Whether the outcome is written; if not, everything is forgotten again."""


def serve_stage(folder: Path, connection: Connection, specs: Mapping[str, PipelineSpec]) -> None:
    """A worker's life: jobs come in, results go out, until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    bench = Bench(folder, specs)
    while True:
        try:
            work: StageJob = connection.recv()
        except (EOFError, OSError):
            return
        hand_over(connection, bench.process(work))


class Bench:
    """The transforms that remember, once each, and every source's pipeline around them."""

    def __init__(self, folder: Path, specs: Mapping[str, PipelineSpec]) -> None:
        self._folder = folder
        self._specs = specs
        self._version: int | None = None
        self._shared: dict[str, StatefulTransform] = {}
        self._pipelines: dict[str, Pipeline] = {}
        self._types = {
            name: config.type
            for spec in specs.values()
            for name, config in spec.transforms.items()
            if isinstance(config, StatefulConfig)
        }

    def process(self, work: StageJob) -> Processed:
        """Work on one segment."""
        if self._version != work.version:
            self._start_from(work.version)
        self._version = None
        job = work.job
        records = list(job.segment.records())
        ticks = [read_tick(record.metadata) for record in records]
        last = Moment(max((record.received_at_ms for record in records), default=0), "end" in ticks)
        found = list(frames(iter(records)))
        first, end = job.span or (0, len(found))
        wanted = [found[n] for n in range(first, end) if n not in work.excluded]
        processed = self._pipelines[job.source_id].process(wanted, job.encoders, last)
        for row in _rejected(job.source_id, found, work.excluded):
            processed.rejected.append(row)
            processed.counts[job.source_id, "rejected", ""] += 1
        if work.counts:
            self._write(work, processed)
        return processed

    def _write(self, work: StageJob, processed: Processed) -> None:
        held = {name: transform.held for name, transform in self._shared.items()}
        processed.held = sum(held.values())
        state = {name: transform.state() for name, transform in self._shared.items()}
        segment = work.job.segment
        outcome = Outcome(segment.token, str(segment.path), processed, held, self._types, state)
        while not _is_written(self._folder, work.version + 1, outcome):
            time.sleep(DISK_RETRY_SECS)
        self._version = work.version + 1

    def _start_from(self, version: int) -> None:
        """Build everything anew, with what was remembered then."""
        self._shared, self._pipelines = {}, {}
        for source_id, spec in self._specs.items():
            self._pipelines[source_id] = Pipeline(spec, self._shared)
        if not version:
            return
        outcome = outcomes.read(outcomes.path_of(self._folder, version))
        for name, transform in self._shared.items():
            if outcome.types.get(name) == self._types[name]:
                transform.restore(outcome.state[name])


def _is_written(folder: Path, version: int, outcome: Outcome) -> bool:
    """False where the disk is full, which is no fault of the frames: that may pass."""
    try:
        outcomes.write(folder, version, outcome)
    except OSError as error:
        if not is_disk_full(error):
            raise
        get_logger("collector").warning("cannot write a state; trying again", error=str(error))
        return False
    return True


def _rejected(
    source_id: str, found: list[Frame], excluded: frozenset[int]
) -> Iterator[RejectedRow]:
    for number in sorted(excluded):
        frame = found[number]
        yield RejectedRow(
            source_id, frame.origin.peer, frame.received_at_ms, POISON_REASON, frame.data
        )
