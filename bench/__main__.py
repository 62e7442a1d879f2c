"""`python -m bench`: one run of every measurement, printed, and with --write kept in the docs.

    python -m bench                                  everything, about four minutes on two idle cores
    python -m bench --only remap protocols           parts of it
    python -m bench --only soak --minutes 60

The parts are those of `PARTS`. Compare the figures of one run with each other: most are ratios, or
rates by CPU time, for machines differ and shared ones differ from minute to minute.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from bench.collecting import protocols, remap, soak
from bench.connections import connections
from bench.kafka import can_run, kafka
from bench.measures import Figure, ingest, latency, memory, over_tcp, pages
from bench.system import System, running_system

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PACKAGES = ("tailrace", "chdb-core", "clickhouse-connect", "uvicorn", "fastapi", "vrl-python")


@dataclass
class Ground:
    """What the parts of one run share; each thing is made when it is first needed."""

    folder: Path
    rows: int
    table_rows: int
    minutes: float
    resources: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def lines(self) -> Path:
        """A file of log lines."""
        path = self.folder / "lines.json"
        say(f"making {self.rows:,} log lines")
        generate(path, self.rows)
        return path

    @cached_property
    def system(self) -> System:
        """A running `tailrace up`."""
        return self.resources.enter_context(running_system(self.folder / "data"))

    def restart(self) -> System:
        """End the system and start it again."""
        self.resources.close()
        self.__dict__.pop("system", None)
        return self.system


def measure_start(ground: Ground) -> list[Figure]:
    """From the command to the first page, and the memory of an idle system."""
    system = ground.system
    time.sleep(3)
    return [Figure("start to ready", system.first_answer_secs, "s"), *memory(system, "idle")]


def measure_ingest(ground: Ground) -> list[Figure]:
    """The whole way by TCP beside the engine's own inserts."""
    figures = ingest(ground.system, ground.lines, ground.rows)
    return figures + memory_under_load(ground.system, ground.lines, ground.rows)


def measure_pages(ground: Ground) -> list[Figure]:
    """The API on a large table, and a start with it."""
    say(f"filling the table to {ground.table_rows:,} rows")
    fill(ground.system, ground.lines, ground.rows, ground.table_rows)
    figures = pages(ground.system, ground.table_rows)
    name = f"start to ready with {ground.table_rows:,} rows"
    return [*figures, Figure(name, ground.restart().first_answer_secs, "s")]


def measure_kafka(ground: Ground) -> list[Figure]:
    """From a broker into tables; nothing where no broker can run."""
    if not can_run():
        say("leaving out kafka: it needs Java and Maven")
        return []
    return kafka(ground.folder / "kafka", ground.system, 5 * ground.rows)


PARTS: Mapping[str, Callable[[Ground], list[Figure]]] = {
    "start": measure_start,
    "ingest": measure_ingest,
    "latency": lambda ground: latency(ground.system),
    "remap": lambda ground: remap(ground.folder, ground.lines, ground.rows // 3, ground.system),
    "protocols": lambda ground: protocols(
        ground.folder, ground.lines, ground.rows // 4, ground.system
    ),
    "connections": lambda ground: connections(ground.folder, ground.system),
    "kafka": measure_kafka,
    "soak": lambda ground: soak(ground.folder, ground.lines, ground.minutes),
    "pages": measure_pages,
}
"""In the order in which they are measured."""


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the ingest file")
    parser.add_argument("--table-rows", type=int, default=10_000_000, help="rows for the page test")
    parser.add_argument("--minutes", type=float, default=0.5, help="length of the soak")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {DOCUMENT.name}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        ground = Ground(Path(name), arguments.rows, arguments.table_rows, arguments.minutes)
        with ground.resources:
            figures = run(ground, arguments.only)
    table = render(figures)
    print(table)
    if arguments.write:
        write(table)


def run(ground: Ground, names: Sequence[str]) -> list[Figure]:
    """The figures of these parts."""
    figures: list[Figure] = []
    for name, measure in PARTS.items():
        if name in names:
            say(f"measuring {name}")
            figures += measure(ground)
    return figures


def generate(path: Path, rows: int) -> None:
    """Write `rows` log lines, always the same ones."""
    subprocess.run(
        [sys.executable, "-m", "tailrace", "generate", "logs"]
        + ["--count", str(rows), "--seed", "1", "--to", str(path)],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def memory_under_load(system: System, lines: Path, rows: int) -> list[Figure]:
    """The largest memory that was seen while the file came in by TCP."""
    peaks: dict[str, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for figure in memory(system, "at full speed, largest"):
                peaks[figure.name] = max(peaks.get(figure.name, 0.0), figure.value)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        over_tcp(system, lines, rows)
    finally:
        done.set()
        watcher.join()
    return [Figure(name, value, "MB") for name, value in peaks.items()]


def fill(system: System, lines: Path, rows: int, table_rows: int) -> None:
    """Bring the log table to `table_rows` rows whose timestamps go on and on."""
    over_tcp(system, lines, rows)
    step_secs = 3600
    for times in range(1, table_rows // rows):
        system.sql(
            "INSERT INTO logs.application_logs (timestamp, log_level, message, source, host, "
            f"trace_id, span_id, attributes) SELECT timestamp - {times * step_secs}, log_level, "
            "message, source, host, trace_id, span_id, attributes FROM logs.application_logs "
            f"WHERE timestamp > (SELECT max(timestamp) FROM logs.application_logs) - {step_secs} "
            f"LIMIT {rows}"
        )
    if (found := system.count()) != table_rows:
        raise RuntimeError(f"the table has {found:,} rows in place of {table_rows:,}")


def render(figures: list[Figure]) -> str:
    """A Markdown table with the machine and the versions above it."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    head = [
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({processor()}), "
        f"{memory_gb:.0f} GB, {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}; {packages}",
        "",
        "| what | figure | |",
        "| --- | ---: | --- |",
    ]
    return "\n".join(
        head + [f"| {figure.name} | {figure.value:,.4g} | {figure.unit} |" for figure in figures]
    )


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write(table: str) -> None:
    """Put the table between the marks of the benchmarks' page."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    say(f"kept in {DOCUMENT}")


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
