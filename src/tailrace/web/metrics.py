"""Counts and times requests by route, never by path: a path is what a client typed."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tailrace.clock import Clock


class WebMetrics:
    """What the web process counts, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "tailrace_web_requests",
            "Requests answered",
            ("route", "method", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "tailrace_web_request_seconds",
            "Seconds until a request was answered; until it began, for live streams",
            ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.watchers = Gauge("tailrace_web_watchers", "Live streams open now", registry=registry)


class CountRequests:
    """Middleware that feeds WebMetrics."""

    def __init__(self, app: ASGIApp, metrics: WebMetrics, clock: Clock) -> None:
        self.app = app
        self.metrics = metrics
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = self.clock.monotonic()

        def count(status: int) -> None:
            route = getattr(scope.get("route"), "path", "(none)")
            self.metrics.seconds.labels(route).observe(self.clock.monotonic() - began)
            self.metrics.requests.labels(route, scope["method"], status).inc()

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, counted_send)
        except Exception:
            count(500)  # the answer is made further out
            raise
