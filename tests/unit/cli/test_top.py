"""`tailrace top`: from Prometheus' text to rates."""

import io

from prometheus_client import generate_latest
from rich.console import Console

from tailrace.cli.top import as_table, flows_between, read_components
from tailrace.collect.metrics import Metrics
from tailrace.telemetry import new_registry


def metrics_text(received: int, sent: int) -> str:
    metrics = Metrics(new_registry())
    sink = metrics.component("out", "sink", "clickhouse")
    source = metrics.component("in", "source", "socket")
    source.received(received, received * 100)
    source.sent(received, received * 100)
    sink.received(received, received * 100)
    sink.sent(sent, sent * 100)
    sink.discarded(2, "rejected", intentional=False)
    sink.discarded(3, "filtered", intentional=True)
    sink.error("rejected_by_destination", 2)
    return generate_latest(metrics.registry).decode()


def test_components_come_in_the_order_of_the_flow_with_their_sums() -> None:
    found = read_components(metrics_text(10, 5))
    assert list(found) == ["in", "out"]
    assert (found["out"].events_out, found["out"].bytes_out) == (5, 500)
    assert (found["out"].discarded, found["out"].errors) == (5, 2)


def test_rates_are_worked_out_between_two_samples() -> None:
    before = (10.0, read_components(metrics_text(10, 5)))
    now = (12.0, read_components(metrics_text(30, 25)))
    source, sink = flows_between(before, now)
    assert (source.events_in_per_sec, sink.events_out_per_sec) == (10, 10)
    assert sink.bytes_out_per_sec == 1000


def test_a_collector_that_started_anew_has_no_negative_rates() -> None:
    before = (10.0, read_components(metrics_text(100, 100)))
    now = (11.0, read_components(metrics_text(4, 2)))
    assert [flow.events_out_per_sec for flow in flows_between(before, now)] == [4, 2]


def test_the_table_shows_every_component() -> None:
    sample = (1.0, read_components(metrics_text(1234, 5)))
    screen = io.StringIO()
    console = Console(file=screen, width=160)
    console.print(as_table(flows_between((0.0, {}), sample)))
    assert "1,234" in screen.getvalue()
    assert "clickhouse" in screen.getvalue()
