"""What the engine counts of itself, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """Counters by request, never by row."""

    def __init__(
        self,
        registry: CollectorRegistry,
        running: Callable[[], float],
        sessions: Callable[[], float],
    ) -> None:
        self.registry = registry
        self.queries = Counter(
            "tailrace_engine_queries", "Queries answered, by kind", ["kind"], registry=registry
        )
        self.errors = Counter(
            "tailrace_engine_errors",
            "Queries that failed, by ClickHouse's error code",
            ["code"],
            registry=registry,
        )
        self.cancelled = Counter(
            "tailrace_engine_cancelled", "Queries whose client went away", registry=registry
        )
        self.bytes_in = Counter(
            "tailrace_engine_received_bytes", "Bytes of request bodies", registry=registry
        )
        self.bytes_out = Counter(
            "tailrace_engine_sent_bytes", "Bytes of answers' bodies", registry=registry
        )
        self.written_rows = Counter(
            "tailrace_engine_written_rows", "Rows written, in all views too", registry=registry
        )
        Gauge(
            "tailrace_engine_running_queries", "Queries that run now", registry=registry
        ).set_function(running)
        Gauge("tailrace_engine_sessions", "Open sessions", registry=registry).set_function(sessions)
