"""Dashboards in a real browser, over a real engine."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tailrace.web.units import format_number
from tests.browsing import (
    TELEPHONE,
    collecting,
    fingers_on,
    generate_into,
    opened,
    until_delivered,
)
from tests.web_system import WebSystem, running, start_web

NO_SUCH_TABLE = "SELECT * FROM nowhere.nothing"
MILL = f"""
title: Mill
panels:
  - {{title: Slow, kind: value, sql: SELECT sleep(3) + 7}}
  - {{title: Broken, kind: value, sql: {NO_SUCH_TABLE}}}
  - {{title: Quick, kind: value, unit: kg, sql: SELECT 42}}
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSystem]:
    with running(tmp_path_factory.mktemp("dashboards")) as started:
        yield started


@pytest.fixture
def filled(system: WebSystem) -> WebSystem:
    """250 rows, one every three seconds, of two sources; every fifth is an error."""
    system.clear()
    now = datetime.now(UTC)
    levels = ["debug", "info", "info", "warning", "error"]
    system.insert(
        {
            "timestamp": (now - timedelta(seconds=3 * number + 5)).isoformat(),
            "level": levels[number % 5],
            "message": f"request {number} done",
            "source": ["auth", "payment"][number % 2],
            "host": f"web-{number % 3}",
            "path": f"/api/{number % 4}",
            "duration_ms": number * 10,
        }
        for number in range(250)
    )
    return system


def loaded(page: Page) -> None:
    """Wait until every panel has its answer."""
    expect(page.locator(".card")).not_to_have_count(0)
    expect(page.locator('.card[aria-busy="true"]')).to_have_count(0)


def colours(plot: Locator) -> set[str]:
    """The opaque colours on a chart's canvas."""
    found: list[str] = plot.locator("canvas").evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const found = new Set();
            for (let at = 0; at < data.length; at += 4)
                if (data[at + 3] === 255) found.add([...data.slice(at, at + 3)].join(" "));
            return [...found];
        }"""
    )
    return set(found)


def test_every_panel_is_drawn(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?from=15m") as page:
        loaded(page)
        expect(page.locator("nav a[aria-current]")).to_have_text("Dashboards")
        expect(page.locator("#events .number")).to_have_text("250")
        expect(page.locator("#errors .number")).to_have_text("20 %")
        expect(page.locator("#sources .number")).to_have_text("2")
        expect(page.locator(".plot canvas")).to_have_count(2)
        expect(page.locator("#events-by-level .legend button")).to_have_text(
            ["DEBUG", "INFO", "WARNING", "ERROR"]
        )
        drawn = colours(page.locator("#events-by-level .plot"))
        assert {"146 184 220", "209 52 91", "201 138 6"} <= drawn  # info, error, warning
        assert "212 105 15" in colours(page.locator("#durations-by-source .plot"))  # payment
        expect(page.locator("#errors-by-source tbody tr")).to_have_text(
            [re.compile(r"auth\s*25"), re.compile(r"payment\s*25")]
        )
        expect(page.locator("#newest-errors tbody tr").first).to_contain_text("request 4 done")
        expect(page.locator("#slowest-operations tbody tr")).to_have_count(4)


def test_each_panel_says_what_it_took_and_what_was_asked(
    browser: Browser, filled: WebSystem
) -> None:
    with opened(browser, filled, "/dashboards/logs") as page:
        loaded(page)
        card = page.locator("#errors-by-source")
        card.locator(".how summary").click()
        expect(card.locator(".how .panel")).to_contain_text("rows read")
        expect(card.locator(".how pre")).to_contain_text("GROUP BY source")
        page.keyboard.press("Escape")
        expect(card.locator(".how .panel")).to_be_hidden()


def test_values_lead_to_the_log_search(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?from=15m") as page:
        loaded(page)
        page.locator("#errors-by-source").get_by_role("link", name="payment").click()
        expect(page.locator("tr.row")).to_have_count(25)
        page.go_back()
        loaded(page)
        page.locator("#newest-errors tbody a").first.click()
        expect(page.locator("tr.row td.message")).to_have_text("request 4 done")
        page.go_back()
        loaded(page)
        page.locator("#slowest-operations").get_by_role("link", name="/api/3").click()
        expect(page.locator("#q")).to_have_value('path:"/api/3"')
        expect(page.locator("tr.row")).to_have_count(62)


def test_dragging_over_a_chart_sets_the_range(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?from=15m") as page:
        loaded(page)
        box = page.locator("#events-by-level .u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60, steps=4)
        with page.expect_navigation(url=re.compile(r"from=2\d{3}-.*&to=2\d{3}-")):
            page.mouse.up()
        loaded(page)
        shown = int(page.locator("#events .number").inner_text())
        assert 55 <= shown <= 65  # a fifth of fifteen minutes
        with page.expect_navigation():
            page.get_by_role("link", name="Twice the time").click()
        loaded(page)
        assert int(page.locator("#events .number").inner_text()) > 1.8 * shown
        page.go_back()
        page.go_back()
        expect(page.locator(".range summary")).to_contain_text("Last 15 minutes")


def test_a_finger_over_a_chart_sets_the_range(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?from=15m", **TELEPHONE) as page:
        loaded(page)
        put = fingers_on(page.locator("#events-by-level .u-over"))
        put("touchStart", 0.5)
        put("touchMove", 0.6)
        put("touchMove", 0.7)
        with page.expect_navigation(url=re.compile(r"from=2\d{3}-.*&to=2\d{3}-")):
            put("touchEnd")
        loaded(page)
        assert 55 <= int(page.locator("#events .number").inner_text()) <= 65


def test_the_time_is_chosen_as_on_the_log_page(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?refresh=0") as page:
        loaded(page)
        page.keyboard.press("t")
        with page.expect_navigation():
            page.get_by_role("link", name="Last 5 minutes").click()
        loaded(page)
        assert "from=5m" in page.url
        assert "refresh=0" in page.url
        # At most 99; fewer, the longer it takes until they are asked for.
        expect(page.locator("#events .number")).to_have_text(re.compile(r"^[1-9]\d$"))
        page.keyboard.press("t")
        page.fill("input[name=from]", "20 minutes ago")
        page.get_by_role("button", name="Use this range").click()
        expect(page.locator("#events .number")).to_have_text("250")
        for letter, path in (("l", "/"), ("d", "/dashboards")):
            page.keyboard.press("g")
            with page.expect_navigation():
                page.keyboard.press(letter)
            assert page.url == f"{filled.url}{path}"


def test_a_point_under_the_pointer_is_read_out(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?from=15m") as page:
        loaded(page)
        page.locator("#events-by-level .u-over").hover()
        tip = page.locator("#events-by-level .tip")
        expect(tip).to_contain_text("ERROR")
        expect(tip).to_contain_text(re.compile(r"\d\d:\d\d:\d\d – \d\d:\d\d:\d\d"))
        expect(page.locator("#durations-by-source .tip")).to_be_hidden()


def test_a_series_can_be_switched_off(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?from=15m") as page:
        loaded(page)
        plot = page.locator("#events-by-level .plot")
        page.get_by_role("button", name="ERROR").click()
        assert "209 52 91" not in colours(plot)
        page.keyboard.press("Escape")
        page.locator("h1").click()
        page.keyboard.press("r")
        loaded(page)
        expect(page.get_by_role("button", name="ERROR")).to_have_attribute("aria-pressed", "false")
        page.get_by_role("button", name="ERROR").click()
        assert "209 52 91" in colours(plot)


def test_new_numbers_come_by_themselves(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/dashboards/logs?refresh=10") as page:
        loaded(page)
        page.evaluate("window.notReloaded = true")
        filled.insert([{"message": "one more", "level": "error"}])
        # Where panels take long, there is a longer pause between two looks.
        expect(page.locator("#events .number")).to_have_text("251", timeout=150_000)
        assert page.evaluate("window.notReloaded") is True
        page.locator("#refresh").select_option("off")
        expect(page).to_have_url(re.compile("refresh=0"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_follow_the_theme(browser: Browser, filled: WebSystem, scheme: str) -> None:
    red = {"light": "209 52 91", "dark": "255 107 139"}
    other = "dark" if scheme == "light" else "light"
    with opened(browser, filled, "/dashboards/logs?from=15m", color_scheme=scheme) as page:
        loaded(page)
        plot = page.locator("#events-by-level .plot")
        assert red[scheme] in colours(plot)
        while page.locator("html").get_attribute("data-theme") != other:
            page.get_by_role("button", name="Theme").click()
        assert red[other] in colours(plot)
        assert red[scheme] not in colours(plot)


def test_without_scripts_panels_are_tables(browser: Browser, filled: WebSystem) -> None:
    path = "/dashboards/logs?from=15m"
    with opened(browser, filled, path, java_script_enabled=False) as page:
        page.wait_for_url("**view=tables")
        expect(page.locator("#events .number")).to_have_text("250")
        levels = page.locator("#events-by-level table")
        expect(levels.locator("th")).to_have_text(["time", "DEBUG", "INFO", "WARNING", "ERROR"])
        sums = [0] * 4
        for row in levels.locator("tbody tr").all_inner_texts():
            sums = [
                total + int(text) for total, text in zip(sums, row.split("\t")[1:], strict=True)
            ]
        assert sums == [50, 100, 50, 50]
        expect(page.locator("#durations-by-source table th")).to_have_text(
            ["time", "auth", "payment"]
        )
        expect(page.locator("#newest-errors tbody tr")).to_have_count(10)
        expect(page.locator("canvas")).to_have_count(0)


def test_a_chart_has_its_table_for_those_who_cannot_see_it(
    browser: Browser, filled: WebSystem
) -> None:
    with opened(browser, filled, "/dashboards/logs?from=15m") as page:
        loaded(page)
        expect(page.get_by_role("img", name="Events by level")).to_be_visible()
        card = page.get_by_role("region", name="Events by level", exact=True)
        card.locator(".numbers summary").click()
        expect(card.get_by_role("table")).to_contain_text("WARNING")


@pytest.mark.parametrize("width", [360, 400, 800])
def test_narrow_pages_do_not_scroll_sideways(
    browser: Browser, filled: WebSystem, width: int
) -> None:
    size = {"width": width, "height": 740}
    with opened(browser, filled, "/dashboards/logs?from=15m", viewport=size) as page:
        loaded(page)
        page.locator("details.range summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture
def mill(system: WebSystem, tmp_path: Path) -> Iterator[WebSystem]:
    """Pages with a person's own pack."""
    folder = tmp_path / "mill"
    folder.mkdir()
    (folder / "pack.yaml").write_text("name: mill\ndescription: Grinds\n")
    (folder / "dashboard.yaml").write_text(MILL)
    environment = {**system.environment, "TAILRACE_PACKS_DIR": str(tmp_path)}
    with start_web(environment) as web:
        yield WebSystem(system.engine, system.store, environment, web, web.url)


def test_a_slow_and_a_broken_panel_hold_no_other(browser: Browser, mill: WebSystem) -> None:
    with opened(browser, mill, "/dashboards") as page:
        page.get_by_role("link", name="Mill").click()
        expect(page.locator("#quick .number")).to_have_text("42 kg")
        expect(page.locator("#broken").get_by_role("alert")).to_contain_text("not there")
        expect(page.locator("#slow")).to_have_attribute("aria-busy", "true")
        expect(page.locator("#slow .number")).to_have_text("7")


def test_scripts_write_numbers_as_the_server_does(browser: Browser, filled: WebSystem) -> None:
    numbers = [0, 1, 999, 1204, 1.5, 12.345, 0.00123, 99.96, 123.4, 1530, 125_000, 8e6, 2.5e9, -3.2]
    cases: list[list[Any]] = [
        [number, unit, short]
        for number in numbers
        for unit in ("", "ms", "s", "bytes", "%")
        for short in (False, True)
    ]
    with opened(browser, filled, "/dashboards/logs") as page:
        loaded(page)
        source = page.locator("script[src*='dashboard.js']").get_attribute("src")
        assert source is not None
        written = page.evaluate(
            """async ([path, cases]) => {
                const { formatNumber } = await import(path);
                return cases.map((one) => formatNumber(...one));
            }""",
            [source.replace("dashboard.js", "units.js"), cases],
        )
    assert written == [format_number(number, unit, short=short) for number, unit, short in cases]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots_of_the_dashboard(
    browser: Browser, system: WebSystem, scheme: str, tmp_path: Path
) -> None:
    """The README's pictures: TAILRACE_SCREENSHOT_DIR=docs/images keeps them."""
    folder = Path(os.environ.get("TAILRACE_SCREENSHOT_DIR") or tmp_path)
    system.clear()
    with ExitStack() as stack:
        generate_into(system, stack.enter_context(collecting(system, tmp_path / "data")))
        page = stack.enter_context(
            opened(browser, system, "/dashboards/logs?from=15m", color_scheme=scheme)
        )
        until_delivered(page)
        loaded(page)
        page.locator("#events-by-level .u-over").hover(position={"x": 700, "y": 40})
        expect(page.locator("#events-by-level .tip")).to_be_visible()
        picture = folder / f"dashboard-{scheme}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000
