"""What `influxdb_metrics` remembers of series: once, over restarts, within bounds."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tailrace.clock import SystemClock
from tailrace.collect.metrics import Metrics
from tailrace.collect.salvage import open_sound
from tailrace.collect.sink import Piece, SinkBatch, SinkContext
from tailrace.collect.sinks import SINKS
from tailrace.collect.sinks.influxdb_metrics import InfluxdbMetricsSink
from tailrace.collect.sinks.influxdb_metrics.series import Change, SeriesMemory
from tailrace.collect.transform import Event, Timestamp
from tailrace.settings import Settings
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log

OPEN = "tailrace.collect.sinks.influxdb_metrics.series.open_sound"


def context_of(folder: Path) -> SinkContext:
    return SinkContext(
        "out/1",
        Metrics(new_registry()).component("out/1", "sink", "influxdb_metrics"),
        quiet_log(),
        SystemClock(),
        Settings.read(data_dir=folder),
        own_folder=folder / "_sinks",
    )


@asynccontextmanager
async def memory_of(folder: Path, **bounds: int) -> AsyncIterator[SeriesMemory]:
    memory = SeriesMemory(folder / "series.db", context_of(folder), **bounds)
    yield memory
    await memory.close()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


def counter(name: str, value: float) -> Change:
    return Change(name.encode(), "counter", value)


def gauge(name: str, value: float) -> Change:
    return Change(name.encode(), "gauge", value)


async def test_a_batch_that_comes_again_gets_the_same_answer_and_changes_nothing(
    tmp_path: Path,
) -> None:
    first = [counter("a", 10), gauge("b", 1), counter("a", 12)]
    second = [counter("a", 15), gauge("b", 1)]
    for _ in range(2):  # the second time as after a restart
        async with memory_of(tmp_path) as memory:
            for _ in range(2):
                assert await memory.work_out("1", "in", first) == [None, 1, 2]
                assert await memory.work_out("2", "in", second) == [3, 2]
    async with memory_of(tmp_path) as memory:
        assert await memory.work_out("3", "in", [counter("a", 16), gauge("b", 1)]) == [1, 3]


async def test_another_batch_under_the_same_token_is_worked_out_anew(tmp_path: Path) -> None:
    async with memory_of(tmp_path) as memory:
        assert await memory.work_out("1", "in", [gauge("a", 1)]) == [1]
        assert await memory.work_out("1", "in", [gauge("b", 5), gauge("a", 1)]) == [5, 2]
        assert await memory.work_out("1", "in", [gauge("b", 5), gauge("a", 1)]) == [5, 2]


async def test_batches_are_kept_by_source_and_no_more_than_a_few(tmp_path: Path) -> None:
    async with memory_of(tmp_path, kept_batches=2) as memory:
        for number in range(3):
            for source in ("in", "other"):
                await memory.work_out(f"{source}{number}", source, [gauge(source, 1)])
        assert await memory.work_out("in1", "in", [gauge("in", 1)]) == [2]
        assert await memory.work_out("other2", "other", [gauge("other", 1)]) == [3]
    with sqlite3.connect(tmp_path / "series.db") as database:
        tokens = {token for (token,) in database.execute("SELECT token FROM batches")}
    database.close()
    assert tokens == {"in1", "in2", "other1", "other2"}


async def test_series_that_were_heard_of_the_longest_ago_are_forgotten(tmp_path: Path) -> None:
    async with memory_of(tmp_path, most_series=2) as memory:
        await memory.work_out("1", "in", [counter("a", 1), counter("b", 1)])
        await memory.work_out("2", "in", [counter("a", 2)])
        await memory.work_out("3", "in", [counter("c", 1)])
        found = await memory.work_out("4", "in", [counter(name, 5) for name in ("a", "c", "b")])
    assert found == [3, 4, None]


async def test_of_a_damaged_file_nothing_is_believed(tmp_path: Path) -> None:
    async with memory_of(tmp_path) as memory:
        await memory.work_out("1", "in", [counter("a", 1)])
    (tmp_path / "series.db").write_bytes(b"no database at all" * 1000)
    async with memory_of(tmp_path) as memory:
        assert await memory.work_out("2", "in", [counter("a", 5)]) == [None]
        assert await memory.work_out("3", "in", [counter("a", 6)]) == [1]
    assert any(".damaged" in name for name in names_in(tmp_path))


def failing(*codes: int) -> Callable[[Path, str], sqlite3.Connection]:
    """Opens a file, but not the first times."""
    left = list(codes)

    def opened(path: Path, tables: str) -> sqlite3.Connection:
        if left:
            error = sqlite3.OperationalError("it fails")
            error.sqlite_errorcode = left.pop(0)
            raise error
        return open_sound(path, tables)

    return opened


async def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_of(tmp_path) as memory:
        waits = []

        async def at_once(secs: float) -> None:
            assert not memory.is_well
            waits.append(secs)

        monkeypatch.setattr(OPEN, failing(sqlite3.SQLITE_FULL, sqlite3.SQLITE_FULL))
        monkeypatch.setattr(asyncio, "sleep", at_once)
        assert await memory.work_out("1", "in", [gauge("a", 1)]) == [1]
        assert memory.is_well
    assert waits == [1, 1]


async def test_what_does_not_pass_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OPEN, failing(sqlite3.SQLITE_READONLY))
    async with memory_of(tmp_path) as memory:
        with pytest.raises(sqlite3.OperationalError, match="it fails"):
            await memory.work_out("1", "in", [gauge("a", 1)])


class Server:
    """Keeps points as InfluxDB does: of those that agree in series and time the last."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str], float] = {}
        self.keeps = True
        self.answers = True
        self.asked = asyncio.Event()

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if self.keeps:
            for point in (await request.aread()).decode().splitlines():
                name, value, time = point.split(" ")
                self.points[name, time] = float(value.removeprefix("value="))
        self.asked.set()
        while not self.answers:
            await asyncio.Event().wait()
        return httpx.Response(204)


def sink_of(folder: Path, server: Server) -> InfluxdbMetricsSink:
    options = {"inputs": ["in"], "endpoint": "http://127.0.0.1:1", "database": "d"}
    sink = SINKS["influxdb_metrics"].build(
        SINKS["influxdb_metrics"].config.model_validate(options),
        context_of(folder),
        httpx.MockTransport(server.handle),
    )
    assert isinstance(sink, InfluxdbMetricsSink)
    return sink


def metric(name: str, kind: str, value: float) -> Event:
    time = Timestamp("2026-01-02T03:04:05.000Z")
    what = "counter" if kind == "absolute" else "gauge"
    return {"name": name, "timestamp": time, "kind": kind, what: {"value": value}}


async def batch_of(sink: InfluxdbMetricsSink, token: str, *values: float) -> SinkBatch:
    events = [
        metric(name, kind, value)
        for value in values
        for name, kind in (("count", "absolute"), ("level", "incremental"))
    ]
    payload = (await sink.encoder()).encode(events)
    return SinkBatch(token, "in", [Piece(payload, len(events), 1)])


@pytest.mark.parametrize("is_taken", [False, True])
async def test_a_batch_that_was_under_way_at_a_crash_counts_once(
    tmp_path: Path, is_taken: bool
) -> None:
    """Whether InfluxDB had it already or not."""
    server = Server()
    sink = sink_of(tmp_path, server)
    delivery = await sink.deliver(await batch_of(sink, "1", 10, 12))
    assert (delivery.sent_rows, delivery.rejected) == (4, [])
    server.keeps, server.answers = is_taken, False
    server.asked.clear()
    under_way = asyncio.create_task(sink.deliver(await batch_of(sink, "2", 15, 16)))
    await server.asked.wait()
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    await sink.close()
    server.keeps, server.answers = True, True
    sink = sink_of(tmp_path, server)
    for token, values in (("2", (15, 16)), ("3", (20,))):
        delivery = await sink.deliver(await batch_of(sink, token, *values))
        assert (delivery.sent_rows, delivery.rejected) == (2 * len(values), [])
    await sink.close()
    counts = [value for (name, _), value in server.points.items() if name.startswith("count")]
    levels = [value for (name, _), value in server.points.items() if name.startswith("level")]
    assert sum(counts) == 20 - 10
    assert sorted(levels) == [10, 22, 37, 53, 73]


async def test_where_nothing_needs_to_be_remembered_there_is_no_file(tmp_path: Path) -> None:
    server = Server()
    sink = sink_of(tmp_path, server)
    event = {**metric("a", "absolute", 1), "kind": "incremental"}
    payload = (await sink.encoder()).encode([event])
    await sink.deliver(SinkBatch("1", "in", [Piece(payload, 1, 1)]))
    await sink.close()
    assert list(server.points.values()) == [1]
    assert names_in(tmp_path) == []
