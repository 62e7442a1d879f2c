"""`tailrace rejected` with a real engine and a real collector."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.packs import find_packs
from tailrace.settings import Settings
from tests.integration.collect_system import (
    HTTP,
    Collector,
    Engine,
    eventually,
    pipeline,
)

pytestmark = pytest.mark.usefixtures("empty_tables")


@pytest.fixture(scope="module")
def collector(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("collector")
    with Collector(pipeline(engine.url, http=HTTP), folder) as collector:
        yield collector


def run(engine: Engine, *arguments: str, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "rejected", *arguments, "--clickhouse", engine.url],
        capture_output=True,
        env={**os.environ, **environment},
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


REQUEST = "2026-02-03 04:05:06 cust_9 /api/v1/resource1 200 0.25"


def test_rows_of_a_file_go_to_its_end_again(engine: Engine, tmp_path: Path) -> None:
    """The line was good, and the pipeline was wrong: put right, it takes it."""
    engine.execute("TRUNCATE TABLE logs.api_requests")
    log = tmp_path / "api_requests.log"
    log.write_text(f"{REQUEST}\n")
    settings = Settings.read(clickhouse_url=engine.url, data_dir=tmp_path)
    [pack] = find_packs(settings, ["requests"])
    right = yaml.safe_load(pack.render_pipeline(settings))
    wrong = deepcopy(right)
    wrong["transforms"]["requests"]["source"] = 'abort "cannot read customers"'
    here = ("--data-dir", str(tmp_path))
    with Collector(wrong, tmp_path / "collector"):
        eventually(lambda: len(listed(engine)) == 1, "the rejected line")
    reject(engine, ("requests", "cannot read", "two\nlines"))
    with Collector(right, tmp_path / "collector"):
        said = run(
            engine, "retry", "--component", "requests", *here, code=1, LOG_FILE_PATH=str(log)
        )
        assert f"sent 1 rows again, to the file {log}" in said
        assert "1 rows were not taken and stay" in said
        count = "SELECT toUInt32(count()) FROM logs.api_requests WHERE customer_id = 'cust_9'"
        eventually(lambda: engine.value(count) == 1, "the request")
    assert [row["raw"] for row in listed(engine)] == ["two\nlines"]
    assert log.read_text() == f"{REQUEST}\n{REQUEST}\n"
    log.write_text("half a li")
    said = run(engine, "retry", "--all", *here, code=1, LOG_FILE_PATH=str(log))
    assert "its last line has not ended yet" in said
    assert log.read_text() == "half a li"


def test_rows_that_a_table_refused_go_into_it_again(engine: Engine, tmp_path: Path) -> None:
    engine.execute("TRUNCATE TABLE logs.api_requests")
    row = {"timestamp": "2026-02-03 04:05:06", "path": "/p", "status": 200, "seconds": 0.1}
    good = json.dumps({**row, "customer_id": "late"})
    bad = json.dumps({**row, "customer_id": "late", "status": "what"})
    reject(engine, *(("requests_clickhouse", "no such column", raw) for raw in (good, bad)))
    said = run(engine, "retry", "--all", "--data-dir", str(tmp_path), code=1)
    assert "sent 1 rows again, to the table logs.api_requests" in said
    assert [row["raw"] for row in listed(engine)] == [bad]
    count = "SELECT toUInt32(count()) FROM logs.api_requests WHERE customer_id = 'late'"
    assert engine.value(count) == 1


def test_rows_of_a_queue_go_into_the_table_that_takes_its_messages(
    engine: Engine, tmp_path: Path
) -> None:
    messages = [{"Number": 6, "Step": step, "Value": value} for step, value in ((0, 6), (1, 3))]
    reject(engine, *(("collatz_kafka", "cannot use Step", json.dumps(one)) for one in messages))
    reject(engine, ("collatz_tcp", "no JSON object", "tab\tand \\ and\nbreak"))
    said = run(engine, "retry", "--all", "--data-dir", str(tmp_path))
    assert "sent 3 rows again, to the table rikstv.intake" in said
    assert engine.value("SELECT toUInt32(count()) FROM rikstv.data_series WHERE number = 6") == 2
    [still] = listed(engine)
    assert (still["component_id"], still["raw"]) == ("collatz_tcp", "tab\tand \\ and\nbreak")
    assert engine.value("SELECT toUInt32(count()) FROM logs.application_logs") == 0


def test_rows_that_nobody_knows_stay_with_a_word_of_advice(engine: Engine, tmp_path: Path) -> None:
    reject(engine, ("mine", "r1", "{}"), ("mine", "r2", "{}"))
    said = run(engine, "retry", "--all", "--data-dir", str(tmp_path), code=1)
    assert said.count("cannot send rows of 'mine' again") == 1
    assert "--to http://HOST:PORT/" in said
    assert len(listed(engine)) == 2
