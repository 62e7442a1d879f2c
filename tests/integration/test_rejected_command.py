"""`tailrace rejected` with a real engine and a real collector."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.collect_system import (
    HTTP,
    Collector,
    Engine,
    engine_with_tables,
    eventually,
    pipeline,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = engine_with_tables(tmp_path_factory.mktemp("engine"))
    yield engine
    engine.process.stop()


@pytest.fixture(scope="module")
def collector(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("collector")
    with Collector(pipeline(engine.url, http=HTTP), folder) as collector:
        yield collector


@pytest.fixture(autouse=True)
def _empty(engine: Engine) -> None:
    engine.execute("TRUNCATE TABLE logs.rejected")
    engine.execute("TRUNCATE TABLE logs.application_logs")


def run(engine: Engine, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "rejected", *arguments, "--clickhouse", engine.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def listed(engine: Engine, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(engine, "list", *arguments).splitlines()]


def reject(engine: Engine, *rows: tuple[str, str, str]) -> None:
    """Rows of component, reason and raw, as the collector leaves them."""
    lines = "\n".join(
        json.dumps({"component_id": c, "reason": r, "raw": raw, "peer": "10.0.0.1:5"})
        for c, r, raw in rows
    )
    engine.execute(f"INSERT INTO logs.rejected FORMAT JSONEachRow\n{lines}")


def test_rows_are_listed_and_chosen(engine: Engine) -> None:
    reject(engine, ("a", "Not JSON", "x"), ("b", "bad time", "y"), ("b", "not json", "z"))
    assert {row["raw"] for row in listed(engine)} == {"x", "y", "z"}
    assert {row["raw"] for row in listed(engine, "--reason", "not json")} == {"x", "z"}
    (row,) = listed(engine, "--component", "b", "--reason", "json")
    assert row["raw"] == "z"
    assert listed(engine, "--id", row["id"]) == [row]
    assert listed(engine, "--peer", "10.0.0.2") == []
    assert listed(engine, "--until", "1h ago") == []
    assert len(listed(engine, "--since", "1h", "--limit", "2")) == 2


def test_dropped_rows_are_gone_and_others_stay(engine: Engine, tmp_path: Path) -> None:
    reject(engine, ("a", "r1", "x"), ("b", "r2", "y"))
    said = run(engine, "drop", "--component", "a", "--data-dir", str(tmp_path))
    assert "dropped 1 rows" in said
    assert [row["raw"] for row in listed(engine)] == ["y"]


@pytest.mark.parametrize("action", ["retry", "drop"])
def test_nothing_happens_to_everything_unasked(engine: Engine, action: str) -> None:
    reject(engine, ("a", "r1", "x"))
    assert "--all" in run(engine, action, code=2)
    assert len(listed(engine)) == 1


def test_what_is_sent_again_is_stored_and_removed(
    engine: Engine, collector: Collector, tmp_path: Path
) -> None:
    good = [json.dumps({"message": f"late {number}", "source": "retry"}) for number in range(450)]
    reject(engine, *(("a", "the server had a bad day", raw) for raw in good))
    reject(engine, ("a", "not JSON", "{still broken"))
    to = f"http://127.0.0.1:{collector.ports['http']}/"
    said = run(engine, "retry", "--all", "--to", to, "--data-dir", str(tmp_path))
    assert "again" in said
    count = "SELECT count() FROM logs.application_logs WHERE source = 'retry'"
    eventually(lambda: int(engine.value(count)) == 450, "the rows that were sent again")
    still = "SELECT raw FROM logs.rejected"
    eventually(lambda: engine.query(still) == [{"raw": "{still broken"}], "what is still no good")


def test_without_an_answer_nothing_is_removed(engine: Engine, tmp_path: Path) -> None:
    reject(engine, ("a", "r1", "{}"))
    said = run(
        engine,
        "retry",
        "--all",
        "--to",
        "http://127.0.0.1:9/",
        "--data-dir",
        str(tmp_path),
        code=1,
    )
    assert "cannot send to http://127.0.0.1:9/" in said
    assert len(listed(engine)) == 1
