"""`tailrace doctor` on a whole system, well and not well."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from bench.system import System, running_system
from tests.integration.collect_system import eventually


def post(system: System, rows: int) -> None:
    body = "\n".join(json.dumps({"message": f"row {number}"}) for number in range(rows)).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{system.http_port}/", data=body)
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


def doctor(folder: Path, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and each check's finding by its name."""
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "doctor"],
        env={**os.environ, "TAILRACE_DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {finding["check"]: finding for finding in found}


def test_a_running_system_is_well_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_system(folder) as system:
        process = Path(f"/proc/{system.process.pid}/environ").read_bytes().split(b"\0")
        environment = dict(
            item.decode().split("=", 1) for item in process if item.startswith(b"TAILRACE_")
        )
        post(system, 500)
        eventually(lambda: system.count() >= 500, "all rows")

        # What is asked may answer late on a busy machine, which is not well.
        def well() -> dict[str, dict[str, Any]]:
            code, findings = doctor(folder, **environment)
            return findings if code == 0 else {}

        findings = eventually(well, "a system that is well")
        tables = "logs.application_logs and logs.rejected"
        assert findings[tables]["text"].startswith("500 rows")
        for check in ("web", "collector", "intake by TCP", "intake by HTTP", "disk", "retention"):
            assert findings[check]["state"] == "ok", findings[check]
    code, findings = doctor(folder, **environment)
    assert code == 1
    for check in ("web", "collector", "intake by TCP", "ClickHouse"):
        assert findings[check]["state"] == "bad", findings[check]
