"""The collector's own pages: `/healthz`, `/readyz` and Prometheus' `/metrics`."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tailrace.collect.http import Answer, Receive, RefusedError, Request, Scope, Send, Server
from tailrace.collect.listen import open_listener

SETTING = "TAILRACE_COLLECTOR_PORT"


class HealthServer:
    """Answers who asks how the collector is."""

    def __init__(self, registry: CollectorRegistry, is_ready: Callable[[], bool]) -> None:
        self._registry = registry
        self._is_ready = is_ready
        self._server = Server(self.answer)
        self.port = 0
        """The port that it listens on, once it does."""

    async def start(self, host: str, port: int) -> None:
        """Listen; raises PortTakenError."""
        listener = open_listener(host, port, SETTING)
        self.port = listener.getsockname()[1]
        await self._server.start(listener)

    async def stop(self) -> None:
        """Listen no more."""
        await self._server.stop(grace_secs=0)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        try:
            answer = self._page(Request(scope))
        except RefusedError as refused:
            answer = refused.answer()
        await answer.send(send)

    def _page(self, request: Request) -> Answer:
        match request.path:
            case "/healthz":
                return Answer(200, {"status": "alive"})
            case "/readyz" if self._is_ready():
                return Answer(200, {"status": "ready"})
            case "/readyz":
                raise RefusedError(503, "cannot deliver: a source or a sink is not ready")
            case "/metrics":
                return Answer(200, generate_latest(self._registry), CONTENT_TYPE_LATEST)
            case path:
                raise RefusedError(
                    404, f"cannot find {path!r}: there are /healthz, /readyz and /metrics"
                )
