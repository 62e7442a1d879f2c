"""Runs a collector from its start to its end.

It ends with SIGTERM or SIGINT, within `GRACE_SECS` and with nothing acknowledged lost, or by itself
when all its sources are finished and everything is delivered (`cat file | tailrace collect …`).
"""

import asyncio
import logging
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

import uvloop
from prometheus_client import disable_created_metrics

from tailrace.clock import SystemClock
from tailrace.collect.config import Config, load
from tailrace.collect.health import HealthServer
from tailrace.collect.metrics import Metrics
from tailrace.collect.topology import Topology
from tailrace.settings import Settings
from tailrace.telemetry import get_logger, new_registry

GRACE_SECS = 2.0
"""Less than the supervisor waits before it kills."""

FINISHING_SOURCES = frozenset({"stdin"})
"""Sources that come to an end: a collector that has no other serves nobody, so it opens no port."""


def run(paths: Sequence[Path], settings: Settings, *, interpolate: bool = False) -> None:
    """Collect as the files say, until it ends."""
    config = load(paths, interpolate=interpolate)
    _allow_many_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(collect(config, settings))


async def collect(config: Config, settings: Settings) -> None:
    """Collect as `config` says, until a signal comes or all sources are finished."""
    log = get_logger("collector")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    disable_created_metrics()  # type: ignore[no-untyped-call]
    for warning in config.warnings:
        log.warning(warning)
    registry = new_registry()
    topology = Topology(config, settings, Metrics(registry), SystemClock(), log)
    health = HealthServer(registry, topology.is_ready)
    serves = any(source.type not in FINISHING_SOURCES for source in config.sources.values())
    if serves:
        await health.start(settings.collector_host, settings.collector_port)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    try:
        await topology.start()
        log.info("collector is ready", port=health.port)
        try:
            await _until_told(topology, told)
        finally:
            await topology.stop(GRACE_SECS)
    finally:
        if serves:
            await health.stop()
    log.info("collector has ended")


def _allow_many_connections() -> None:
    """Use as many file descriptors as the system lets us: the usual soft limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _until_told(topology: Topology, told: asyncio.Event) -> None:
    running = asyncio.create_task(topology.run())
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        await running
    running.cancel()
