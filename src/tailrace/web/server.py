"""Serves the application until SIGTERM or SIGINT, on loopback only as long as there are no users."""

import errno
import ipaddress
import socket
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from tailrace.errors import PortTakenError, UsageError
from tailrace.http_head import BoundedHttp
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.telemetry import get_logger
from tailrace.web.app import create_app
from tailrace.web.live import LiveHub
from tailrace.web.own_names import OwnNames

_BACKLOG: Final = 1024
_GRACEFUL_SECS: Final = 2


class Server(uvicorn.Server):
    """A server that ends its live streams when it is told to end, rather than wait for them."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=BoundedHttp,
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_GRACEFUL_SECS,
                server_header=False,
            )
        )
        self._hub: LiveHub = app.state.context.hub

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not uvicorn's own: that raises the signal again at the end, which would skip what closes.
        self._hub.stop()
        self.force_exit = self.should_exit
        self.should_exit = True


def run(settings: Settings) -> None:
    """Serve the pages and the API of the ClickHouse that the settings mean."""
    refuse_strangers(settings.web_host)
    listener = listen(settings.web_host, settings.web_port)
    try:
        with Store.from_settings(settings) as store:
            host, port = listener.getsockname()[:2]
            get_logger("web").info("pages are ready", address=f"http://{host}:{port}")
            app = create_app(settings, store)
            app.add_middleware(OwnNames, names=_listed(settings.web_names))
            Server(app).run(sockets=[listener])
    finally:
        listener.close()


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def refuse_strangers(host: str) -> None:
    """Raise UsageError for an address that others can reach: there are no users yet."""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise UsageError(
            f"cannot listen on {host!r} (TAILRACE_WEB_HOST): the pages have no users and passwords, "
            "so whoever reaches them could read every log. Keep 127.0.0.1, and let others in through "
            "a proxy that asks who they are (its name goes into TAILRACE_WEB_NAMES), or by "
            "`ssh -L 8000:127.0.0.1:8000 HOST`"
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port, "TAILRACE_WEB_PORT") from error
        raise UsageError(
            f"cannot listen on {host}:{port} (TAILRACE_WEB_HOST, TAILRACE_WEB_PORT): {error}"
        ) from error
    return listener
