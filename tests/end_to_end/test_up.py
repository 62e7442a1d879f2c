"""`tailrace up` and `tailrace demo` as a person runs them: start, kill, end, start again."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bench.system import System, free_port, running_system

WITHIN_SECS = 60.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return once the condition holds; fail after a time that is generous for a busy machine."""
    deadline = time.monotonic() + WITHIN_SECS
    while not condition():
        assert time.monotonic() < deadline, f"waited {WITHIN_SECS:g} s for {what}"
        time.sleep(0.02)


def post(system: System, lines: list[str]) -> int:
    """Send lines over HTTP; the answer's status, which acknowledges them when it is 200."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{system.http_port}/", data="\n".join(lines).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as response:
        return int(response.status)


def lines_of(kind: str, count: int) -> list[str]:
    return [
        json.dumps({"log_level": "INFO", "message": f"{kind} {number}", "source": "test"})
        for number in range(count)
    ]


def messages(system: System, kind: str) -> list[int]:
    """The numbers of the test's messages that are in the table, sorted."""
    text = system.sql(
        "SELECT message FROM logs.application_logs "
        f"WHERE source = 'test' AND message LIKE '{kind} %' FORMAT TSV"
    )
    return sorted(int(line.split()[1]) for line in text.splitlines())


def child_pid(system: System, command: str) -> int:
    """Process id of the child that runs `tailrace <command>`."""
    for process in psutil.Process(system.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if command in process.cmdline()[1:5]:
                return int(process.pid)
    return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[System]:
    with running_system(folder) as system:
        yield system


def test_lines_over_tcp_and_http_reach_the_api(system: System) -> None:
    with socket.create_connection(("127.0.0.1", system.tcp_port)) as connection:
        connection.sendall("\n".join(lines_of("tcp", 50)).encode() + b"\n")
    assert post(system, lines_of("http", 50)) == 200
    wait_until(lambda: len(messages(system, "tcp")) == 50, "the lines sent over TCP")
    wait_until(lambda: len(messages(system, "http")) == 50, "the lines sent over HTTP")
    document = system.get_json("/api/v1/logs?source=test&limit=100")
    rows = document["rows"]
    assert isinstance(rows, list)
    assert len(rows) == 100


@pytest.mark.parametrize("command", ["engine", "collect", "web"])
def test_a_killed_part_comes_back_and_loses_nothing(system: System, command: str) -> None:
    victim = child_pid(system, command)
    assert victim
    assert post(system, lines_of(f"before-{command}", 200)) == 200
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: child_pid(system, command) not in (0, victim), f"a new {command}")

    def works_again() -> bool:
        try:
            return post(system, lines_of(f"after-{command}", 1)) == 200 and bool(
                system.get_json("/api/v1/logs?limit=1")["rows"]
            )
        except (OSError, RuntimeError):
            return False

    wait_until(works_again, f"the system after the kill of {command}")
    wait_until(lambda: len(messages(system, f"before-{command}")) >= 200, "every acknowledged line")
    assert messages(system, f"before-{command}") == list(range(200))


def test_the_end_loses_nothing_and_a_second_start_goes_on(tmp_path: Path) -> None:
    with running_system(tmp_path / "data") as system:
        assert post(system, lines_of("kept", 500)) == 200
    assert system.process.returncode == 0
    with running_system(tmp_path / "data") as system:
        wait_until(lambda: len(messages(system, "kept")) >= 500, "the lines of the first run")
        assert messages(system, "kept") == list(range(500))


def test_a_start_right_after_a_kill_of_the_supervisor_works(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_system(folder) as system:
        orphans = psutil.Process(system.process.pid).children()
        assert post(system, lines_of("orphaned", 300)) == 200
        system.process.kill()
        system.process.wait()
        with running_system(folder, ports_of=system) as again:
            _, left = psutil.wait_procs(orphans, timeout=WITHIN_SECS)
            assert left == []
            wait_until(lambda: len(messages(again, "orphaned")) >= 300, "acknowledged lines")
            assert messages(again, "orphaned") == list(range(300))


def test_a_second_supervisor_leaves_the_first_ones_folder_alone(
    system: System, folder: Path
) -> None:
    pipeline = (folder / "pipelines" / "logs.yaml").read_text()
    done = run_up(
        TAILRACE_DATA_DIR=str(folder),
        TAILRACE_WEB_PORT=str(free_port()),
        TAILRACE_ENGINE_PORT=str(free_port()),
        TAILRACE_COLLECTOR_PORT=str(free_port()),
        TAILRACE_INTAKE_TCP=f"127.0.0.1:{free_port()}",
        TAILRACE_INTAKE_HTTP=f"127.0.0.1:{free_port()}",
    )
    assert done.returncode == 1
    assert f"the Tailrace of process {system.process.pid} runs on it" in done.stderr
    assert (folder / "pipelines" / "logs.yaml").read_text() == pipeline


def test_demo_fills_the_page(tmp_path: Path) -> None:
    with running_system(tmp_path / "data", command="demo") as system:
        wait_until(lambda: system.count() > 0, "the first row")
        first = system.count()
        wait_until(lambda: system.count() > first, "rows to keep coming")
        with urllib.request.urlopen(f"http://127.0.0.1:{system.web_port}/") as response:
            page = response.read().decode()
    assert "<tr" in page or 'role="row"' in page


def run_up(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "up"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = run_up(
            TAILRACE_DATA_DIR=str(tmp_path),
            TAILRACE_WEB_PORT=str(port),
            TAILRACE_ENGINE_PORT=str(free_port()),
            TAILRACE_COLLECTOR_PORT=str(free_port()),
            TAILRACE_INTAKE_TCP=f"127.0.0.1:{free_port()}",
            TAILRACE_INTAKE_HTTP=f"127.0.0.1:{free_port()}",
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "TAILRACE_WEB_PORT=" in done.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    done = run_up(TAILRACE_DATA_DIR=str(tmp_path), TAILRACE_RETENTION_DAYS="-1")
    assert done.returncode == 2
    assert "TAILRACE_RETENTION_DAYS='-1'" in done.stderr
