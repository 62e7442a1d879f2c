"""`tailrace top`: from Prometheus' text to rates."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from rich.console import Console

from tailrace.cli.top import (
    Samples,
    as_table,
    flows_between,
    flows_of_all,
    problems_of,
    read_components,
    take_samples,
    urls_of,
)
from tailrace.collect.metrics import Metrics
from tailrace.errors import TailraceError
from tailrace.settings import Settings
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


def shown(*arguments: Any) -> str:
    screen = io.StringIO()
    Console(file=screen, width=160).print(as_table(*arguments))
    return screen.getvalue()


def test_each_collector_has_rates_of_its_own_and_one_that_does_not_answer_is_named() -> None:
    gone = TailraceError("cannot read http://127.0.0.1:9022/metrics")
    before: Samples = {
        "collector": (10.0, read_components(metrics_text(10, 10))),
        "worker 2": gone,
        "worker 3": (10.0, read_components(metrics_text(1, 1))),
    }
    now: Samples = {
        "collector": (11.0, read_components(metrics_text(30, 30))),
        "worker 2": (11.0, read_components(metrics_text(500, 500))),
        "worker 3": gone,
    }
    flows = flows_of_all(before, now)
    assert [(one.collector, one.component.id, one.events_out_per_sec) for one in flows] == [
        ("collector", "in", 20),
        ("collector", "out", 20),
        ("worker 2", "in", 0),
        ("worker 2", "out", 0),
    ]
    text = shown(flows, problems_of(now))
    assert text.count("worker 2") == 2
    assert "worker 3: cannot read http://127.0.0.1:9022/metrics" in text


def test_where_no_collector_answers_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "workers" / "2" / "pipelines").mkdir(parents=True)
    (tmp_path / "workers" / "2" / "pipelines" / "queue.yaml").touch()
    urls = urls_of(Settings.read(data_dir=tmp_path, collector_port=9))
    assert urls == {
        "collector": "http://127.0.0.1:9/metrics",
        "worker 2": "http://127.0.0.1:19/metrics",
    }
    refuse = httpx.MockTransport(lambda _: httpx.Response(503))
    with (
        httpx.Client(transport=refuse) as client,
        pytest.raises(TailraceError, match="TAILRACE_COLLECTOR_PORT"),
    ):
        take_samples(client, urls)


def test_the_table_shows_every_component() -> None:
    sample = (1.0, read_components(metrics_text(1234, 5)))
    text = shown(flows_between((0.0, {}), sample))
    assert "1,234" in text
    assert "clickhouse" in text
    assert "collector" not in text
