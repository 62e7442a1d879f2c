"""`python -m bench`: one run of every measurement, printed, and with --write kept in the docs."""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.measures import Figure, ingest, latency, memory, over_tcp, pages
from bench.system import System, running_system

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PACKAGES = ("tailrace", "chdb-core", "clickhouse-connect", "uvicorn", "fastapi")


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the ingest file")
    parser.add_argument("--table-rows", type=int, default=10_000_000, help="rows for the page test")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {DOCUMENT.name}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        figures = run(Path(name), arguments.rows, arguments.table_rows)
    table = render(figures)
    print(table)
    if arguments.write:
        write(table)


def run(folder: Path, rows: int, table_rows: int) -> list[Figure]:
    """All figures of one run, measured on one system."""
    lines = folder / "lines.json"
    say(f"making {rows:,} log lines")
    generate(lines, rows)
    figures: list[Figure] = []
    with running_system(folder / "data") as system:
        figures.append(Figure("start to ready", system.first_answer_secs, "s"))
        time.sleep(3)
        figures += memory(system, "idle")
        say("ingesting")
        figures += ingest(system, lines, rows)
        figures += memory_under_load(system, lines, rows)
        say("latency at a steady rate")
        figures += latency(system)
        say(f"filling the table to {table_rows:,} rows")
        fill(system, lines, rows, table_rows)
        figures += pages(system, table_rows)
    with running_system(folder / "data") as system:
        figures.append(
            Figure(f"start to ready with {table_rows:,} rows", system.first_answer_secs, "s")
        )
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
