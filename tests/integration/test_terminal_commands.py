"""`tailrace search`, `tail` and `sql` as they are started by people and scripts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.collect_system import eventually
from tests.terminals import on_a_terminal, tailrace
from tests.web_system import StoreSystem, storing

EVENTS: list[dict[str, Any]] = [
    {"timestamp": "2026-11-22T10:00:01Z", "level": "info", "message": "login ok", "source": "auth"},
    {"timestamp": "2026-11-22T10:00:02Z", "level": "error", "message": "card declined", "order": 7},
    {"timestamp": "2026-11-22T10:00:03Z", "level": "warn", "message": "evil \x1b[2J\u202e text"},
]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSystem]:
    with storing(tmp_path_factory.mktemp("terminal")) as started:
        started.insert(EVENTS)
        yield started


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_search_gives_json_lines_in_a_pipe_in_order_of_time(system: StoreSystem) -> None:
    done = tailrace(system, "search")
    assert done.returncode == 0, done.stderr
    assert [row["message"] for row in lines(done.stdout)] == [e["message"] for e in EVENTS]


def test_search_filters(system: StoreSystem) -> None:
    done = tailrace(system, "search", "order:>6", "--since", "2026-11-22T10:00:00Z", "--limit", "5")
    assert [row["attributes"] for row in lines(done.stdout)] == [{"order": "7"}]
    by_level = tailrace(system, "search", "--level", "warning", "--level", "error")
    assert len(lines(by_level.stdout)) == 2


def test_a_terminal_gets_colours_and_no_command_of_a_log_line(system: StoreSystem) -> None:
    shown = on_a_terminal(system, "search")
    assert "\x1b[1;31m" in shown
    assert "evil ␛[2J⟨U+202E⟩ text" in shown
    assert "\x1b[2J" not in shown


def test_a_wrong_search_shows_the_place_and_exits_2(system: StoreSystem) -> None:
    done = tailrace(system, "search", "ok (a")
    assert done.returncode == 2
    assert done.stderr.splitlines()[:2] == ["ok (a", "   ^"]
    assert "Traceback" not in done.stderr


def test_nothing_found_names_the_nearest_field(system: StoreSystem) -> None:
    def is_named() -> bool:
        done = tailrace(system, "search", "ordr:7")
        assert (done.returncode, done.stdout) == (0, "")
        return "Did you mean order" in done.stderr

    # There is half a second for it, which a busy machine may need for something else.
    eventually(is_named, "the nearest field")


@pytest.mark.parametrize("command", [("search", "x"), ("tail",), ("sql", "SELECT 1")])
def test_an_engine_that_is_down_exits_1_and_says_what_to_do(
    system: StoreSystem, command: tuple[str, ...]
) -> None:
    done = tailrace(system, *command, TAILRACE_ENGINE_PORT="1")
    assert done.returncode == 1
    assert "tailrace up" in done.stderr
    assert "Traceback" not in done.stderr


def test_sql_reads(system: StoreSystem) -> None:
    query = (
        "SELECT log_level, count() AS n, max(timestamp) AS t FROM logs.application_logs GROUP BY 1"
    )
    done = tailrace(system, "sql", f"{query} ORDER BY 1")
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)[0] == {
        "log_level": "ERROR",
        "n": 1,
        "t": "2026-11-22T10:00:02+00:00",
    }
    assert "log_level" in on_a_terminal(system, "sql", query)


@pytest.mark.parametrize(
    "query",
    [
        "TRUNCATE TABLE logs.application_logs",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SET max_threads = 1",
    ],
)
def test_sql_only_reads_tables(system: StoreSystem, query: str) -> None:
    done = tailrace(system, "sql", query)
    assert done.returncode == 1
    assert done.stderr.startswith("tailrace: cannot run ")
    assert len(lines(tailrace(system, "search").stdout)) == 3


def test_a_reader_that_has_enough_is_no_error(system: StoreSystem) -> None:
    command = [sys.executable, "-m", "tailrace", "sql", "SELECT number FROM system.numbers"]
    environment = {**os.environ, **system.environment}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b'{"number":0}\n'
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_sql_says_where_it_cut(system: StoreSystem) -> None:
    done = tailrace(system, "sql", "SELECT number FROM numbers(100)", "--max-rows", "10")
    assert len(lines(done.stdout)) == 10
    assert "--max-rows" in done.stderr


def test_tail_follows_and_ctrl_c_ends_it(system: StoreSystem, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tailrace", "tail", "followed"],
            stdout=sink,
            stderr=subprocess.PIPE,
            env={**os.environ, **system.environment},
        )
        number = 0
        deadline = time.monotonic() + 60
        # The first row that is seen proves that it follows; those before may have come too early.
        while not out.stat().st_size:
            assert process.poll() is None
            assert time.monotonic() < deadline
            number += 1
            system.insert([{"message": f"followed {number}", "timestamp": "2001-01-01T00:00:00Z"}])
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in said
    assert str(lines(out.read_text("utf-8"))[0]["message"]).startswith("followed")
