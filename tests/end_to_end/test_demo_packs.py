"""`tailrace demo` with packs that are named, and with all of them."""

import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.system import System, free_port, running_system

ALL = "/customers/customer/stats/all?from_date=1970-01-01"
WITHIN_SECS = 90.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_SECS
    while not condition():
        assert time.monotonic() < deadline, f"waited {WITHIN_SECS:g} s for {what}"
        time.sleep(0.05)


def total(system: System) -> int:
    """Requests of all customers by the API; none while there are none, or no tables yet."""
    try:
        return int(str(system.get_json(ALL)["total_requests"]))
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (404, 503):
                return 0
        raise


def is_well(system: System) -> bool:
    """Whether `tailrace doctor` says so of the parts that run, and of no others."""
    variables = Path(f"/proc/{system.process.pid}/environ").read_bytes().decode().split("\0")
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "doctor"],
        env=dict(item.split("=", 1) for item in variables if item),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "intake by TCP" not in done.stdout
    return done.returncode == 0


def test_all_packs_that_can_run_here_fill_their_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_DEMO_ALL", "1")
    monkeypatch.setenv("COLLATZ_TCP", f"127.0.0.1:{free_port()}")
    with running_system(tmp_path / "data", command="demo") as system:
        wait_until(lambda: system.count() > 0, "rows of logs")
        wait_until(lambda: total(system) > 0, "requests")
        before = total(system)
        wait_until(lambda: total(system) > before, "the statistics to change")
        slo = "/api/v1/requests/slo?customer_id=cust_1"
        wait_until(lambda: "cust_1" in str(system.get_json(slo)["rows"]), "a request of cust_1")


def test_a_generator_by_its_own_variables_makes_what_they_say_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "own.log"
    for name, value in {
        "TAILRACE_PACKS": "requests",
        "LOG_FILE_PATH": str(log),
        "LOG_BATCH_SIZE": "20",
        "LOG_INTERVAL_SECONDS": "0.1",
        "MAX_LOGS_TO_GENERATE": "70",
    }.items():
        monkeypatch.setenv(name, value)
    with running_system(tmp_path / "data", command="demo") as system:
        wait_until(lambda: total(system) >= 70, "all requests")
        wait_until(lambda: is_well(system), "a system that is well")
        own = tmp_path / "data.log"
        wait_until(lambda: "sent 70 events" in own.read_text(), "the generator's last word")
    said = own.read_text()
    assert "sent 70 events" in said
    assert said.count("generate: sent") == 1
    assert f"requests in:  file {log}" in said
    assert len(log.read_text().splitlines()) == 70
