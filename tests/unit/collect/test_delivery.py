"""A source's segments reach sinks, the rejected table and the ledger; whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest

from tailrace.clock import SystemClock
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tailrace.collect.delivery import Deliverer, Route, Tools, _pieces
from tailrace.collect.envelope import pack
from tailrace.collect.intake import JournalIntake
from tailrace.collect.ledger import BatchRow, Count, Ledger
from tailrace.collect.metrics import Metrics
from tailrace.collect.pipeline import PipelineSpec, Processed, write_origin
from tailrace.collect.rejected import RejectedStore
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sinks.clickhouse.sink import ClickhouseSink
from tailrace.collect.source import Frames, Origin, Position, RejectedLine
from tailrace.collect.worker import Job, Ways, Workers
from tailrace.telemetry import new_registry
from tests.unit.collect.support import FakeClickhouse, quiet_log, sink_context, until

ORIGIN = Origin("10.0.0.1", (("host", "10.0.0.1"),))


@dataclass
class System:
    """Everything behind one source, with a ClickHouse that is not one."""

    server: FakeClickhouse
    sink: ClickhouseSink
    journal: Journal
    rejected_journal: Journal
    rejected: RejectedStore
    ledger: Ledger
    deliverer: Deliverer
    intake: JournalIntake
    metrics: Metrics

    async def deliver(self) -> None:
        """Deliver what is in the journal."""
        await self.journal.flush()
        while self.journal._finished:
            await self.deliverer.deliver(await self.journal.next_segment())

    def count(self, name: str, **labels: str) -> float:
        """A metric's value."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    clock, log, server = SystemClock(), quiet_log(), FakeClickhouse()
    config = ClickhouseConfig.model_validate(
        {
            "inputs": ["in"],
            "endpoint": "http://127.0.0.1:8123",
            "database": "logs",
            "table": "intake",
            "format": "json_as_string",
        }
    )
    sink = ClickhouseSink(config, sink_context("out", tmp_path), server.transport)
    limits = JournalLimits(segment_timeout_secs=3600, fsync_max_wait_ms=0)
    journal = await Journal.open(tmp_path / "in", limits, clock, log)
    rejected_journal = await Journal.open(tmp_path / "rejected", limits, clock, log)
    rejected = RejectedStore(rejected_journal, "logs.rejected", {"out": sink})
    ledger = await Ledger.open(tmp_path / "ledger.db", clock)
    metrics = Metrics(new_registry())
    source_metrics = metrics.component("in", "source", "socket")
    spec = PipelineSpec("in", "socket", "json", {}, {}, {"out": ("in",)})
    workers = Workers(1, {"in": spec}, log)
    components = {"in": source_metrics, "out": metrics.component("out", "sink", "clickhouse")}
    tools = Tools(workers, rejected, ledger, clock, components)
    route = Route("out", sink, components["out"], is_direct=True)
    yield System(
        server,
        sink,
        journal,
        rejected_journal,
        rejected,
        ledger,
        Deliverer("in", frozenset({"host"}), journal, [route], tools),
        JournalIntake("in", journal, rejected, ledger, source_metrics, clock),
        metrics,
    )
    await workers.close()
    await sink.close()
    await journal.close()
    await rejected_journal.close()
    await ledger.close()


def frames(*lines: bytes) -> list[Frames]:
    return [Frames(line + b"\n", 1, ORIGIN) for line in lines]


async def test_lines_arrive_and_the_segment_goes(system: System) -> None:
    await system.intake.append(frames(b'{"a":1}', b'{"b":2}'))
    await system.deliver()
    assert system.server.rows == [b'{"a":1}', b'{"b":2}']
    assert system.journal.size_bytes == 0
    sums = await system.ledger.sums()
    assert sums["in", "received", ""] == sums["in", "sent", ""] == 2
    assert sums["out", "received", ""] == sums["out", "sent", ""] == 2
    labels = {"component_id": "out", "component_kind": "sink", "component_type": "clickhouse"}
    assert system.count("component_sent_events_total", **labels) == 2


async def test_a_crash_before_the_ledger_knows_delivers_nothing_twice(system: System) -> None:
    await system.intake.append(frames(b'{"a":1}'))
    await system.journal.flush()
    segment = await system.journal.next_segment()
    # The collector dies after ClickHouse has the batch: the next one finds the segment again.
    await system.deliverer._send(system.deliverer._routes[0], segment, _pieces(segment))
    await system.deliverer.deliver(segment)
    assert system.server.rows == [b'{"a":1}']
    assert (await system.ledger.sums())["in", "received", ""] == 1


async def test_a_segment_is_counted_once_however_often_it_is_finished(system: System) -> None:
    for _ in range(2):
        await system.ledger.finish_segment("t", "in", 5, [Count("in", "received", 5)])
    assert await system.ledger.sums() == {("in", "received", ""): 5}


async def test_refusals_are_kept_until_their_segment_is_done_with(system: System) -> None:
    await system.ledger.note("t-out", (0, 2), "bad")
    await system.ledger.note("other-out", (0, 2), "bad")
    assert await system.ledger.refused("t-out") == {(0, 2): "bad"}
    await system.ledger.finish_segment("t", "in", 5, [])
    assert await system.ledger.refused("t-out") == {}
    assert await system.ledger.refused("other-out") == {(0, 2): "bad"}


async def test_a_batch_is_in_the_ledger_once(system: System) -> None:
    row = BatchRow("t", "out", "in", 1, 5, 4, 1, 100, 1, 20)
    await system.ledger.write_batch(row)
    await system.ledger.write_batch(row)
    assert await system.ledger.has_taken("t") == {"out"}
    await system.ledger.finish_segment("t", "in", 5, [])
    assert (await system.ledger.sums())["out", "rejected", ""] == 1


async def test_rows_that_clickhouse_refuses_go_to_the_rejected_table_with_its_message(
    system: System,
) -> None:
    system.server.is_bad = lambda row: b"bad" in row
    await system.intake.append(frames(b'{"a":1}', b'{"bad":1}', b'{"b":2}'))
    await system.deliver()
    assert system.server.rows == [b'{"a":1}', b'{"b":2}']
    assert system.journal.size_bytes == 0
    delivering = asyncio.create_task(system.rejected.deliver_for_ever())
    await system.rejected_journal.flush()
    await until(lambda: system.server.rejected)
    delivering.cancel()
    row = orjson.loads(system.server.rejected[0])
    assert row["raw"] == "eyJiYWQiOjF9"
    assert "Cannot parse input" in row["reason"]
    assert row["peer"] == "10.0.0.1"


async def test_a_batch_that_is_worked_on_twice_leaves_its_rejected_rows_once(
    system: System,
) -> None:
    system.server.is_bad = lambda row: b"bad" in row
    await system.intake.append(frames(b'{"bad":1}'))
    await system.journal.flush()
    segment = await system.journal.next_segment()
    route = system.deliverer._routes[0]
    await system.deliverer._send(route, segment, _pieces(segment))
    await system.deliverer.deliver(segment)
    await system.deliverer._send(route, segment, [])
    await system.rejected_journal.flush()
    delivering = asyncio.create_task(system.rejected.deliver_for_ever())
    await system.rejected_journal.until_empty()
    delivering.cancel()
    assert len(system.server.rejected) == 1


async def test_what_a_source_rejects_reaches_the_table(system: System) -> None:
    await system.intake.reject([RejectedLine(b"\xff\x00", "no event", "10.0.0.9")])
    await system.rejected_journal.flush()
    delivering = asyncio.create_task(system.rejected.deliver_for_ever())
    await asyncio.wait_for(system.rejected_journal.until_empty(), 60)
    delivering.cancel()
    (row,) = map(orjson.loads, system.server.rejected)
    assert (row["component_id"], row["raw"], row["reason"]) == ("in", "/wA=", "no event")


async def test_what_a_full_buffer_drops_is_counted_and_stood_behind(system: System) -> None:
    limits = system.journal.limits
    system.journal.limits = replace(limits, max_bytes=0, drops_newest=True)
    assert not system.intake.is_full(), "nobody is sent away"
    placed = [
        Frames(b'{"n":%d}\n' % n, 1, ORIGIN, position=Position("file", n, f"at {n}"))
        for n in range(3)
    ]
    await asyncio.gather(
        system.intake.append(frames(b'{"a":1}', b'{"b":2}')), system.intake.append(placed)
    )
    assert (await system.ledger.sums())["in", "discarded", "buffer_full"] == 5
    assert await system.ledger.positions("in") == [Position("file", 2, "at 2")]
    labels = {"component_id": "in", "component_kind": "source", "component_type": "socket"}
    why = {"intentional": "false", "reason": "buffer_full"}
    assert system.count("component_discarded_events_total", **labels, **why) == 5
    assert system.count("component_received_events_total", **labels) == 5
    system.journal.limits = replace(limits, drops_newest=True)
    await system.intake.append(frames(b'{"c":3}'))
    await system.deliver()
    assert system.server.rows == [b'{"c":3}']


async def test_an_append_that_is_too_large_for_a_batch_is_cut_between_lines(
    system: System,
) -> None:
    lines = [b'{"n":%d,"fill":"%s"}' % (n, b"x" * 100_000) for n in range(150)]
    payload = b"".join(line + b"\n" for line in lines)
    await system.intake.append([Frames(payload, len(lines), ORIGIN)])
    await system.deliver()
    assert system.server.rows == lines
    assert len(system.server.tokens) == 2


async def test_lines_for_a_plain_table_go_through_a_worker_that_finds_the_bad_ones(
    system: System,
) -> None:
    system.server.columns = {"json": "String"}
    await system.intake.append(frames(b'{"a":1}', b"nonsense", b'[{"b":1},{"c":1}]'))
    await system.deliver()
    rows = [orjson.loads(row) for row in system.server.rows]
    assert [next(iter(row)) for row in rows] == ["a", "b", "c"]
    assert all(
        row["host"] == "10.0.0.1" and row["source_type"] == "socket" and "timestamp" in row
        for row in rows
    )
    sums = await system.ledger.sums()
    assert sums["in", "received", ""] == 3
    assert sums["in", "rejected", ""] == 1
    assert sums["out", "sent", ""] == 3
    assert system.rejected_journal.events == 1


async def test_a_sink_that_is_down_costs_disk_and_no_memory(system: System) -> None:
    delivering = asyncio.create_task(system.deliverer.deliver_for_ever())
    system.server.hangs = True
    for _ in range(10):
        await system.intake.append(frames(b'{"a":1}'))
        await system.journal.flush()
    await until(lambda: system.server.requests)
    assert len(system.journal._finished) == 10 - system.sink.concurrency
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)


async def test_the_times_of_an_adaptive_sink_are_taken(system: System) -> None:
    system.sink.adapts_concurrency, system.sink.concurrency = True, 16
    routes = system.deliverer._routes
    deliverer = Deliverer("in", frozenset(), system.journal, routes, system.deliverer._tools)
    assert deliverer._adaptive["out"].now == 1
    delivering = asyncio.create_task(deliverer.deliver_for_ever())
    for number in range(50):
        await system.intake.append(frames(b'{"n":%d}' % number))
        await system.journal.flush()
    await asyncio.wait_for(system.journal.until_empty(), 60)
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)
    assert len(system.server.rows) == 50
    assert deliverer._adaptive["out"]._mean is not None


def test_a_records_metadata_is_small() -> None:
    assert write_origin(ORIGIN, False) == (b'{"peer":"10.0.0.1","fields":[["host","10.0.0.1"]]}')
    assert Chunk(b"", 0, b"") == Chunk(b"", 0, b"")


async def test_events_of_a_source_of_envelopes_need_no_worker(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = system.deliverer._routes[0]
    system.deliverer._routes = [replace(route, is_direct=False, may_be_ready=True)]
    spec = PipelineSpec("in", "kafka", "json", {}, {}, {"out": ("in",)}, enveloped=True)
    jobs: list[Job] = []

    async def process(self: Workers, job: Job) -> Processed:
        jobs.append(job)
        return Ways(spec).process(job)

    monkeypatch.setattr(Workers, "process", process)
    ready = Frames(b'{"a":1,"timestamp":""}\n{"a":2,"timestamp":""}\n', 2, ORIGIN, ready=True)
    await system.intake.append([ready])
    await system.deliver()
    assert (system.server.rows, jobs) == (ready.payload.splitlines(), [])
    sums = await system.ledger.sums()
    assert sums["in", "sent", ""] == sums["out", "sent", ""] == 2
    envelope = Frames(pack(b"no JSON", "t/0@7", None, {}), 1, ORIGIN, enveloped=True)
    await system.intake.append([ready, envelope, ready])
    await system.deliver()
    assert (system.server.rows, len(jobs)) == (3 * ready.payload.splitlines(), 1)
    sums = await system.ledger.sums()
    assert sums["in", "sent", ""] == sums["out", "sent", ""] == 6
    assert sums["in", "rejected", ""] == 1
