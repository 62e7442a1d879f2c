"""The measurements: each takes a running system and gives back figures with their units."""

import json
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from bench.system import System

COLUMNS = "timestamp, log_level, message, source, host, trace_id, span_id"
STRUCTURE = (
    "timestamp DateTime64(9), log_level LowCardinality(String), message String, "
    "source LowCardinality(String), host LowCardinality(String), trace_id String, span_id String"
)
ALL_COLUMNS = f"{COLUMNS}, attributes"
ALL_STRUCTURE = f"{STRUCTURE}, attributes Map(LowCardinality(String), String)"


@dataclass(frozen=True)
class Figure:
    """One number of a run; `name` says what it is, `unit` in what it is told."""

    name: str
    value: float
    unit: str


def percentile(values: Sequence[float], per_cent: int) -> float:
    """The value that `per_cent` of the values do not exceed (inclusive method)."""
    return statistics.quantiles(values, n=100, method="inclusive")[per_cent - 1]


def ingest(system: System, lines: Path, rows: int) -> list[Figure]:
    """Rates of the same file: by the engine's own insert, and by TCP, buffer and table."""
    megabytes = lines.stat().st_size / 1e6
    shaped = lines.with_suffix(".shaped")
    shape(lines, shaped)
    whole = best_of(3, lambda: engine_insert(system, shaped, ALL_COLUMNS, ALL_STRUCTURE))
    cut = best_of(3, lambda: engine_insert(system, lines, COLUMNS, STRUCTURE))
    through_intake = best_of(3, lambda: engine_intake(system, lines))
    whole_way = best_of(3, lambda: over_tcp(system, lines, rows))
    system.sql("OPTIMIZE TABLE logs.application_logs FINAL")
    disk = float(
        system.sql(
            "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts "
            "WHERE active AND database = 'logs' AND table = 'application_logs'"
        )
    )
    return [
        Figure("engine's own JSONEachRow of the same events, all fields", rows / whole, "rows/s"),
        Figure("engine's own JSONEachRow, fields without a column dropped", rows / cut, "rows/s"),
        Figure("the same", megabytes / cut, "MB/s"),
        Figure(
            "engine's own insert of the lines into logs.intake", rows / through_intake, "rows/s"
        ),
        Figure("TCP → fsynced buffer → visible", rows / whole_way, "rows/s"),
        Figure("the same", megabytes / whole_way, "MB/s"),
        Figure("TCP → visible, of JSONEachRow with all fields", 100 * whole / whole_way, "%"),
        Figure("TCP → visible, of JSONEachRow that drops fields", 100 * cut / whole_way, "%"),
        Figure(
            "TCP → visible, of the insert into logs.intake", 100 * through_intake / whole_way, "%"
        ),
        Figure("on disk, merged", disk, "bytes/row"),
    ]


def best_of(times: int, measure: Callable[[], float]) -> float:
    """The shortest of several runs, in seconds: the machine is shared, and noise only adds."""
    return min(measure() for _ in range(times))


def shape(lines: Path, shaped: Path) -> None:
    """The same events with their further fields in a map, as `FORMAT JSONEachRow` can store them."""
    columns = frozenset(COLUMNS.split(", "))
    with lines.open("rb") as source, shaped.open("wb") as target:
        for line in source:
            event = orjson.loads(line)
            further = {name: event.pop(name) for name in list(event) if name not in columns}
            event["attributes"] = {
                name: value if isinstance(value, str) else orjson.dumps(value).decode()
                for name, value in further.items()
            }
            target.write(orjson.dumps(event) + b"\n")


def engine_insert(system: System, lines: Path, columns: str, structure: str) -> float:
    """Seconds for the engine to insert the file by itself, in parallel and in blocks of its own."""
    system.sql("TRUNCATE TABLE logs.application_logs")
    started = time.monotonic()
    system.sql(
        f"INSERT INTO logs.application_logs ({columns}) "
        f"SELECT {columns} FROM file('{lines}', JSONEachRow, '{structure}')",
        date_time_input_format="best_effort",
        async_insert="0",
        materialize_skip_indexes_on_insert="0",
    )
    return time.monotonic() - started


def engine_intake(system: System, lines: Path) -> float:
    """Seconds for the engine to insert the file's lines into the intake table by itself."""
    system.sql("TRUNCATE TABLE logs.application_logs")
    started = time.monotonic()
    system.sql(
        "INSERT INTO logs.intake (json, peer) SELECT line, '127.0.0.1' "
        f"FROM file('{lines}', LineAsString, 'line String')",
        async_insert="0",
        materialize_skip_indexes_on_insert="0",
    )
    return time.monotonic() - started


def over_tcp(system: System, lines: Path, rows: int) -> float:
    """Seconds from the first byte sent to the last row visible."""
    system.sql("TRUNCATE TABLE logs.application_logs")
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", system.tcp_port)) as connection:
        with lines.open("rb") as file:
            connection.sendfile(file)
    system.wait_for_rows(rows)
    return time.monotonic() - started


def latency(system: System, events: int = 5_000, events_per_sec: int = 1_000) -> list[Figure]:
    """Time from sending an event to its being visible, at a steady rate.

    Each event carries the moment it was sent. A query in a loop sees the newest of them, so the
    time to visible of an event is the end of the first query that found it.
    """
    system.sql("TRUNCATE TABLE logs.application_logs")
    sent: list[float] = []
    visible: list[float] = []
    per_tick = max(1, events_per_sec // 100)
    with socket.create_connection(("127.0.0.1", system.tcp_port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.monotonic()
        while len(visible) < events:
            due = min(events, int((time.monotonic() - started) * events_per_sec))
            while len(sent) < due:
                ticket = range(len(sent), min(due, len(sent) + per_tick))
                connection.sendall(b"".join(_line(number) for number in ticket))
                sent += [time.monotonic()] * len(ticket)
            found = system.count()
            visible += [time.monotonic()] * (found - len(visible))
    delays_ms = [1000 * (seen - left) for left, seen in zip(sent, visible, strict=True)]
    return [
        Figure(
            f"send → visible at {events_per_sec} events/s, median", percentile(delays_ms, 50), "ms"
        ),
        Figure(
            f"send → visible at {events_per_sec} events/s, p99", percentile(delays_ms, 99), "ms"
        ),
    ]


def _line(number: int) -> bytes:
    event = {
        "timestamp": datetime.now(UTC).isoformat(),
        "log_level": "INFO",
        "message": f"benchmark event {number}",
        "source": "bench",
    }
    return json.dumps(event).encode() + b"\n"


def pages(system: System, rows: int, requests: int = 200) -> list[Figure]:
    """Time of the newest 100 rows by the API and of the same SQL by itself, at `rows` rows."""
    path = "/api/v1/logs?limit=100"
    sql = str(system.get_json(path)["sql"])
    while system.sql("SELECT count() FROM system.merges").strip() != "0":
        time.sleep(0.2)
    by_api, by_sql = [], []
    for _ in range(requests):  # in turn, so that whatever else happens happens to both
        by_api.append(_time_ms(lambda: system.get_json(path)))
        by_sql.append(_time_ms(lambda: system.sql(sql)))
    return [
        Figure(f"GET {path} at {rows:,} rows, median", percentile(by_api, 50), "ms"),
        Figure(f"GET {path} at {rows:,} rows, p95", percentile(by_api, 95), "ms"),
        Figure("the same SQL by itself, p95", percentile(by_sql, 95), "ms"),
        Figure("API to SQL, medians", percentile(by_api, 50) / percentile(by_sql, 50), "times"),
    ]


def _time_ms(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return 1000 * (time.monotonic() - started)


def memory(system: System, when: str) -> list[Figure]:
    """Memory of each process and of all together, shared pages counted once."""
    sizes = system.memory_mb()
    figures = [Figure(f"memory {when}: {name}", size, "MB") for name, size in sizes.items()]
    return [*figures, Figure(f"memory {when}: all", sum(sizes.values()), "MB")]
