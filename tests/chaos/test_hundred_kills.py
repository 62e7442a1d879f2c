"""kill -9 of the collector or the engine, a hundred times, at any moment, under full load.

Events come by TCP, by HTTP, from a growing and rotating file, and by HTTP through a transform that
gathers them. What each of them may count on says `tests.chaos.load`; the rest of the oracle: nothing
is there that was not sent, nothing twice, nothing is rejected, and `tailrace doctor` finds no gap.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.chaos.load import Application, FileWriter, HttpSender, Sender, TcpSender
from tests.integration.collect_system import (
    HTTP,
    INTAKE,
    TCP,
    Collector,
    Engine,
    engine_with_tables,
    eventually,
)
from tests.processes import Process, start_engine
from tests.web_system import free_port

KILLS = int(os.environ.get("TAILRACE_CHAOS_KILLS") or (100 if os.environ.get("CI") else 15))
SEED = int(os.environ.get("TAILRACE_CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))

SOURCES = ("tcp", "http", "gathered")
LONG_SECS = 240.0
"""For what takes seconds on a machine that has nothing else to do."""
SMALL = {"TAILRACE_BUFFER_MAX_BYTES": str(8 * 1024**2)}
"""Each source's buffer fills up while the engine is away, and senders have to wait."""

REDUCE = {
    "type": "reduce",
    "inputs": ["gathered"],
    "group_by": ["group"],
    "merge_strategies": {"n": "array", "group": "discard", "message": "retain"},
    "max_events": 7,
    "expire_after_ms": 300,
    "flush_period_ms": 100,
}


def grouped(name: str, number: int) -> dict[str, object]:
    """An event for `REDUCE`."""
    return {"message": name, "n": number, "group": number % 20}


@dataclass
class System:
    """The engine and the collector, each killed and started again on its own ports."""

    folder: Path
    engine: Engine
    ports: dict[str, int]
    engine_port: int
    collector: Collector | None = None
    life: int = 0
    """Which start of the collector this is."""
    taken_by_tcp: Counter[int] = field(default_factory=Counter)
    """By life: so many TCP events are on disk, the collector said."""

    @classmethod
    def begin(cls, folder: Path) -> "System":
        ports, engine_port = [free_port() for _ in SOURCES], free_port()
        engine = engine_with_tables(folder / "engine")
        engine.process.stop()
        return cls(folder, engine, dict(zip(SOURCES, ports, strict=True)), engine_port)

    @property
    def configuration(self) -> dict[str, object]:
        sources: dict[str, dict[str, object]] = {
            name: {**(TCP if name == "tcp" else HTTP), "address": f"127.0.0.1:{port}"}
            for name, port in self.ports.items()
        }
        sources["files"] = {
            "type": "file",
            "include": [str(self.folder / "logs" / "app.log*")],
            "glob_minimum_cooldown_ms": 20,
        }
        batch = {"max_bytes": 20_000_000, "timeout_secs": 0.2}
        sink = {**INTAKE, "batch": batch, "endpoint": f"http://127.0.0.1:{self.engine_port}"}
        return {
            "sources": sources,
            "transforms": {"gather": REDUCE},
            "sinks": {
                "out": {**sink, "inputs": ["tcp", "http", "files"]},
                "gathered_out": {**sink, "inputs": ["gather"]},
            },
        }

    def start_engine(self) -> None:
        self.engine.process = start_engine(self.engine.data_dir, None, *self.engine_arguments)

    @property
    def engine_arguments(self) -> tuple[str, ...]:
        return ("--engine-port", str(self.engine_port))

    def start_collector(self, *, waits: bool = True) -> None:
        self.life += 1
        self.collector = Collector(
            self.configuration, self.folder / "collector", SMALL, waits=waits
        )

    def kill_collector(self, chance: random.Random) -> None:
        """At any moment of its work, or of its start, but not before it has done some."""
        assert self.collector is not None
        counted = "component_received_events_total"
        eventually(lambda: self.counted(counted, "http"), "acknowledged events", LONG_SECS)
        time.sleep(chance.random() * 0.3)
        self.note_what_is_taken()
        self.collector.kill()
        if chance.random() < 0.2:
            self.start_collector(waits=False)
            time.sleep(chance.random())
            self.collector.kill()
        self.start_collector()

    def kill_engine(self, chance: random.Random) -> None:
        """At any moment of its work, or of its start."""
        time.sleep(chance.random() * 0.3)
        self.engine.process.kill()
        if chance.random() < 0.2:
            arguments = ["engine", "--data-dir", str(self.engine.data_dir), *self.engine_arguments]
            early = Process(arguments)
            time.sleep(chance.random() * 0.7)
            early.kill()
        self.start_engine()

    def note_what_is_taken(self) -> None:
        assert self.collector is not None
        self.taken_by_tcp[self.life] = self.counted("component_received_events_total", "tcp")

    def counted(self, metric: str, component_id: str) -> int:
        assert self.collector is not None
        beginning = f'{metric}{{component_id="{component_id}"'
        with suppress(URLError):
            for line in self.collector.page("/metrics").splitlines():
                if line.startswith(beginning):
                    return int(float(line.rsplit(" ", 1)[1]))
        return 0

    def waiting(self) -> list[Path]:
        """Segments that are not delivered."""
        return list((self.folder / "collector" / "data" / "buffer").glob("**/*.segment"))

    def end(self) -> None:
        if self.collector:
            self.collector.stop()
        self.engine.process.stop()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    (tmp_path / "logs").mkdir()
    system = System.begin(tmp_path)
    try:
        system.start_engine()
        system.start_collector()
        yield system
    finally:
        system.end()


@pytest.mark.timeout(900)
def test_a_hundred_kills_lose_double_and_invent_nothing(system: System) -> None:
    print(f"seed {SEED}, {KILLS} kills: set TAILRACE_CHAOS_SEED and TAILRACE_CHAOS_KILLS")  # noqa: T201
    chance = random.Random(SEED)
    began = time.monotonic()
    tcp = [TcpSender(f"t{n}", system.ports["tcp"], lambda: system.life) for n in range(2)]
    http = [HttpSender(f"h{n}", system.ports["http"]) for n in range(2)]
    gathered = HttpSender("g", system.ports["gathered"], grouped)
    files = FileWriter(Application(system.folder / "logs"))
    senders: list[Sender] = [*tcp, *http, gathered, files]
    for sender in senders:
        sender.start()
    try:
        for _ in range(KILLS):
            victim = system.kill_collector if chance.random() < 0.65 else system.kill_engine
            victim(chance)
    finally:
        for sender in senders:
            sender.finish()
    took_secs = time.monotonic() - began
    print(f"{took_secs:.0f} s; {len(system.waiting())} segments wait")  # noqa: T201
    system.note_what_is_taken()
    eventually(lambda: not system.waiting(), "an empty buffer", LONG_SECS)
    check_tcp(system, tcp)
    check_http(system.engine, http)
    check_files(system.engine, files.application)
    check_gathered(system, gathered)
    assert system.engine.value("SELECT toUInt32(count()) FROM logs.rejected") == 0
    assert doctor(system) == ""


def check_tcp(system: System, senders: list[TcpSender]) -> None:
    """Of each connection the first lines, without a hole, and as many as the collector said."""
    parts = "splitByChar('-', message)"
    rows = system.engine.query(
        f"SELECT {parts}[1] AS sender, toUInt32({parts}[2]) AS connection, "
        f"toUInt32(count()) AS rows, toUInt32(uniqExact({parts}[3])) AS different, "
        f"toUInt32(max(toUInt32({parts}[3]))) AS last FROM logs.application_logs "
        "WHERE match(message, '^t[0-9]-') GROUP BY sender, connection"
    )
    found = {(row["sender"], row["connection"]): row for row in rows}
    by_life: Counter[int] = Counter()
    for sender in senders:
        for number, connection in enumerate(sender.connections):
            row = found.pop((sender.name, number), {"rows": 0, "different": 0, "last": -1})
            assert row["rows"] == row["different"] == row["last"] + 1 <= connection.sent, row
            by_life[connection.life] += row["rows"]
    assert not found, "something was invented"
    for life, taken in system.taken_by_tcp.items():
        assert by_life[life] >= taken, f"of life {life}, some are gone"
    assert by_life.total() > KILLS * 100, "hardly anything was taken: this proves nothing"


def check_http(engine: Engine, senders: list[HttpSender]) -> None:
    for sender in senders:
        rows = engine.query(
            "SELECT toUInt32(substring(message, 4)) AS number FROM logs.application_logs "
            f"WHERE startsWith(message, '{sender.name}-')"
        )
        check_numbers([row["number"] for row in rows], sender)


def check_gathered(system: System, sender: HttpSender) -> None:
    def found() -> list[int]:
        rows = system.engine.query(
            "SELECT arrayJoin(JSONExtract(attributes['n'], 'Array(UInt32)')) AS number "
            "FROM logs.application_logs WHERE message = 'g'"
        )
        return [row["number"] for row in rows]

    # The last ones are let go when nothing has come for a while.
    eventually(lambda: sender.acknowledged <= set(found()), "what the transform has gathered")
    check_numbers(found(), sender)


def check_numbers(found: list[int], sender: HttpSender) -> None:
    """Every acknowledged event once, none that was not sent."""
    assert len(sender.acknowledged) > KILLS * 10, "hardly anything was acknowledged"
    assert len(found) == len(set(found)), "something is there twice"
    assert sender.acknowledged <= set(found), "an acknowledged event is gone"
    assert set(found) <= sender.sent, "something was invented"


def check_files(engine: Engine, application: Application) -> None:
    sql = (
        "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(message)) AS lines, "
        "toUInt32(countIf(match(message, '^line [0-9]+ [.]*$'))) AS whole "
        "FROM logs.application_logs WHERE startsWith(message, 'line ')"
    )
    eventually(lambda: engine.query(sql)[0]["rows"] >= application.written, "all lines")
    assert engine.query(sql)[0] == dict.fromkeys(("rows", "lines", "whole"), application.written)


def doctor(system: System) -> str:
    """What it complains of."""
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "doctor", "--json", "--clickhouse", system.engine.url]
        + ["--data-dir", str(system.folder / "collector" / "data")]
        + [str(system.folder / "collector" / "pipeline.yaml")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""
