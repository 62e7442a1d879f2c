"""`tailrace up --collector vector`, with a script in Vector's place."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from bench.system import running_system

FAKE = f"""#!{sys.executable}
import json, os, signal, sys

def end(*_):
    with open(os.environ["FAKE_VECTOR_LOG"] + ".ended", "w"):
        pass
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
with open(os.environ["FAKE_VECTOR_LOG"], "w") as log:
    json.dump(sys.argv[1:], log)
print("vector has started", flush=True)
while True:
    signal.pause()
"""


def test_vector_runs_in_place_of_our_own_collector_with_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "vector"
    script.write_text(FAKE)
    script.chmod(0o755)
    log = tmp_path / "vector.log"
    monkeypatch.setenv("FAKE_VECTOR_LOG", str(log))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("TAILRACE_COLLECTOR", "vector")
    with running_system(tmp_path / "data") as system:
        deadline = time.monotonic() + 60
        while not log.exists() or not log.read_text():
            assert time.monotonic() < deadline, "vector was not started"
            time.sleep(0.02)
        flag, path = json.loads(log.read_text())
        assert flag == "--config"
        pipeline = yaml.safe_load(Path(path).read_text())
        assert pipeline["sources"]["logs_tcp"]["address"] == f"127.0.0.1:{system.tcp_port}"
        assert pipeline["sinks"]["clickhouse"]["endpoint"].endswith(f":{system.engine_port}")
    assert system.process.returncode == 0
    assert Path(f"{log}.ended").exists()
    assert "vector has started" in (tmp_path / "data.log").read_text()


def test_without_vector_it_is_said_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "up", "--collector", "vector"],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), "TAILRACE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "cannot find the program `vector` on the PATH" in done.stderr
    assert "TAILRACE_COLLECTOR" in done.stderr
