"""The page of metrics, from the registries that the three processes fill."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics import MetricWrapperBase

from scripts.reference.markdown import code, page, table
from tailrace.collect.metrics import LABELS
from tailrace.collect.metrics import Metrics as CollectorMetrics
from tailrace.engine.metrics import Metrics as EngineMetrics
from tailrace.telemetry import new_registry
from tailrace.web.metrics import WebMetrics

HEAD = ("metric", "kind", "labels", "meaning")


def registries() -> dict[str, CollectorRegistry]:
    """The metrics of each process, without a value."""
    found = {name: new_registry() for name in ("collector", "web", "engine")}
    CollectorMetrics(found["collector"])
    WebMetrics(found["web"])
    EngineMetrics(found["engine"], lambda: 0, lambda: 0)
    return found


def metrics_page() -> str:
    """Names, labels and meaning."""
    found = registries()
    return page(
        "Metrics",
        "In Prometheus' text format at `/metrics` of each process. `GET /metrics` of the pages "
        "(port 8000) tells of the web process, port 8123 of the engine, port 9002 of the "
        "collector.",
        "## Collector",
        f"Under Vector's names. The labels {', '.join(map(code, LABELS))} say of which component "
        "a metric is: its name in the file, `source`, `transform` or `sink`, and its type.",
        table(HEAD, _rows(found["collector"])),
        "## Pages and REST API",
        table(HEAD, _rows(found["web"])),
        "## Engine",
        table(HEAD, _rows(found["engine"])),
    )


def collectors(registry: CollectorRegistry) -> Iterator[MetricWrapperBase]:
    """What is registered, once each."""
    seen = dict.fromkeys(registry._names_to_collectors.values())
    yield from (one for one in seen if isinstance(one, MetricWrapperBase))


def _rows(registry: CollectorRegistry) -> list[tuple[str, str, str, str]]:
    rows = []
    for one in collectors(registry):
        name = f"{one._name}_total" if isinstance(one, Counter) else one._name
        labels = ", ".join(map(code, one._labelnames))
        rows.append((code(name), str(one._type), labels, f"{one._documentation}."))
    return rows
