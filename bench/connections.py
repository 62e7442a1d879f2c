"""Many connections that each send a line a second, and what the collector makes of them."""

import asyncio
import json
import resource
import threading
import time
from pathlib import Path

import uvloop

from bench.collecting import TCP, intake, pipeline, spent
from bench.collector import Collector, running_collector
from bench.measures import Figure
from bench.system import System

CONNECTIONS = 10_000
SECONDS = 20
CONNECTING_AT_ONCE = 500


def connections(folder: Path, system: System) -> list[Figure]:
    """Memory and CPU of a collector with so many open connections; each line must be there once."""
    _allow_many_connections()
    system.sql("TRUNCATE TABLE logs.application_logs")
    rows = CONNECTIONS * SECONDS
    with running_collector(folder / "connections", pipeline(TCP, intake(system))) as collector:
        before = collector.memory_mb()
        peaks: list[float] = []
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(collector, done, peaks))
        watcher.start()
        try:
            port = collector.ports["in"]
            used, _ = spent(
                collector, rows, lambda: uvloop.run(send_all(port, CONNECTIONS, SECONDS))
            )
        finally:
            done.set()
            watcher.join()
    system.wait_for_rows(rows)
    found = system.sql(
        "SELECT count(), uniqExact(attributes['connection'], attributes['number']) "
        "FROM logs.application_logs"
    ).split()
    if found != [str(rows)] * 2:
        raise RuntimeError(
            f"of {rows} lines there are {found[0]} rows, {found[1]} of them different"
        )
    name = f"{CONNECTIONS:,} connections, a line a second each"
    return [
        Figure(f"memory of the collector with {name}", max(peaks), "MB"),
        Figure("the same without connections", before, "MB"),
        Figure(f"CPU of the collector with {name}", 100 * used.all / SECONDS, "% of a core"),
    ]


async def send_all(port: int, count: int, seconds: int) -> None:
    """Open so many connections, then send a line over each every second."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def connect() -> asyncio.StreamWriter:
        async with gate:
            return (await asyncio.open_connection("127.0.0.1", port))[1]

    writers = await asyncio.gather(*(connect() for _ in range(count)))
    started = time.monotonic()
    for second in range(seconds):
        # Spread over the second, as connections that know nothing of each other are.
        for number, writer in enumerate(writers):
            if number % 100 == 0:
                due = started + second + number / count
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            event = {"message": "still here", "connection": number, "number": second}
            writer.write(json.dumps(event).encode() + b"\n")
    for writer in writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in writers))


def _watch(collector: Collector, done: threading.Event, peaks: list[float]) -> None:
    while not done.wait(0.5):
        peaks.append(collector.memory_mb())


def _allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < CONNECTIONS + 100:
        raise RuntimeError(f"cannot open {CONNECTIONS} connections: the limit of files is {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
