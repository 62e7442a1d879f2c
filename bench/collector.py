"""A `tailrace collect` of its own, fed and measured from outside: CPU time, memory, what it counts."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

READY_WITHIN_SECS = 60.0
POLL_SECS = 0.1
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class CpuSecs:
    """CPU time in seconds, user and system."""

    own: float
    """Of the process that has the sources and sinks."""
    workers: float
    """Of those that transform."""

    @property
    def all(self) -> float:
        """Of the whole collector."""
        return self.own + self.workers

    def __sub__(self, before: "CpuSecs") -> "CpuSecs":
        return CpuSecs(self.own - before.own, self.workers - before.workers)


@dataclass
class Collector:
    """A running collector."""

    process: subprocess.Popen[bytes]
    port: int = 0
    """Of its own pages."""
    ports: dict[str, int] = field(default_factory=dict)
    """Of its sources."""

    def cpu(self) -> CpuSecs:
        """CPU time so far."""
        process = psutil.Process(self.process.pid)
        return CpuSecs(_cpu_secs(process), sum(map(_cpu_secs, process.children(recursive=True))))

    def kept_waiting_secs(self) -> float:
        """For how long the event loop's thread could have run, but others had the cores."""
        pid = self.process.pid
        try:
            text = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
        except OSError:
            return math.nan
        return int(text.split()[1]) / 1e9

    def memory_mb(self) -> float:
        """Proportional set size of all its processes in MB."""
        process = psutil.Process(self.process.pid)
        every = [process, *process.children(recursive=True)]
        return sum(float(each.memory_full_info().pss) for each in every) / 1e6

    def metric(self, name: str, labels: str = "") -> float:
        """Sum of a metric's values, of those samples whose labels contain a text."""
        found = _SAMPLE.findall(self._page("/metrics"))
        return sum(float(value) for known, text, value in found if known == name and labels in text)

    def lags(self) -> dict[float, int]:
        """How often the event loop was later than so many seconds, by the histogram's bounds."""
        text = self._page("/metrics")
        found = re.findall(r'event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', text)
        most = float(found[-1][1])
        return {0.0: int(most)} | {float(bound): int(most - float(count)) for bound, count in found}

    def wait_until_sent(self, sink_id: str, events: int, within_secs: float = 300.0) -> None:
        """Return as soon as a sink has so many events in all."""
        deadline = time.monotonic() + within_secs
        labels = f'component_id="{sink_id}"'
        while (found := self.metric("component_sent_events_total", labels)) < events:
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {found:.0f} of {events} events in {within_secs:g} s")
            time.sleep(POLL_SECS)

    def _page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as response:
            return str(response.read().decode())


@contextmanager
def running_collector(
    folder: Path, configuration: Mapping[str, Any], workers: int = 1
) -> Iterator[Collector]:
    """A collector with everything that it writes in `folder`, ended by its own process id."""
    folder.mkdir(parents=True)
    file, log = folder / "pipeline.yaml", folder / "collector.log"
    file.write_text(yaml.safe_dump(dict(configuration)), encoding="utf-8")
    arguments = ["collect", str(file), "--data-dir", str(folder / "data"), "--collector-port", "0"]
    environment = {**os.environ, "TAILRACE_TRANSFORM_WORKERS": str(workers)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tailrace", *arguments],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    collector = Collector(process)
    try:
        _wait_until_ready(collector, log)
        yield collector
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _wait_until_ready(collector: Collector, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECS
    while time.monotonic() < deadline:
        if collector.process.poll() is not None:
            raise RuntimeError(f"the collector ended: {log.read_text(encoding='utf-8')}")
        text = log.read_text(encoding="utf-8")
        said = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        ready = [line for line in said if line["event"] == "collector is ready"]
        if ready:
            collector.port = ready[0]["port"]
            listening = [line for line in said if line["event"] == "listening"]
            collector.ports = {line["source"]: line["port"] for line in listening}
            return
        time.sleep(0.05)
    raise TimeoutError(f"the collector was not ready within {READY_WITHIN_SECS:g} s")


def _cpu_secs(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)
