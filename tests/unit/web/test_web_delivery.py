"""What the header and `/readyz` say of several collectors, of which some are away, slow or not ready."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest

from tailrace.collect.metrics import Metrics
from tailrace.settings import Settings
from tailrace.telemetry import new_registry
from tailrace.testing import FakeStore, ManualClock
from tailrace.web.app import create_app
from tailrace.web.delivery import Collectors, Delivery
from tests.leaping import run_leaping

ADDRESSES = {
    "collector": "http://first.test:9002",
    "worker 2": "http://second.test:9012",
    "worker 3": "http://third.test:9022",
}
PATIENT_SECS = 60.0


def metrics_text(*waiting: int) -> str:
    """What a collector answers whose sources have so many events in their buffers."""
    metrics = Metrics(new_registry())
    for number, events in enumerate(waiting):
        source = metrics.component(f"in{number}", "source", "socket")
        source.received(1_000_000, 1)
        source.watch_buffer(lambda events=events: events, lambda: 7)  # type: ignore[misc]
    return generate_latest(metrics.registry).decode()


class Fakes:
    """Three collectors: by the first label of its host, what each does; all are well at first."""

    def __init__(self) -> None:
        self.waiting = {"first": [0], "second": [0], "third": [0]}
        self.gone: set[str] = set()
        self.unready: set[str] = set()
        self.slow: set[str] = set()
        self.together: asyncio.Barrier | None = None
        self.asked: list[str] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """As httpx.MockTransport wants it."""
        host = request.url.host.partition(".")[0]
        self.asked.append(f"{host}{request.url.path}")
        if self.together:
            await self.together.wait()
        if host in self.gone:
            raise httpx.ConnectError("refused")
        if host in self.slow:
            await asyncio.Event().wait()
        if request.url.path == "/metrics":
            return httpx.Response(200, text=metrics_text(*self.waiting[host]))
        return httpx.Response(503 if host in self.unready else 200)


def asking(
    fakes: Fakes, clock: ManualClock | None = None, answer_secs: float = PATIENT_SECS
) -> Collectors:
    client = httpx.AsyncClient(transport=httpx.MockTransport(fakes.answer))
    return Collectors(ADDRESSES, client, clock or ManualClock(), answer_secs=answer_secs)


async def test_what_waits_in_all_of_them_is_one_sum() -> None:
    fakes = Fakes()
    fakes.waiting = {"first": [20_000, 1], "second": [0], "third": [34]}
    found = await asking(fakes).delivery()
    assert found == Delivery(3, waiting=20_035)
    assert (found.label, found.state) == ("20,035 on the way", "waiting")
    assert found.explanation == "State of the buffers of 3 collectors"


async def test_all_is_delivered_only_where_everyone_says_so() -> None:
    fakes = Fakes()
    assert (await asking(fakes).delivery()).label == "all delivered"
    fakes.gone = {"second"}
    found = await asking(fakes).delivery()
    assert (found.label, found.state) == ("2 of 3 collectors", "bad")
    assert found.explanation.endswith("; no answer from worker 2")
    fakes.waiting["third"] = [5]
    assert (await asking(fakes).delivery()).label == "2 of 3 collectors, 5 on the way"
    fakes.gone = {"first", "second", "third"}
    found = await asking(fakes).delivery()
    assert (found.label, found.waiting) == ("0 of 3 collectors", None)
    assert found.explanation.endswith("; no answer from collector, worker 2, worker 3")


def test_a_single_collector_is_not_counted() -> None:
    missing = Delivery(1, ("collector",))
    assert (missing.label, missing.state) == ("collector does not answer", "bad")
    assert Delivery(waiting=3).label == "3 on the way"
    assert Delivery(waiting=3).explanation == missing.explanation


async def test_they_are_asked_at_once() -> None:
    fakes = Fakes()
    fakes.together = asyncio.Barrier(3)  # which none passes before all of them are asked
    assert (await asking(fakes).delivery()).missing == ()
    assert await asking(fakes).problems() == []


def test_a_slow_one_is_missing_and_the_others_count() -> None:
    fakes = Fakes()
    fakes.slow = {"third"}
    fakes.waiting["first"] = [8]

    async def work() -> None:
        collectors = asking(fakes, answer_secs=1.5)
        found, problems = await asyncio.gather(collectors.delivery(), collectors.problems())
        assert found == Delivery(3, ("worker 3",), 8)
        assert problems == ["worker 3 at http://third.test:9022 does not answer"]

    run_leaping(work())


async def test_pages_that_open_at_once_ask_once_a_second() -> None:
    fakes, clock = Fakes(), ManualClock()
    collectors = asking(fakes, clock)
    several = await asyncio.gather(*(collectors.delivery() for _ in range(5)))
    assert {one.label for one in several} == {"all delivered"}
    clock.advance(0.9)
    await collectors.delivery()
    assert sorted(fakes.asked) == ["first/metrics", "second/metrics", "third/metrics"]
    clock.advance(0.2)
    fakes.gone = {"first"}
    assert (await collectors.delivery()).missing == ("collector",)


async def test_those_that_are_away_or_not_ready_are_named() -> None:
    fakes = Fakes()
    assert await asking(fakes).problems() == []
    fakes.unready, fakes.gone = {"first"}, {"third"}
    assert await asking(fakes).problems() == [
        "collector at http://first.test:9002 is not ready",
        "worker 3 at http://third.test:9022 does not answer",
    ]


async def test_events_are_taken_by_the_first_whatever_the_others_do() -> None:
    fakes = Fakes()
    fakes.gone = {"second", "third"}
    assert await asking(fakes).takes_events()
    assert fakes.asked == ["first/readyz"]
    fakes.unready = {"first"}
    assert not await asking(fakes).takes_events()


async def test_vector_has_no_pages_to_ask() -> None:
    fakes = Fakes()
    client = httpx.AsyncClient(transport=httpx.MockTransport(fakes.answer))
    vector = Collectors({"collector": ""}, client, ManualClock(), is_vector=True)
    assert await vector.takes_events()
    assert await vector.problems() == []
    assert (await vector.delivery()).label == "collected by Vector"
    assert fakes.asked == []


@asynccontextmanager
async def pages(settings: Settings, fakes: Fakes | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The application, with tables that are all there."""
    app = create_app(settings, FakeStore(), ManualClock())
    context = app.state.context
    names = [(name,) for pack in context.packs for name in pack.retention]
    context.store.answers.append(("system.tables", names))
    if fakes:
        app.state.context = replace(context, collectors=asking(fakes))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_ready_is_who_has_all_collectors(tmp_path: Path) -> None:
    fakes = Fakes()
    async with pages(Settings.read(data_dir=tmp_path), fakes) as client:
        assert (await client.get("/readyz")).text == "ok\n"
        fakes.gone, fakes.unready = {"second"}, {"third"}
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == (
        "not ready yet: worker 2 at http://second.test:9012 does not answer; "
        "worker 3 at http://third.test:9022 is not ready"
    )


@pytest.mark.parametrize("path", ["/", "/dashboards"])
async def test_the_header_counts_those_of_the_data_folder(tmp_path: Path, path: str) -> None:
    for number in (2, 3):
        folder = tmp_path / "workers" / str(number) / "pipelines"
        folder.mkdir(parents=True)
        (folder / "queue.yaml").touch()
    settings = Settings.read(data_dir=tmp_path, collector_port=1)  # where nobody listens
    async with pages(settings) as client:
        text = (await client.get(path)).text
        detail = (await client.get("/readyz")).json()["detail"]
    assert "0 of 3 collectors" in text
    assert "no answer from collector, worker 2, worker 3" in text
    assert "worker 3 at http://127.0.0.1:21 does not answer" in detail
