"""Worker processes: transforms, and events that end the process that works on them."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from typing_extensions import override

from tailrace.collect import worker as worker_module
from tailrace.collect.buffer.disk import Disk
from tailrace.collect.buffer.segment import Entry, Segment, SegmentWriter
from tailrace.collect.pipeline import Pipeline, PipelineSpec, frames, write_origin
from tailrace.collect.sink import Bytes
from tailrace.collect.sinks.clickhouse.encode import RowEncoder
from tailrace.collect.source import Origin
from tailrace.collect.transform import (
    Event,
    Outputs,
    Transform,
    TransformConfig,
    TransformContext,
)
from tailrace.collect.worker import POISON_REASON, Job, Workers, serve
from tests.unit.collect.support import quiet_log, until


class MarkConfig(TransformConfig):
    """Marks events, splits those that say so, and dies of poison."""

    type: str = "mark"

    @override
    def named_outputs(self) -> frozenset[str]:
        return frozenset({"odd"})

    @override
    def build(self, context: TransformContext) -> Transform:
        return Mark(context)


class Mark(Transform):
    def __init__(self, context: TransformContext) -> None:
        self._name = context.component_id

    @override
    def run(self, events: list[Event]) -> Outputs:
        outputs = Outputs()
        for event in events:
            if event.get("poison"):
                os.kill(os.getpid(), signal.SIGKILL)
            if path := event.get("hang"):
                Path(path).touch()
                time.sleep(600)
            if event.get("drop"):
                outputs.discarded["asked to"] += 1
                continue
            if event.get("refuse"):
                outputs.rejected.append((orjson.dumps(event), "refused"))
                outputs.errors += 1
                continue
            event["mark"] = self._name
            target = outputs.named.setdefault("odd", []) if event["n"] % 2 else outputs.default
            target.append(event)
        return outputs


def make_spec() -> PipelineSpec:
    return PipelineSpec(
        "in",
        "socket",
        "json",
        {"first": MarkConfig(inputs=("in",)), "second": MarkConfig(inputs=("in", "first.odd"))},
        {"first": TransformContext("first"), "second": TransformContext("second")},
        {"even": ("first",), "all": ("in", "second.odd")},
    )


ENCODERS = {"even": RowEncoder(), "all": RowEncoder()}


@pytest.fixture
def make_segment(tmp_path: Path) -> Iterator[object]:
    def make(*lines: bytes) -> Segment:
        writer = SegmentWriter.create(Disk(), tmp_path, 1, 0)
        metadata = write_origin(Origin("p", (("host", "p"),)), False)
        payload = b"".join(line + b"\n" for line in lines)
        writer.commit([Entry([payload], metadata, len(lines), 1_764_000_000_000)])
        segment = writer.finish()
        assert segment
        return segment

    return make  # type: ignore[return-value]


def read(body: Bytes) -> list[Event]:
    return [orjson.loads(line) for line in bytes(body).splitlines()]


def test_events_go_the_ways_that_inputs_name(make_segment) -> None:  # type: ignore[no-untyped-def]
    segment = make_segment(
        b'{"n":1}', b'{"n":2}', b'{"n":3,"drop":true}', b'{"n":4,"refuse":true}', b"junk"
    )
    found = list(frames(segment.records()))
    processed = Pipeline(make_spec()).process(found, ENCODERS)
    even, everything = read(processed.bodies["even"]), read(processed.bodies["all"])
    assert [(event["n"], event["mark"]) for event in even] == [(2, "first")]
    # The source's own events are untouched by transforms that also take them.
    assert [(event["n"], event.get("mark")) for event in everything] == [
        (1, None),
        (2, None),
        (3, None),
        (4, None),
        (1, "second"),
        (1, "second"),
    ]
    assert all(event["host"] == "p" and event["source_type"] == "socket" for event in everything)
    assert everything[0]["timestamp"] == "2025-11-24T16:00:00.000Z"
    counts = processed.counts
    assert counts["in", "sent", ""] == 4
    assert counts["in", "rejected", ""] == 1
    assert counts["first", "received", ""] == 4
    assert counts["first", "discarded", "asked to"] == 1
    assert counts["first", "errors", ""] == 1
    assert [(row.component_id, row.raw) for row in processed.rejected][0] == ("in", b"junk")


async def test_an_event_that_ends_workers_is_rejected_and_all_others_go_on(make_segment) -> None:  # type: ignore[no-untyped-def]
    lines = [b'{"n":%d}' % (n * 2) for n in range(5)] + [b'{"n":0,"poison":true}']
    workers = Workers(1, {"in": make_spec()}, quiet_log())
    try:
        processed = await workers.process(Job("in", make_segment(*lines), ENCODERS))
    finally:
        await workers.close()
    assert [event["n"] for event in read(processed.bodies["even"])] == [0, 2, 4, 6, 8]
    (rejected,) = processed.rejected
    assert (rejected.raw, rejected.reason) == (lines[-1], POISON_REASON)


async def test_a_worker_that_works_is_ended_without_taking_its_pipe_from_its_reader(
    make_segment: Callable[[bytes], Segment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_SECS", 0.1)
    sign = tmp_path / "working"
    segment = make_segment(b'{"n":1,"hang":"%s"}' % str(sign).encode())
    workers = Workers(1, {"in": make_spec()}, quiet_log())
    working = asyncio.create_task(workers.process(Job("in", segment, ENCODERS)))
    await until(sign.exists)
    working.cancel()
    # What it was working on is left to the next.
    await asyncio.wait_for(workers.close(), 60)
    with pytest.raises(asyncio.CancelledError):
        await working
    assert workers._all[0]._process is None


def test_a_worker_whose_collector_was_killed_ends_in_order(
    make_segment: Callable[[bytes], Segment],
) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    ours.send(Job("in", make_segment(b'{"n":2}'), ENCODERS))
    ours.close()
    process = context.Process(target=serve, args=(theirs, {"in": make_spec()}))
    process.start()
    theirs.close()
    process.join(60)
    assert process.exitcode == 0
    process.close()
