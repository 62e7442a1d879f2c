"""`tailrace top` against a running collector."""

import json
import subprocess
import sys
from pathlib import Path

from tests.integration.collect_system import TCP, Collector, eventually


def top(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "top", "--interval", "0.1"],
        env={"TAILRACE_COLLECTOR_PORT": str(port), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_pipe_gets_one_snapshot(tmp_path: Path) -> None:
    out = tmp_path / "out.log"
    configuration = {
        "sources": {"tcp": TCP},
        "transforms": {"all": {"type": "filter", "inputs": ["tcp"], "condition": "true"}},
        "sinks": {
            "out": {
                "type": "file",
                "inputs": ["all"],
                "path": str(out),
                "encoding": {"codec": "json"},
            }
        },
    }
    with Collector(configuration, tmp_path) as collector:
        collector.send(b'{"n":1}\n' * 7)
        eventually(lambda: out.exists() and len(out.read_bytes().splitlines()) == 7, "the lines")

        def is_counted() -> bool:
            done = top(collector.own_port)
            assert done.returncode == 0, done.stderr
            components = json.loads(done.stdout)["components"]
            assert [one["id"] for one in components] == ["tcp", "all", "out"]
            return [one["events_out"] for one in components] == [7, 7, 7]

        eventually(is_counted, "all events to be counted")


def test_without_a_collector_it_is_said() -> None:
    done = top(9)
    assert done.returncode == 1
    assert "TAILRACE_COLLECTOR_PORT" in done.stderr
