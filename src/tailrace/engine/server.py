"""Listens: opens the port, then the database, then serves until it is told to stop."""

import socket

import uvicorn

from tailrace.engine.app import EngineApp
from tailrace.engine.database import Database
from tailrace.errors import PortTakenError
from tailrace.settings import Settings
from tailrace.telemetry import get_logger


def run(settings: Settings) -> None:
    """Serve the embedded ClickHouse of `settings.data_dir` until SIGTERM or SIGINT."""
    log = get_logger("engine")
    listener = listen(settings.engine_host, settings.engine_port)
    database = Database(settings.data_dir)
    try:
        host, port = listener.getsockname()[:2]
        log.info("engine is ready", address=f"http://{host}:{port}", folder=str(database.folder))
        server = uvicorn.Server(
            uvicorn.Config(
                EngineApp(database),
                loop="uvloop",
                http="httptools",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
            )
        )
        server.run(sockets=[listener])
    finally:
        database.close()
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise PortTakenError(host, port, "TAILRACE_ENGINE_PORT") from error
    return listener
