"""Both sinks of InfluxDB: what is encoded in parts is one batch."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tailrace.clock import SystemClock
from tailrace.collect.metrics import Metrics
from tailrace.collect.sink import Piece, Sink, SinkBatch, SinkContext
from tailrace.collect.sinks import SINKS
from tailrace.collect.transform import Event
from tailrace.settings import Settings
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log

TIME = "2026-01-02T03:04:05Z"
EVENTS: dict[str, Event] = {
    "influxdb_logs": {"n": 1, "timestamp": TIME},
    "influxdb_metrics": {"name": "m", "kind": "absolute", "gauge": {"value": 1}, "timestamp": TIME},
}


@pytest.fixture(params=sorted(EVENTS))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def made(kind: str, folder: Path, answer: Any, **options: Any) -> Sink:
    given = {"endpoint": "http://127.0.0.1:1", "inputs": ["in"], **options}
    if kind == "influxdb_logs":
        given["measurement"] = "m"
    component = SINKS[kind]
    context = SinkContext(
        "out",
        Metrics(new_registry()).component("out", "sink", kind),
        quiet_log(),
        SystemClock(),
        Settings.read(data_dir=folder),
    )
    config = component.config.model_validate(given)
    return component.build(config, context, httpx.MockTransport(answer))


async def test_points_of_several_parts_of_a_batch_stay_apart(kind: str, tmp_path: Path) -> None:
    points: list[bytes] = []

    async def take(request: httpx.Request) -> httpx.Response:
        points.extend((await request.aread()).splitlines())
        return httpx.Response(204)

    sink = made(kind, tmp_path, take, database="d")
    encoder = await sink.encoder()
    # A worker encodes a few hundred events at a time.
    parts = [Piece(encoder.encode([EVENTS[kind]] * 2), 2, 1) for _ in range(3)]
    delivery = await sink.deliver(SinkBatch("t", "in", parts))
    await sink.close()
    assert delivery.sent_rows == len(points) == len(set(points)) == 6


@pytest.mark.parametrize(
    ("version", "path"),
    [({"database": "d"}, "/ping"), ({"org": "o", "bucket": "b", "token": "t"}, "/health")],
)
async def test_its_health_is_asked_for_where_the_version_has_it(
    kind: str, tmp_path: Path, version: dict[str, str], path: str
) -> None:
    answers = {True: httpx.Response(204), False: httpx.Response(503)}

    def well(request: httpx.Request) -> httpx.Response:
        assert request.url.path == path
        return answers[is_well]

    for is_well in (True, False):
        sink = made(kind, tmp_path, well, **version)
        said = await sink.check()
        await sink.close()
        assert said == (None if is_well else f"http://127.0.0.1:1{path} says 503")


async def test_its_health_is_not_asked_for_where_nobody_wants_that(
    kind: str, tmp_path: Path
) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"nobody asked for {request.url}")

    sink = made(kind, tmp_path, never, database="d", healthcheck={"enabled": False})
    assert await sink.check() is None
    await sink.close()
