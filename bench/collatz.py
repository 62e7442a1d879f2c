"""Measures the pack `collatz` at a number of steps.

    python -m bench.collatz --steps 100000000

Chains of random numbers, computed many at once and inserted through the pack's own views; those
whose values need more than 63 bits are left out here. Each question is asked by HTTP as a person would,
a number of times. docs/packs/collatz.md has the figures of one run.
"""

import argparse
import os
import random
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from bench.requests import measure_panels, print_sizes, timed
from bench.system import System, data_folder, running_system

RUNS = 30
CHAINS_AT_ONCE = 4000
LARGEST = 99_999_999_999_999
TOO_LARGE = (2**63 - 1) // 3
TABLES = "SELECT name FROM system.tables WHERE database = 'rikstv'"
INSERT = "INSERT INTO rikstv.data_series (number, step, value, timestamp) FORMAT RowBinary\n"
ROW = np.dtype(
    [("number", "<u8"), ("step", "<u4"), ("low", "<u8"), ("high", "<u8"), ("time", "<i8")]
)


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path, help="where the data goes (else a temporary one)")
    options = parser.parse_args()
    os.environ |= {"TAILRACE_PACKS": "collatz", "COLLATZ_TCP": "127.0.0.1:0"}
    with data_folder(options.folder) as folder, running_system(folder) as system:
        while "intake_to_messages" not in system.sql(TABLES):
            time.sleep(0.1)
        print(f"filled in {timed(lambda: fill(system, options.steps)):,.0f} s")
        print_sizes(system, "rikstv.%")
        measure(system)


def blocks(rows: int) -> Iterator[bytes]:
    """Chains as rows of RowBinary, at least so many in all."""
    draw = random.Random(1)
    while rows > 0:
        numbers = np.array([draw.randint(1, LARGEST) for _ in range(CHAINS_AT_ONCE)], "u8")
        found = rows_of(numbers)
        rows -= len(found)
        yield found.tobytes()


def rows_of(numbers: np.ndarray) -> np.ndarray:
    """Every step of these numbers' chains."""
    now_ms = int(time.time() * 1000)
    parts, gone = [], np.zeros(0, "u8")
    alive, values, step = numbers, numbers.copy(), 0
    while len(alive):
        part = np.zeros(len(alive), ROW)
        part["number"], part["step"], part["low"], part["time"] = alive, step, values, now_ms
        parts.append(part)
        gone = np.concatenate([gone, alive[values > TOO_LARGE]])
        go_on = (values != 1) & (values <= TOO_LARGE)
        alive, values, step = alive[go_on], values[go_on], step + 1
        values = np.where(values % 2 == 1, values * 3 + 1, values // 2)
    rows = np.concatenate(parts)
    return rows[~np.isin(rows["number"], gone)]


def fill(system: System, steps: int) -> None:
    """Insert chains through the views."""
    url = f"http://127.0.0.1:{system.engine_port}/"
    for block in blocks(steps):
        request = urllib.request.Request(url, INSERT.encode() + block, method="POST")
        with urllib.request.urlopen(request) as response:
            response.read()


def measure(system: System) -> None:
    """Each question: how long it takes. Those about a chain are asked about another one each time."""
    numbers = system.sql(f"SELECT number FROM rikstv.chains ORDER BY rand(1) LIMIT {RUNS}").split()
    few = system.sql(
        f"SELECT value FROM rikstv.data_series WHERE number = {numbers[0]} AND step = 5"
    ).strip()
    for path in (
        "longest_step_chain",
        "highest_value",
        f"part/{few}",
        "part/3077",
        "part/4?limit=1000",
        "chain/{number}",
        "plot/{number}",
        "plot/{number}?format=svg",
        "plot/{number}/page",
        "collatz",
    ):
        asked = [path.replace("{number}", number) for number in numbers]
        # The first PNG loads matplotlib.
        first = timed(partial(get, system, asked[0])) * 1000
        times = sorted(timed(partial(get, system, one)) * 1000 for one in asked)
        print(
            f"GET /{path}: {times[0]:.1f} ms at least, median {times[RUNS // 2]:.1f} ms, "
            f"p95 {times[RUNS * 95 // 100]:.1f} ms, the first {first:.1f} ms, "
            f"{len(get(system, asked[0])):,} bytes"
        )
    measure_panels(system, "1h", "collatz")


def get(system: System, path: str) -> bytes:
    """The body of an answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{system.web_port}/{path}") as response:
        return bytes(response.read())


if __name__ == "__main__":
    main()
