"""What the collector counts, under Vector's metric names and labels.

Counts grow by batch, never by event. Every name is here, so that the list of them is this file.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LABELS = ("component_id", "component_kind", "component_type")


@dataclass(frozen=True)
class ComponentMetrics:
    """The counters of one component, with its labels filled in."""

    metrics: "Metrics"
    component_id: str
    component_kind: str
    component_type: str

    def received(self, events: int, size_bytes: int) -> None:
        """Events that came in, and their size."""
        labels = self._labels()
        self.metrics.received_events.labels(**labels).inc(events)
        self.metrics.received_event_bytes.labels(**labels).inc(size_bytes)

    def sent(self, events: int, size_bytes: int) -> None:
        """Events that went out, and their size."""
        labels = self._labels()
        self.metrics.sent_events.labels(**labels).inc(events)
        self.metrics.sent_event_bytes.labels(**labels).inc(size_bytes)

    def discarded(self, events: int, reason: str, *, intentional: bool) -> None:
        """Events that go no further in this component."""
        self.metrics.discarded_events.labels(
            **self._labels(), intentional=str(intentional).lower(), reason=reason
        ).inc(events)

    def error(self, error_type: str, count: int = 1) -> None:
        """Something that failed."""
        self.metrics.errors.labels(**self._labels(), error_type=error_type).inc(count)

    def retried(self) -> None:
        """A request that is made once more."""
        self.metrics.retries.labels(**self._labels()).inc()

    def watch_buffer(self, events: Callable[[], int], size_bytes: Callable[[], int]) -> None:
        """What waits in this source's buffer is asked for whenever the metrics are."""
        self.metrics.buffer_events.labels(**self._labels()).set_function(events)
        self.metrics.buffer_byte_size.labels(**self._labels()).set_function(size_bytes)

    def set_aside(self, records: int) -> None:
        """Buffer records that could not be read."""
        self.metrics.buffer_errors.labels(**self._labels(), error_type="corrupt_record").inc(
            records
        )

    def connections(self, count: int) -> None:
        """Open connections now."""
        self.metrics.open_connections.labels(**self._labels()).set(count)

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """Messages of a partition that are not delivered."""
        self.metrics.kafka_consumer_lag.labels(
            **self._labels(), topic_id=topic, partition_id=partition
        ).set(messages)

    def forget_lag(self, topic: str, partition: int) -> None:
        """A partition is somebody else's now."""
        values = (*self._labels().values(), topic, str(partition))
        with suppress(KeyError):
            self.metrics.kafka_consumer_lag.remove(*values)

    def delivered(self, batch_bytes: int, latency_secs: float) -> None:
        """A batch that its destination has taken, `latency_secs` after its first event came."""
        self.metrics.batch_bytes.labels(**self._labels()).observe(batch_bytes)
        self.metrics.latency.labels(**self._labels()).observe(latency_secs)

    def _labels(self) -> dict[str, str]:
        return {
            "component_id": self.component_id,
            "component_kind": self.component_kind,
            "component_type": self.component_type,
        }


class Metrics:
    """Every metric of the collector, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*LABELS, *labels), registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, (*LABELS, *labels), registry=registry)

        self.received_events = counter("component_received_events", "Events that came in")
        self.received_event_bytes = counter(
            "component_received_event_bytes", "Size in bytes of the events that came in"
        )
        self.sent_events = counter("component_sent_events", "Events that went out")
        self.sent_event_bytes = counter(
            "component_sent_event_bytes", "Size in bytes of the events that went out"
        )
        self.discarded_events = counter(
            "component_discarded_events", "Events that went no further", "intentional", "reason"
        )
        self.errors = counter("component_errors", "Things that failed", "error_type")
        self.reloads = Counter(
            "reloaded", "Times that another configuration was put in place", registry=registry
        )
        self.reload_errors = Counter(
            "config_reload_errors",
            "Times that another configuration was refused, and the old one went on",
            registry=registry,
        )
        self.retries = counter("component_retries", "Requests made once more")
        self.buffer_errors = counter(
            "buffer_errors", "Buffer records that could not be read", "error_type"
        )
        self.buffer_events = gauge("buffer_events", "Events on disk that wait for delivery")
        self.buffer_byte_size = gauge("buffer_byte_size", "Bytes on disk that wait for delivery")
        self.open_connections = gauge("open_connections", "Connections that are open now")
        self.event_loop_lag = Histogram(
            "event_loop_lag_seconds",
            "Seconds by which the event loop was too late for a task, asked a hundred times a second",
            registry=registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 5),
        )
        self.kafka_consumer_lag = gauge(
            "kafka_consumer_lag",
            "Messages of a partition that are not delivered",
            "topic_id",
            "partition_id",
        )
        self.batch_bytes = Histogram(
            "component_sent_batch_bytes",
            "Size in bytes of delivered batches",
            LABELS,
            registry=registry,
            buckets=(1e3, 1e4, 1e5, 1e6, 5e6, 1e7, 2e7, 5e7, 1e8),
        )
        self.latency = Histogram(
            "component_delivery_latency_seconds",
            "Seconds from the arrival of a batch's first event to its delivery",
            LABELS,
            registry=registry,
            buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 60, 600),
        )

    def component(self, component_id: str, kind: str, component_type: str) -> ComponentMetrics:
        """Counters of one component; they exist, as zero, from now on."""
        component = ComponentMetrics(self, component_id, kind, component_type)
        if kind != "sink":
            component.received(0, 0)
        component.sent(0, 0)
        return component
