"""Pages in a real browser, and a real collector that fills what they show."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, Locator, Page

from tailrace.cli.up import write_pipelines
from tailrace.packs import find_packs
from tailrace.packs.logs.generate import LogGenerator
from tailrace.settings import Settings
from tests.integration.collect_system import eventually
from tests.processes import Process, answers
from tests.web_system import WebSystem, free_port

ARGUMENTS: Final = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
]  # fmt: skip


WITHIN_MS: Final = 60_000
"""For what takes a moment on a machine that has nothing else to do."""


@contextmanager
def opened(browser: Browser, system: WebSystem, path: str = "/", **options: Any) -> Iterator[Page]:
    """A page that must neither complain nor ask another host for anything."""
    context = browser.new_context(**{"viewport": {"width": 1360, "height": 860}, **options})
    complaints: list[str] = []
    page = context.new_page()
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((f"{system.url}/", "data:"))
            else complaints.append(request.url)
        ),
    )
    page.set_default_timeout(WITHIN_MS)
    try:
        page.goto(f"{system.url}{path}")
        yield page
    finally:
        context.close()
    assert complaints == []


TELEPHONE: Final = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
}


def fingers_on(chart: Locator) -> Callable[..., None]:
    """Puts fingers at shares of a chart's width, moves them, or takes them away: with none."""
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    session = chart.page.context.new_cdp_session(chart.page)

    def put(kind: str, *shares: float) -> None:
        places = [box["x"] + box["width"] * share for share in shares]
        points = [{"x": place, "y": box["y"] + box["height"] / 2} for place in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return put


@contextmanager
def collecting(system: WebSystem, folder: Path) -> Iterator[str]:
    """A real collector over the engine, with the pages told of it; the address of its intake."""
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("intake_tcp", "intake_http")}
    settings = Settings.read(
        data_dir=folder,
        engine_port=system.engine.port,
        collector_port=int(system.environment["TAILRACE_COLLECTOR_PORT"]),
        **ports,
    )
    [pipeline] = write_pipelines(settings, find_packs(settings, ["logs"]))
    with Process(["collect", str(pipeline)], settings.as_environment()) as collector:
        ready = f"http://127.0.0.1:{settings.collector_port}/readyz"
        collector.wait_for(lambda: answers(ready), "answer to /readyz")
        yield f"http://{ports['intake_http']}"


def until_delivered(page: Page) -> None:
    """Load the page again until it says so: rows are seen a moment before the books are closed. Nor
    does it leave out anything then that was not counted in time."""

    def says_all() -> bool:
        said = page.locator("#delivery").inner_text().strip()
        if said == "all delivered" and page.locator(".uncounted").count() == 0:
            return True
        page.reload()
        return False

    eventually(says_all, "a page that says that all is delivered")


def generate_into(system: WebSystem, intake: str) -> None:
    """A quarter of an hour of a shop's logs, through the collector; wait until all are there."""
    span_secs, start = 14.8 * 60, datetime.now(UTC) - timedelta(minutes=14.9)
    lines: list[str] = []
    passed = 0.0
    for chunk in LogGenerator(seed=4, events_per_sec=24).chunks():
        if passed >= span_secs:
            break
        lines += chunk.render(int((start.timestamp() + passed) * 1e9), chunk.secs)
        passed += chunk.secs
    for first in range(0, len(lines), 5000):
        body = "\n".join(line.strip() for line in lines[first : first + 5000])
        assert httpx.post(intake, content=body, timeout=60).status_code == 200
    count = "SELECT count() FROM logs.application_logs"
    eventually(lambda: system.store.query(count).value() == len(lines), "all rows")
