"""Listens: opens the port, then the database, then serves until it is told to stop.

At SIGTERM or SIGINT it takes no more connections, lets what runs finish for DRAIN_SECS, ends the
rest and closes the database.
"""

import asyncio
import errno
import signal
import socket

import uvloop

from tailrace.clock import SystemClock
from tailrace.engine.app import App
from tailrace.engine.auth import Guard
from tailrace.engine.connection import Connection
from tailrace.engine.database import Database
from tailrace.errors import PortTakenError, UsageError
from tailrace.settings import Settings
from tailrace.telemetry import get_logger

DRAIN_SECS = 3.5
KILL_SECS = 1.0
SESSION_SWEEP_SECS = 10.0


def run(settings: Settings) -> None:
    """Serve the embedded ClickHouse of `settings.data_dir` until SIGTERM or SIGINT."""
    guard = Guard(settings)
    listener = listen(settings.engine_host, settings.engine_port)
    try:
        database = Database(settings.data_dir)
        try:
            uvloop.run(_serve(App(database, guard, SystemClock()), listener))
        finally:
            database.close()
    finally:
        listener.close()


async def _serve(app: App, listener: socket.socket) -> None:
    log = get_logger("engine")
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(app.handle, connections), sock=listener)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    log.info(
        "engine is ready",
        address=f"http://{shown}:{port}",
        folder=str(app.database.folder),
        version=app.database.version,
    )
    expiry = loop.create_task(_expire_sessions(app))
    await told_to_stop.wait()
    expiry.cancel()
    server.close()
    log.info("engine stops", running=len(app.processes))
    await _drain(app, connections)
    app.close()


async def _expire_sessions(app: App) -> None:
    while True:
        await asyncio.sleep(SESSION_SWEEP_SECS)
        await asyncio.to_thread(app.sessions.expire)


async def _drain(app: App, connections: set[Connection]) -> None:
    loop = asyncio.get_running_loop()
    for connection in list(connections):
        connection.finish()
    await _idle(connections, DRAIN_SECS)
    for query_id in app.processes:
        await loop.run_in_executor(None, app.processes.kill, query_id)
    await _idle(connections, KILL_SECS)
    for connection in list(connections):
        connection.close()


async def _idle(connections: set[Connection], timeout_secs: float) -> None:
    running = [c.task for c in connections if c.task is not None and c.busy]
    if running:
        await asyncio.wait(running, timeout=timeout_secs)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # finds clients that vanished
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port, "TAILRACE_ENGINE_PORT") from error
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}. Choose another address with "
            "TAILRACE_ENGINE_HOST and TAILRACE_ENGINE_PORT"
        ) from error
    return listener
