"""Runs a collector from its start to its end.

It ends with SIGTERM or SIGINT, within `GRACE_SECS` and with nothing acknowledged lost, or by itself
when all its sources are finished and everything is delivered (`cat file | tailrace collect …`).
SIGHUP makes it read its files again: where they are valid, it goes on as they say and loses no
event; where not, it says so, counts it and goes on as before.
"""

import asyncio
import gc
import logging
import resource
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import uvloop
from prometheus_client import disable_created_metrics

from tailrace.clock import SystemClock
from tailrace.collect.config import Config, load
from tailrace.collect.event_loop import measured_lag
from tailrace.collect.health import HealthServer
from tailrace.collect.metrics import Metrics
from tailrace.collect.topology import Topology
from tailrace.errors import TailraceError, UsageError
from tailrace.settings import Settings
from tailrace.telemetry import Logger, get_logger, new_registry

OBJECTS_BETWEEN_COLLECTIONS = 20_000

GRACE_SECS = 2.0
"""Less than the supervisor waits before it kills."""

FINISHING_SOURCES = frozenset({"stdin"})
"""Sources that come to an end: a collector that has no other serves nobody, so it opens no port."""


def run(paths: Sequence[Path], settings: Settings, *, interpolate: bool = False) -> None:
    """Collect as the files say, until it ends."""
    read = partial(load, paths, interpolate=interpolate)
    config = read()
    _allow_many_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(collect(config, settings, read))


async def collect(
    config: Config, settings: Settings, read_again: Callable[[], Config] | None = None
) -> None:
    """Collect as `config` says, until a signal comes or all sources are finished.

    At SIGHUP, as `read_again` says.
    """
    log = get_logger("collector")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    disable_created_metrics()  # type: ignore[no-untyped-call]
    for warning in config.warnings:
        log.warning(warning)
    registry = new_registry()
    metrics = Metrics(registry)
    topology = Topology(config, settings, metrics, SystemClock(), log)
    health = HealthServer(registry, topology.is_ready)
    serves = any(source.type not in FINISHING_SOURCES for source in config.sources.values())
    if serves:
        await health.start(settings.collector_host, settings.collector_port)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    changed = asyncio.Event()
    if read_again:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changed.set)
    try:
        await topology.start()
        _spare_the_garbage_collector()
        log.info("collector is ready", port=health.port)
        try:
            async with (
                measured_lag(SystemClock(), metrics.event_loop_lag.observe),
                _reloading(Reloader(topology, metrics, read_again, log), changed) as reloading,
            ):
                await _until_told(topology, told, reloading)
        finally:
            await topology.stop(GRACE_SECS)
    finally:
        if serves:
            await health.stop()
    log.info("collector has ended")


@dataclass(frozen=True)
class Reloader:
    """Puts the configuration that the files hold now in place of the one that runs."""

    topology: Topology
    metrics: Metrics
    read: Callable[[], Config] | None
    log: Logger

    async def reload_for_ever(self, changed: asyncio.Event) -> None:
        """Each time that `changed` is set."""
        while True:
            await changed.wait()
            changed.clear()
            await self.reload()

    async def reload(self) -> None:
        """Once."""
        if self.read is None:
            return
        try:
            config = await asyncio.to_thread(self.read)
            for warning in config.warnings:
                self.log.warning(warning)
            await self.topology.reload(config)
            problem = ""
        except (TailraceError, OSError) as error:
            problem = str(error)
        if problem:
            self.metrics.reload_errors.inc()
            self.log.error("cannot use the new configuration: the old one goes on", problem=problem)
        else:
            self.metrics.reloads.inc()
            self.log.info("the new configuration is in place")


@asynccontextmanager
async def _reloading(
    reloader: Reloader, changed: asyncio.Event
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(reloader.reload_for_ever(changed))
    try:
        yield task
    finally:
        # One that is under way is finished: in its middle there is nothing that could be stopped.
        await reloader.topology.until_steady()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def check_folder(folder: Path) -> None:
    """Make the buffer's folder; raises UsageError where nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write into {folder}: {error.strerror}. TAILRACE_DATA_DIR, or data_dir in the "
            "configuration, sets another folder"
        ) from error


def _allow_many_connections() -> None:
    """Use as many file descriptors as the system lets us: the usual soft limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _spare_the_garbage_collector() -> None:
    """What is there after the start stays, so nobody need look for garbage in it.

    Sources make objects by the ten thousand, which Python answers by looking through everything:
    without this, half the time of a thread that reads from Kafka.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


async def _until_told(
    topology: Topology, told: asyncio.Event, reloading: asyncio.Task[None]
) -> None:
    running = asyncio.create_task(topology.run())
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({running, waiting, reloading}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if reloading.done():
        # It has no end but by an error that nobody expects: better none than one that hears nothing.
        running.cancel()
        await reloading
    if running.done():
        await running
    running.cancel()
