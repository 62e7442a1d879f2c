"""A whole Tailrace on free ports in a temporary folder, started and measured from outside."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path

import psutil

READY_WITHIN_SECS = 150.0
POLL_SECS = 0.005
PORTS = range(15_000, 20_000)
"""Linux gives none of them to outgoing connections, nor to those who ask for any port: nobody has one
before it is listened on, or while who listens on it is started again."""


def free_port() -> int:
    """A port of the loopback interface that nobody has right now, another one each time."""
    return next(port for port in _ports_in_turn() if _is_free(port))


@cache
def _ports_in_turn() -> Iterator[int]:
    """From a place of this process's own on, so that two processes hardly ever meet."""
    first = random.SystemRandom().randrange(len(PORTS))
    return cycle([*PORTS[first:], *PORTS[:first]])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@dataclass
class System:
    """A running `tailrace up`; addresses, SQL and the memory of its processes."""

    process: subprocess.Popen[bytes]
    engine_port: int
    web_port: int
    tcp_port: int
    http_port: int
    collector_port: int = 0
    first_answer_secs: float = 0.0

    def sql(self, query: str, **settings: str) -> str:
        """Run one statement; its answer as text."""
        url = f"http://127.0.0.1:{self.engine_port}/?{urllib.parse.urlencode(settings)}"
        request = urllib.request.Request(url, data=query.encode(), method="POST")
        try:
            with urllib.request.urlopen(request) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def count(self, table: str = "logs.application_logs") -> int:
        """Rows of a table."""
        return int(self.sql(f"SELECT count() FROM {table}"))

    def wait_for_rows(self, rows: int, within_secs: float = 300.0) -> None:
        """Return as soon as the log table has that many rows."""
        deadline = time.monotonic() + within_secs
        while (found := self.count()) < rows:
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {found} of {rows} rows arrived in {within_secs:g} s")
            time.sleep(POLL_SECS)

    def get_json(self, path: str) -> dict[str, object]:
        """A page of the REST API."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}") as response:
            document: dict[str, object] = json.load(response)
            return document

    def memory_mb(self) -> dict[str, float]:
        """Proportional set size in MB of each process, by its part's name."""
        return self._by_part(lambda process: float(process.memory_full_info().pss) / 1e6)

    def cpu_secs(self) -> dict[str, float]:
        """CPU time so far in seconds, user and system, by the part's name."""
        return self._by_part(lambda process: float(sum(process.cpu_times()[:2])))

    def _by_part(self, measure: Callable[[psutil.Process], float]) -> dict[str, float]:
        found: dict[str, float] = {}
        supervisor = psutil.Process(self.process.pid)
        for process in [supervisor, *supervisor.children(recursive=True)]:
            arguments = process.cmdline()
            name = arguments[3] if len(arguments) > 3 and arguments[1] == "-m" else "worker"
            name = "supervisor" if process.pid == self.process.pid else name
            found[name] = found.get(name, 0.0) + measure(process)
        return found


@contextmanager
def data_folder(within: Path | None) -> Iterator[Path]:
    """A folder for one run's data, gone at the end; `within` is made where it is not there."""
    if within is not None:
        within.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-", dir=within) as folder:
        yield Path(folder) / "data"


@contextmanager
def running_system(
    folder: Path,
    command: str = "up",
    ports_of: System | None = None,
    collector_port: int | None = None,
) -> Iterator[System]:
    """`tailrace up` (or `demo`) with its data in `folder`, ended by its own process id.

    `ports_of`: it takes the ports of another; `collector_port`: not just any that is free.
    """
    ports = _ports(ports_of)
    ports["collector"] = collector_port or ports["collector"]
    environment = {
        **os.environ,
        "TAILRACE_DATA_DIR": str(folder),
        "TAILRACE_ENGINE_PORT": str(ports["engine"]),
        "TAILRACE_WEB_PORT": str(ports["web"]),
        "TAILRACE_COLLECTOR_PORT": str(ports["collector"]),
        "TAILRACE_INTAKE_TCP": f"127.0.0.1:{ports['intake_tcp']}",
        "TAILRACE_INTAKE_HTTP": f"127.0.0.1:{ports['intake_http']}",
    }
    started = time.monotonic()
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tailrace", command],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        system = System(
            process,
            ports["engine"],
            ports["web"],
            ports["intake_tcp"],
            ports["intake_http"],
            ports["collector"],
        )
        try:
            _wait_until_ready(system)
            system.first_answer_secs = time.monotonic() - started
            yield system
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


def _ports(system: System | None) -> dict[str, int]:
    """The ports of another system, or free ones."""
    if system is None:
        names = ("engine", "web", "collector", "intake_tcp", "intake_http")
        return {name: free_port() for name in names}
    return {
        "engine": system.engine_port,
        "web": system.web_port,
        "collector": system.collector_port,
        "intake_tcp": system.tcp_port,
        "intake_http": system.http_port,
    }


def _wait_until_ready(system: System) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECS
    url = f"http://127.0.0.1:{system.web_port}/readyz"
    while time.monotonic() < deadline:
        if system.process.poll() is not None:
            raise RuntimeError(f"tailrace up ended with exit code {system.process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError(f"{url} was not ready within {READY_WITHIN_SECS:g} s")
