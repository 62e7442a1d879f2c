"""Measurements of collectors of their own: each starts one or more and gives back figures.

Rates *a core* are events by CPU time, of the collector with all its processes: what others do on the
machine meanwhile changes them little. Where a collector is measured for itself its sink is a
`blackhole`; the engine's part is measured in `bench.measures`.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

from bench.collector import Collector, CpuSecs, running_collector
from bench.feeding import (
    DOCUMENTS_A_BULK,
    RECORDS_A_REQUEST,
    bulk_bodies,
    otlp_requests,
    post_often,
    send_file,
    syslog_file,
)
from bench.measures import Figure
from bench.system import System
from bench.vrl_alone import PROGRAM

TCP = {
    "type": "socket",
    "mode": "tcp",
    "address": "127.0.0.1:0",
    "port_key": "",
    "decoding": {"codec": "json"},
}
REMAP = {"type": "remap", "inputs": ["in"], "source": PROGRAM, "drop_on_error": True}
BLACKHOLE = {"type": "blackhole"}
WARM_UP_ROWS = 5_000
LATE_SECS = 0.02


def pipeline(
    source: Mapping[str, Any], sink: Mapping[str, Any], output: str = "in", *, remap: bool = False
) -> dict[str, Any]:
    """A configuration from `in` to `out`, with the remap between or without."""
    transforms = {"remap": {**REMAP, "inputs": [output]}} if remap else {}
    return {
        "sources": {"in": dict(source)},
        "transforms": transforms,
        "sinks": {"out": {**sink, "inputs": ["remap" if remap else output]}},
    }


def intake(system: System) -> dict[str, Any]:
    """The sink that the logs pack's pipeline has."""
    return {
        "type": "clickhouse",
        "endpoint": f"http://127.0.0.1:{system.engine_port}",
        "database": "logs",
        "table": "intake",
        "format": "json_as_string",
        "batch": {"max_bytes": 20_000_000, "timeout_secs": 0.2},
    }


def spent(collector: Collector, rows: int, send: Callable[[], None]) -> tuple[CpuSecs, float]:
    """CPU and wall time from the first byte sent until the sink has `rows` more events."""
    sent = collector.metric("component_sent_events_total", 'component_id="out"')
    before, started = collector.cpu(), time.monotonic()
    send()
    collector.wait_until_sent("out", int(sent) + rows)
    return collector.cpu() - before, time.monotonic() - started


def remap(folder: Path, lines: Path, rows: int, system: System) -> list[Figure]:
    """A remap of five fields, beside what `vrl-python` does by itself with the same events."""
    lines = first_lines(lines, rows)
    alone = vrl_alone(lines, rows, processes=1)
    pair = vrl_alone(lines, rows, processes=2)
    figures = [
        Figure("vrl-python alone, dictionaries in a loop", rows / alone.own, "events/s a core"),
        Figure("the same in two processes at once", 2 * rows / pair.own, "events/s a core"),
    ]
    sinks = {"blackhole": BLACKHOLE, "ClickHouse": intake(system)}
    for name, sink in sinks.items():
        configuration = pipeline(TCP, sink, remap=True)
        with running_collector(folder / f"remap-{name}", configuration) as collector:
            warm_up(collector, lines)
            before, waited = collector.lags(), collector.kept_waiting_secs()
            used, secs = spent(collector, rows, lambda: send_file(collector.ports["in"], lines))
            lag = lag_between(before, collector.lags())
            waited = collector.kept_waiting_secs() - waited
        figures += [
            Figure(f"TCP → remap → {name}", rows / used.workers, "events/s a worker's core"),
            Figure("the same, whole collector", rows / used.all, "events/s a core"),
            Figure("workers, of vrl-python alone", 100 * alone.own / used.workers, "%"),
            Figure(f"TCP → remap → {name}, longest stall, below", 1000 * lag.longest_secs, "ms"),
            Figure("wakings that were later than 20 ms", 100 * lag.late, "%"),
            Figure(
                "of the time, the loop was kept from a core by others", 100 * waited / secs, "%"
            ),
        ]
    return figures


def vrl_alone(lines: Path, rows: int, processes: int) -> CpuSecs:
    """CPU time of the loop, summed over so many processes at once."""
    command = [sys.executable, "-m", "bench.vrl_alone", str(lines), str(rows)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    said = [process.communicate()[0] for process in running]
    return CpuSecs(sum(float(text.split()[0]) for text in said), 0.0)


def warm_up(collector: Collector, lines: Path) -> None:
    """Let workers start and programs compile."""
    few = first_lines(lines, WARM_UP_ROWS)
    spent(collector, WARM_UP_ROWS, lambda: send_file(collector.ports["in"], few))


def first_lines(lines: Path, rows: int) -> Path:
    """A file of the first lines of another."""
    path = lines.with_name(f"first-{rows}.json")
    with lines.open("rb") as source, path.open("wb") as target:
        target.writelines(islice(source, rows))
    return path


@dataclass(frozen=True)
class Lag:
    """How late the event loop was."""

    longest_secs: float
    """Rounded up to a bound of the histogram."""
    late: float
    """The share of wakings that were later than `LATE_SECS`."""


def lag_between(before: Mapping[float, int], after: Mapping[float, int]) -> Lag:
    """From what `Collector.lags` said at two times."""
    later = {bound: after[bound] - before[bound] for bound in sorted(after)}
    none_later = [bound for bound, count in later.items() if not count]
    return Lag(none_later[0], later[LATE_SECS] / max(1, later[0.0]))


def protocols(folder: Path, lines: Path, rows: int, system: System) -> list[Figure]:
    """Rates of what takes events in another form than lines of JSON."""
    in_json, in_protobuf = otlp_requests(lines)
    syslog = folder / "lines.syslog"
    syslog_file(lines, syslog, rows)
    return [
        otlp(folder, "JSON", "application/json", in_json, rows),
        otlp(folder, "protobuf", "application/x-protobuf", in_protobuf, rows),
        by_syslog(folder, syslog, rows),
        by_bulk(lines, rows, system),
    ]


def otlp(folder: Path, name: str, media_type: str, bodies: Sequence[bytes], rows: int) -> Figure:
    """OTLP over HTTP, in requests of the size that SDKs make."""
    source = {"type": "opentelemetry", "http": {"address": "127.0.0.1:0"}}
    configuration = pipeline(source, BLACKHOLE, "in.logs")
    requests = rows // RECORDS_A_REQUEST
    with running_collector(folder / f"otlp-{name}", configuration) as collector:

        def send(requests: int) -> float:
            port, events = collector.ports["in"], requests * RECORDS_A_REQUEST
            post = partial(post_often, port, "/v1/logs", media_type, bodies, requests)
            return spent(collector, events, post)[0].all / events

        send(WARM_UP_ROWS // RECORDS_A_REQUEST)
        return Figure(f"OTLP in {name} → blackhole", 1 / send(requests), "events/s a core")


def by_syslog(folder: Path, lines: Path, rows: int) -> Figure:
    """RFC 5424 over TCP."""
    source = {"type": "syslog", "mode": "tcp", "address": "127.0.0.1:0"}
    with running_collector(folder / "syslog", pipeline(source, BLACKHOLE)) as collector:
        warm_up(collector, lines)
        used, _ = spent(collector, rows, lambda: send_file(collector.ports["in"], lines))
    return Figure("syslog over TCP → blackhole", rows / used.all, "events/s a core")


def by_bulk(lines: Path, rows: int, system: System) -> Figure:
    """Elasticsearch's `_bulk`, through the pages' process and the collector into the table."""
    bodies = bulk_bodies(lines)

    def send(requests: int) -> float:
        system.sql("TRUNCATE TABLE logs.application_logs")
        before = system.cpu_secs()
        post_often(
            system.web_port, "/elasticsearch/_bulk", "application/x-ndjson", bodies, requests
        )
        system.wait_for_rows(requests * DOCUMENTS_A_BULK)
        after = system.cpu_secs()
        used = sum(after[part] - before[part] for part in ("web", "collect"))
        return used / (requests * DOCUMENTS_A_BULK)

    send(WARM_UP_ROWS // DOCUMENTS_A_BULK)
    per_event = send(rows // DOCUMENTS_A_BULK)
    return Figure("_bulk → table, pages' process and collector", 1 / per_event, "events/s a core")


def soak(folder: Path, lines: Path, minutes: float) -> list[Figure]:
    """Memory under a steady load with a remap: its growth from the second third to the last."""
    with running_collector(folder / "soak", pipeline(TCP, BLACKHOLE, remap=True)) as collector:
        samples: list[float] = []
        done = threading.Event()
        sender = threading.Thread(target=steady, args=(collector.ports["in"], lines, done))
        sender.start()
        ends = time.monotonic() + 60 * minutes
        while time.monotonic() < ends:
            time.sleep(min(1.0, minutes))
            samples.append(collector.memory_mb())
        done.set()
        sender.join()
    third = len(samples) // 3
    grown = mean(samples[-third:]) - mean(samples[third : 2 * third])
    return [
        Figure(f"memory after {minutes:g} min of steady load", samples[-1], "MB"),
        Figure("its growth from the second third to the last", grown, "MB"),
    ]


def steady(port: int, lines: Path, done: threading.Event) -> None:
    """Send lines again and again, some ten thousand a second, until told."""
    with lines.open("rb") as source:
        tick = b"".join(islice(source, 1000))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while not done.wait(0.1):
            connection.sendall(tick)
