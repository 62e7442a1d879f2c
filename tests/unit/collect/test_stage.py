"""A stage: outcomes on disk, frames that end workers, damage, and cleaning up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tailrace.clock import SystemClock
from tailrace.collect import outcome as outcomes
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tailrace.collect.buffer.segment import Segment
from tailrace.collect.encoding import Encoding, StreamEncoder
from tailrace.collect.outcome import Outcome
from tailrace.collect.pipeline import PipelineSpec, Processed, write_origin, write_tick
from tailrace.collect.sink import RejectedRow
from tailrace.collect.source import Origin
from tailrace.collect.stage import Stage
from tailrace.collect.stage_worker import Bench, StageJob
from tailrace.collect.transform import TransformContext
from tailrace.collect.transforms.reduce import ReduceConfig
from tailrace.collect.worker import POISON_REASON, Job, WorkerDiedError
from tests.unit.collect.support import quiet_log

REDUCE = ReduceConfig.model_validate(
    {"type": "reduce", "inputs": ["in"], "merge_strategies": {"n": "array"}, "max_events": 3}
)
SPEC = PipelineSpec(
    "in",
    "socket",
    "json",
    {"gather": REDUCE},
    {"gather": TransformContext("gather")},
    {"out": ("gather",)},
)
ENCODERS = {"out": StreamEncoder(Encoding(codec="json", only_fields=("n",)))}


class InProcess:
    """A worker without a process; it dies of what `is_deadly` says."""

    def __init__(self, folder: Path, is_deadly: Callable[[bytes], bool]) -> None:
        self._folder = folder
        self._is_deadly = is_deadly
        self.bench = Bench(folder, {"in": SPEC})
        self.jobs: list[StageJob] = []

    def work(self, work: StageJob) -> Processed:
        self.jobs.append(work)
        lines = b"".join(bytes(r.payload) for r in work.job.segment.records()).splitlines()
        first, end = work.job.span or (0, len(lines))
        wanted = [lines[n] for n in range(first, end) if n not in work.excluded]
        if any(map(self._is_deadly, wanted)):
            self.bench = Bench(self._folder, {"in": SPEC})
            raise WorkerDiedError
        return self.bench.process(work)

    def stop(self) -> None:
        pass


class Scene:
    """A journal with segments, and stages one after the other, each a new process."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self.journal = journal
        self.folder = folder
        self.worker: InProcess | None = None

    async def segment(self, *payloads: bytes) -> Segment:
        origin = write_origin(Origin(), one_frame=False)
        await self.journal.append(
            [Chunk(payload + b"\n", 1, origin) for payload in payloads]
            or [Chunk(b"", 0, write_tick("end"))]
        )
        await self.journal.flush()
        return await self.journal.next_segment()

    async def stage(
        self,
        is_deadly: Callable[[bytes], bool] = lambda line: False,
        spec: PipelineSpec = SPEC,
    ) -> Stage:
        stage = await Stage.open({"in": spec}, self.folder, quiet_log())
        self.worker = InProcess(self.folder, is_deadly)
        stage._worker = self.worker  # type: ignore[assignment]
        return stage


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    limits = JournalLimits(segment_timeout_secs=3600, fsync_max_wait_ms=0)
    journal = await Journal.open(tmp_path / "in", limits, SystemClock(), quiet_log())
    scene = Scene(journal, tmp_path / "_state")
    yield scene
    await scene.journal.close()


def ns(*numbers: int) -> list[bytes]:
    return [orjson.dumps({"n": number}) for number in numbers]


def out(processed: Processed) -> list[list[int]]:
    return [orjson.loads(line)["n"] for line in bytes(processed.bodies["out"]).splitlines()]


async def test_the_same_answer_however_often_and_by_whichever_process(scene: Scene) -> None:
    first, second = await scene.segment(*ns(1, 2)), await scene.segment(*ns(3, 4))
    stage = await scene.stage()
    assert out(await stage.process(Job("in", first, ENCODERS))) == []
    assert stage.held == 2
    answer = await stage.process(Job("in", second, ENCODERS))
    assert out(answer) == [[1, 2, 3]]
    again = await scene.stage()
    assert again.held == 1
    repeated = await again.process(Job("in", second, ENCODERS))
    assert (repeated.bodies, repeated.counts) == (answer.bodies, answer.counts)
    assert scene.worker is not None
    assert scene.worker.jobs == []
    end = await scene.segment()
    assert out(await again.process(Job("in", end, ENCODERS))) == [[4]]
    assert again.held == 0


async def test_outcomes_go_when_their_segments_are_gone_but_for_the_newest(scene: Scene) -> None:
    stage = await scene.stage()
    for number in range(5):
        segment = await scene.segment(*ns(number))
        await stage.process(Job("in", segment, ENCODERS))
        await scene.journal.remove(segment)
    kept = sorted(path.name for path in scene.folder.iterdir())
    assert kept == ["0000000000000005.outcome"]
    assert (await scene.stage()).held == 2


async def test_a_batch_that_is_brought_again_after_a_crash_has_the_same_answer(
    scene: Scene,
) -> None:
    """Its file is forgotten, but not its name: so what was remembered of it stays, too."""
    origin = write_origin(Origin(), one_frame=False)
    chunks = [Chunk(b"\n".join([*ns(1, 2, 3, 4), b""]), 4, origin)]
    delivering = asyncio.create_task(scene.journal.deliver("t@0@0-4@mark", chunks))
    stage = await scene.stage()
    answer = await stage.process(Job("in", await scene.journal.next_segment(), ENCODERS))
    assert out(answer) == [[1, 2, 3]]
    await stage.process(Job("in", other := await scene.segment(*ns(5)), ENCODERS))
    await scene.journal.remove(other)
    delivering.cancel()
    await scene.journal.close()

    journal = scene.journal
    scene.journal = await Journal.open(journal.folder, journal.limits, SystemClock(), quiet_log())
    after = await scene.stage()
    more = await after.process(Job("in", await scene.segment(*ns(6)), ENCODERS))
    assert out(more) == [[4, 5, 6]]
    delivering = asyncio.create_task(scene.journal.deliver("t@0@0-4@mark", chunks))
    again = await after.process(Job("in", await scene.journal.next_segment(), ENCODERS))
    assert (again.bodies, again.counts) == (answer.bodies, answer.counts)
    assert after.held == 0
    delivering.cancel()


async def test_frames_that_end_workers_are_found_and_rejected(scene: Scene) -> None:
    lines = ns(*range(20))
    lines[7] = lines[13] = b'{"n":"poison"}'
    stage = await scene.stage(lambda line: b"poison" in line)
    segment = await scene.segment(*lines)
    processed = await stage.process(Job("in", segment, ENCODERS))
    assert [row.raw for row in processed.rejected] == [lines[7], lines[13]]
    assert {row.reason for row in processed.rejected} == {POISON_REASON}
    assert processed.counts["in", "rejected", ""] == 2
    assert sum(out(processed), []) == [n for n in range(20) if n not in (7, 13)]
    assert stage.held == 0


async def test_a_segment_that_ends_every_worker_is_rejected_whole(scene: Scene) -> None:
    left = {"calls": 0}

    def is_deadly(line: bytes) -> bool:
        """Only together: never when a part is tried."""
        assert scene.worker is not None
        return scene.worker.jobs[-1].counts and left["calls"] < 100

    stage = await scene.stage(is_deadly)
    segment = await scene.segment(*ns(1, 2, 3))
    processed = await stage.process(Job("in", segment, ENCODERS))
    assert len(processed.rejected) == 3
    assert out(processed) == []


async def test_what_was_made_for_a_sink_that_is_gone_is_rejected(scene: Scene) -> None:
    segment = await scene.segment(*ns(1, 2, 3))
    await (await scene.stage()).process(Job("in", segment, ENCODERS))
    stage = await scene.stage(spec=replace(SPEC, sink_inputs={"other": ("gather",)}))
    encoders = {"other": ENCODERS["out"]}
    processed = await stage.process(Job("in", segment, encoders))
    assert processed.bodies == {"other": b""}
    (row,) = processed.rejected
    assert (row.component_id, orjson.loads(row.raw)) == ("out", {"n": [1, 2, 3]})


async def test_a_damaged_outcome_is_set_aside(scene: Scene) -> None:
    stage = await scene.stage()
    segment = await scene.segment(*ns(1))
    await stage.process(Job("in", segment, ENCODERS))
    path = outcomes.path_of(scene.folder, 1)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    stage = await scene.stage()
    assert stage.held == 0
    assert [found.suffix for found in scene.folder.iterdir()] == [".damaged"]
    await stage.process(Job("in", segment, ENCODERS))
    assert stage.held == 1


def test_an_outcome_is_read_as_it_was_written(tmp_path: Path) -> None:
    processed = Processed(
        {"a": b"1\n2\n", "b": b""},
        rejected=[RejectedRow("t", "p", 5, "because", b"\xff\0")],
        held=3,
    )
    processed.rows["a"] = 2
    processed.counts["t", "discarded", "why"] = 4
    written = Outcome(
        "token", "/x/1.segment", processed, {"t": 3}, {"t": "reduce"}, {"t": [b"k", {1: (2,)}]}
    )
    outcomes.write(tmp_path, 12, written)
    assert outcomes.read(outcomes.path_of(tmp_path, 12)) == written
