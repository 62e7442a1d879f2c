"""`tailrace doctor` against a real engine and collector, and what is done behind its back."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tailrace.clock import SystemClock
from tailrace.collect.books import note_removed
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tailrace.collect.pipeline import write_origin
from tailrace.collect.source import Origin
from tailrace.telemetry import get_logger
from tests.integration.collect_system import (
    HTTP,
    TCP,
    Collector,
    Engine,
    engine_with_tables,
    eventually,
    pipeline,
)


@dataclass
class Patient:
    """An engine, a collector, and what the doctor says of them."""

    engine: Engine
    collector: Collector
    folder: Path

    def examine(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and findings."""
        done = self._run("doctor", str(self.folder / "pipeline.yaml"), *arguments)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def drop_rejected(self) -> None:
        """`tailrace rejected drop --all`."""
        assert self._run("rejected", "drop", "--all").returncode == 0

    def send(self, name: str, rows: int = 100) -> None:
        """Lines, empty lines, arrays and what is no JSON; until all of it is somewhere."""
        lines = [json.dumps({"message": f"{name} {number}"}) for number in range(rows)]
        lines += ["", json.dumps([{"message": name}, {"message": name}]), "{broken"]
        before = self.count()
        self.collector.send("\n".join(lines).encode() + b"\n")
        eventually(lambda: self.count() == before + rows + 3, f"the rows of {name}")
        eventually(lambda: not self._waiting(), "an empty buffer")

    def count(self) -> int:
        """Rows in both tables."""
        tables = ("application_logs", "rejected")
        return sum(int(self.engine.value(f"SELECT count() FROM logs.{name}")) for name in tables)

    def _waiting(self) -> list[Path]:
        return list((self.folder / "data" / "buffer").glob("**/*.segment"))

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        data_dir = ["--data-dir", str(self.folder / "data"), "--clickhouse", self.engine.url]
        return subprocess.run(
            [sys.executable, "-m", "tailrace", *arguments, *data_dir],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def bad(findings: list[dict[str, Any]]) -> list[str]:
    return [f"{found['check']}: {found['text']}" for found in findings if found["state"] == "bad"]


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    engine = engine_with_tables(tmp_path / "engine")
    folder = tmp_path / "collector"
    with Collector(pipeline(engine.url, tcp=TCP, http=HTTP), folder) as collector:
        yield Patient(engine, collector, folder)
    engine.process.stop()


def test_the_doctor_notices_what_is_done_behind_its_back(patient: Patient) -> None:
    patient.send("first")
    code, findings = patient.examine()
    assert (code, bad(findings)) == (0, [])
    (table,) = [found for found in findings if "application_logs" in found["check"]]
    assert table["text"].startswith("103 rows, 103 delivered")

    # Rejected rows that are dropped by the command are in the books.
    patient.drop_rejected()
    assert patient.examine()[0] == 0

    # Rows that somebody else writes are no gap, and do not hide one of another day.
    patient.engine.execute(
        "INSERT INTO logs.application_logs (message, received_at) VALUES ('x', '2020-01-01')"
    )
    code, findings = patient.examine()
    assert (code, bad(findings)) == (0, [])

    patient.engine.execute("DELETE FROM logs.application_logs WHERE message = 'first 7'")
    code, findings = patient.examine()
    assert code == 1
    (problem,) = bad(findings)
    assert "1 rows" in problem
    assert "somebody deleted rows" in problem

    assert patient.examine("--accept")[0] == 0
    code, findings = patient.examine()
    assert (code, bad(findings)) == (0, [])

    patient.send("second")
    patient.engine.execute("TRUNCATE TABLE logs.application_logs")
    code, findings = patient.examine()
    assert code == 1
    (problem,) = bad(findings)
    assert "is empty: it was truncated" in problem
    assert "203 rows" in problem


def test_deletions_show_although_somebody_adds_as_many_rows(patient: Patient) -> None:
    for name in ("first", "second", "third"):
        patient.send(name)
    assert patient.examine()[0] == 0
    engine, table = patient.engine, "logs.application_logs"
    engine.execute(f"DELETE FROM {table} WHERE message IN ('first 1', 'first 2', 'third 3')")
    # Rows of now, and copies of rows of another batch, with all their times.
    engine.execute(f"INSERT INTO {table} (message) SELECT 'x' FROM numbers(50)")
    engine.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE message LIKE 'second %'")
    code, findings = patient.examine()
    assert code == 1
    (problem,) = bad(findings)
    assert "3 rows that arrived on" in problem

    assert patient.examine("--accept")[0] == 0
    assert patient.examine()[0] == 0
    engine.execute(f"DELETE FROM {table} WHERE message = 'first 50'")
    (problem,) = bad(patient.examine()[1])
    assert "1 rows that arrived on" in problem

    # Rejected rows that a person takes away are no gap.
    patient.drop_rejected()
    (problem,) = bad(patient.examine()[1])
    assert "1 rows that arrived on" in problem


def test_rows_past_the_retention_are_no_gap_and_others_are_waited_for(patient: Patient) -> None:
    patient.send("kept")
    buffer = patient.folder / "data" / "buffer"
    note_removed(buffer, "out", {"2020-01-01": 5000})
    code, findings = patient.examine()
    assert (code, bad(findings)) == (0, [])
    (table,) = [found for found in findings if "application_logs" in found["check"]]
    assert "5,000 are past the retention" in table["text"]

    # A source that the configuration no longer has, with events in its buffer.
    asyncio.run(leave_an_event(buffer / "gone"))
    code, findings = patient.examine()
    assert code == 1
    (problem,) = bad(findings)
    assert problem.startswith("source gone: 1 events are in its buffer")

    patient.engine.process.kill()
    code, findings = patient.examine()
    assert code == 1
    assert any(problem.startswith("ClickHouse: cannot reach") for problem in bad(findings))


async def leave_an_event(folder: Path) -> None:
    """A buffer with an event that nobody delivers."""
    journal = await Journal.open(folder, JournalLimits(), SystemClock(), get_logger("test"))
    await journal.append([Chunk(b"{}\n", 1, write_origin(Origin(), one_frame=False))])
    await journal.close()
