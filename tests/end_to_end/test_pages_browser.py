"""The log explorer in a real browser, over a real engine."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import collecting, generate_into, opened, until_delivered
from tests.integration.collect_system import eventually
from tests.processes import start_engine
from tests.web_system import WebSystem, free_port, running

HOSTILE = "<script>document.title='owned'</script>{{7*7}}<img src=x onerror=alert(1)> \x1b[31mred\u202egnp"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSystem]:
    with running(tmp_path_factory.mktemp("pages")) as started:
        yield started


def event(age_secs: float, message: str, **fields: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(seconds=age_secs)
    return {"timestamp": moment.isoformat(), "message": message, "source": "auth", **fields}


@pytest.fixture
def filled(system: WebSystem) -> WebSystem:
    """250 rows, two a second: levels, sources, an attribute; all of them are of the last minutes for
    as long as a test may take."""
    system.clear()
    levels = ["debug", "info", "info", "warning", "error"]
    system.insert(
        event(
            (280 - number) / 2,
            f"request {number} done status={200 + number % 5}",
            level=levels[number % 5],
            source=["auth", "payment"][number % 2],
            host=f"web-{number % 3}",
            user=number,
            trace_id=f"{number:032x}",
        )
        for number in range(250)
    )
    system.insert([event(10, "card declined order=48217", level="critical", source="payment")])
    return system


def messages(page: Page) -> list[str]:
    return page.locator("tr.row td.message").all_inner_texts()


def follow(page: Page, name: str) -> None:
    """Click the link of that name and wait for its page."""
    with page.expect_navigation():
        page.get_by_role("link", name=name, exact=True).click()


def test_rows_show_newest_first_with_their_four_columns(
    browser: Browser, filled: WebSystem
) -> None:
    with opened(browser, filled) as page:
        expect(page.locator("tr.row")).to_have_count(100)
        expect(page.locator("th")).to_have_text(
            [re.compile("Timestamp"), "Level", "Source", "Message"]
        )
        first = page.locator("tr.row").first
        expect(first.locator("td.level")).to_have_text("CRITICAL")
        expect(first.locator("td.source")).to_have_text("payment")
        expect(first.locator("td.message")).to_have_text("card declined order=48217")
        expect(page.locator("#result")).to_contain_text("251 rows")
        expect(page.locator(".chart svg")).to_have_attribute("aria-label", re.compile("^251 rows"))


def test_new_rows_arrive_without_a_reload_and_do_not_shift_what_is_read(
    browser: Browser, filled: WebSystem
) -> None:
    with opened(browser, filled) as page:
        page.evaluate("window.notReloaded = true")
        expect(page.locator("#live-button")).to_have_attribute("aria-pressed", "true")
        filled.insert([event(0, "it arrived", level="error")])
        expect(page.locator("tr.row td.message").first).to_have_text("it arrived")
        # What was not counted in time is as high as a line, and its successor higher.
        expect(page.locator(".uncounted")).to_have_count(0)
        page.mouse.wheel(0, 600)
        eventually(lambda: page.evaluate("scrollY") == 600, "the end of the scrolling")
        filled.insert([event(0, f"later {n}") for n in range(3)])
        expect(page.locator("#news")).to_have_text("3 new rows ↑")
        assert page.locator("text=later").count() == 0
        assert page.evaluate("scrollY") == 600
        page.locator("#news").click()
        expect(page.locator("tr.row td.message").first).to_have_text("later 2")
        page.keyboard.press("l")
        expect(page.locator("#live-button")).to_have_attribute("aria-pressed", "false")
        assert page.evaluate("window.notReloaded") is True


def test_what_a_long_live_list_drops_at_its_end_is_on_the_older_page(
    browser: Browser, filled: WebSystem
) -> None:
    with opened(browser, filled) as page:
        expect(page.locator("tr.row")).to_have_count(100)
        for batch in range(3):
            filled.insert(event(0, f"burst {batch}-{n}") for n in range(200))
            expect(page.locator("tr.row td.message").first).to_contain_text(f"burst {batch}-")
            expect(page.get_by_text(f"burst {batch}-0", exact=True)).to_be_attached()
        expect(page.locator("tr.row")).to_have_count(500)
        seen = messages(page)
        while page.locator("a[rel=next]").count():
            follow(page, "Older →")
            seen += messages(page)
        assert len(seen) == len(set(seen)) == 851


def test_search_level_and_source(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled) as page:
        page.keyboard.press("/")
        page.keyboard.type("declined")
        page.keyboard.press("Enter")
        expect(page.locator("tr.row")).to_have_count(1)
        expect(page.locator("mark")).to_have_text("declined")
        page.fill("#q", "user:>=200 user:<210")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("tr.row")).to_have_count(10)
        page.goto(f"{filled.url}/")
        page.locator("#facets").get_by_role("link", name="ERROR 50").click()
        expect(page.locator("tr.row")).to_have_count(50)
        page.locator("#facets").get_by_role("link", name="payment 25").click()
        expect(page.locator("tr.row")).to_have_count(25)
        assert "level=ERROR&source=payment" in page.url
        page.get_by_role("link", name="level: ERROR").click()
        expect(page.locator("#result")).to_contain_text("126 rows")
        page.go_back()
        expect(page.locator("tr.row")).to_have_count(25)


def test_time_range(browser: Browser, filled: WebSystem) -> None:
    filled.insert([event(7200, "two hours old")])
    with opened(browser, filled) as page:
        page.locator("details.range summary").click()
        page.get_by_role("link", name="Last 5 minutes").click()
        expect(page.locator("#result")).to_contain_text("251 rows")
        expect(page.locator("details.range summary")).to_contain_text("Last 5 minutes")
        page.locator("details.range summary").click()
        page.fill("input[name=from]", "3 hours ago")
        page.fill("input[name=to]", "1 hour ago")
        page.get_by_role("button", name="Use this range").click()
        expect(page.locator("tr.row td.message")).to_have_text("two hours old")


def test_a_wrong_search_keeps_the_text_and_points_at_the_place(
    browser: Browser, filled: WebSystem
) -> None:
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(f"{filled.url}/?q=level:error+(card")
    assert answer is not None
    assert answer.status == 400
    expect(page.get_by_role("alert")).to_contain_text("')' of this '('")
    expect(page.locator("#q")).to_have_value("level:error (card")
    expect(page.locator("#delivery")).to_be_visible()
    context.close()


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
def test_sorting_and_paging(browser: Browser, filled: WebSystem, javascript: bool) -> None:
    with opened(browser, filled, java_script_enabled=javascript) as page:
        newest = messages(page)
        follow(page, "Older →")
        second = messages(page)
        follow(page, "Older →")
        third = messages(page)
        assert len(newest + second + third) == len({*newest, *second, *third}) == 251
        assert page.get_by_role("link", name="Older →").count() == 0
        follow(page, "← Newer")
        assert messages(page) == second
        follow(page, "← Newer")
        assert messages(page) == newest
        follow(page, "Level")
        expect(page.locator("td.level").first).to_have_text("CRITICAL")
        expect(page.locator("th.level")).to_have_attribute("aria-sort", "descending")
        follow(page, "Message")
        expect(page.locator("td.message").first).to_have_text("card declined order=48217")
        follow(page, "Message")
        expect(page.locator("td.message").first).to_have_text("request 99 done status=204")


def test_without_scripts_search_and_rows_work(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, java_script_enabled=False) as page:
        page.fill("#q", "declined")
        with page.expect_navigation():
            page.get_by_role("button", name="Search").click()
        expect(page.locator("tr.row")).to_have_count(1)
        page.goto(f"{filled.url}/")
        before = messages(page)
        with page.expect_navigation():
            page.locator("tr.row").nth(3).locator("a").click()
        expect(page.locator("tr.opened")).to_contain_text("attributes.user")
        assert messages(page) == before
        follow(page, "In context")
        expect(page.locator("tr.opened")).to_have_count(1)


def test_a_row_opens_to_all_its_fields_and_has_a_permalink(
    browser: Browser, filled: WebSystem
) -> None:
    with opened(browser, filled) as page:
        page.get_by_text("request 249 done").click()
        details = page.locator("tr.opened")
        for text in ("attributes.user", "249", "trace_id", "received_at", "web-0"):
            expect(details).to_contain_text(text)
        page.keyboard.press("Escape")
        expect(details).to_have_count(0)
        for key in ("j", "j", "Enter"):
            page.keyboard.press(key)
        expect(details).to_contain_text("request 249 done")
        links = details.locator(".links").inner_text()
        details.get_by_role("link", name="Permalink").click()
        expect(page.locator("tr[aria-current]")).to_contain_text("request 249 done")
        assert page.locator("tr.opened .links").inner_text() == links
        assert "In context" in links
        expect(page.locator("tr.opened")).to_contain_text("attributes.user")
        assert messages(page)[0] == "card declined order=48217"  # what came after it is there, too
        page.locator(".field", has_text="attributes.user").get_by_role("link", name="keep").click()
        expect(page.locator("#q")).to_have_value('user:"249"')
        expect(page.locator("tr.row")).to_have_count(1)


@pytest.mark.parametrize("live", [True, False], ids=["live", "from the server"])
def test_hostile_text_is_text(browser: Browser, filled: WebSystem, live: bool) -> None:
    hostile = event(
        0, f"{HOSTILE} {live}", level="<b>x</b>", source="<i>y</i>", **{"<u>k</u>": "<s>v</s>"}
    )
    if not live:
        filled.insert([hostile])
    with opened(browser, filled) as page:
        if live:
            expect(page.locator("#live-button")).to_have_attribute("aria-pressed", "true")
            filled.insert([hostile])
        row = page.locator("tr.row", has_text=f"gnp {live}")
        expect(row.locator("td.message")).to_have_text(
            "<script>document.title='owned'</script>{{7*7}}<img src=x onerror=alert(1)> "
            f"␛[31mred⟨U+202E⟩gnp {live}"
        )
        row.locator("td.message").click()
        expect(page.locator("tr.opened")).to_contain_text("attributes.<u>k</u>")
        expect(page.locator("tr.opened")).to_contain_text("<s>v</s>")
        assert page.locator("tr.row i, tr.opened u, tr.opened s, td img, td script").count() == 0
        assert page.title() == "Logs · tailrace"


def test_keys_and_themes(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, color_scheme="dark") as page:
        background = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(background) == "rgb(16, 20, 23)"
        page.get_by_role("button", name="Theme").click()
        assert page.evaluate(background) == "rgb(251, 250, 248)"
        page.reload()
        assert page.evaluate(background) == "rgb(251, 250, 248)"
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.keyboard.press("t")
        expect(page.locator("input[name=from]")).to_be_visible()
        page.get_by_role("link", name="Last hour").focus()
        page.keyboard.press("Escape")
        expect(page.locator("input[name=from]")).to_be_hidden()
        expect(page.locator(".range summary")).to_be_focused()
        page.keyboard.press("e")
        expect(page.locator("tr.selected td.level")).to_have_text("CRITICAL")


@pytest.mark.parametrize("path", ["/", "/dashboards", "/dashboards/logs", "/streams", "/docs"])
def test_every_page_says_which_keys_it_has(browser: Browser, filled: WebSystem, path: str) -> None:
    with opened(browser, filled, path) as page:
        page.get_by_role("button", name="Keys").click()
        dialog = page.get_by_role("dialog", name="Keys")
        expect(dialog).to_contain_text("to the dashboards")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        page.keyboard.press("?")
        expect(dialog).to_be_visible()
        page.keyboard.press("g")  # not while the list is shown
        page.keyboard.press("s")
        dialog.get_by_role("button", name="Close").click()
        expect(dialog).to_be_hidden()
        assert page.url == f"{filled.url}{path}"
        page.keyboard.press("g")
        with page.expect_navigation():
            page.keyboard.press("d" if path == "/streams" else "s")


UNNAMED = """() => {
    const found = [];
    const named = (one) => one.getAttribute("aria-label") || one.labels?.[0]?.textContent.trim()
        || one.textContent.trim() || one.querySelector("title");
    for (const one of document.querySelectorAll("button, a, summary, select, input:not([type=hidden])"))
        if (!one.hidden && !named(one)) found.push(one.outerHTML);
    for (const one of document.querySelectorAll("th, [role=img], [role=region], nav, dialog"))
        if (!one.hidden && !named(one)) found.push(one.outerHTML);
    for (const name of ["h1", "main"])
        if (document.querySelectorAll(name).length !== 1) found.push(`not one ${name}`);
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    found.push(...ids.filter((id, at) => ids.indexOf(id) !== at));
    return found;
}"""


@pytest.mark.parametrize("path", ["/", "/?q=(", "/dashboards", "/dashboards/logs", "/streams"])
def test_everything_has_a_name_for_those_who_hear_it(
    browser: Browser, filled: WebSystem, path: str
) -> None:
    page = browser.new_page()
    page.goto(f"{filled.url}{path}")
    expect(page.locator(".card[aria-busy=true]")).to_have_count(0)
    if path == "/":
        page.locator("tr.row td.message").first.click()
        expect(page.locator("tr.opened .close")).to_be_visible()
    assert page.evaluate(UNNAMED) == []
    page.close()


def test_what_scripts_bring_has_its_place_before(browser: Browser, filled: WebSystem) -> None:
    places = """() => [...document.querySelectorAll(".top nav, .delivery, #q, .range, .search > button")]
        .map((one) => JSON.stringify(one.getBoundingClientRect()))"""
    with opened(browser, filled, "/?live=0") as page:
        expect(page.get_by_role("button", name="Keys")).to_be_visible()
        expect(page.get_by_role("button", name="Live")).to_be_visible()
        with_scripts = page.evaluate(places)
        page.evaluate("document.querySelectorAll('.scripted').forEach((one) => one.hidden = true)")
        expect(page.get_by_role("button", name="Live")).to_be_hidden()
        assert page.evaluate(places) == with_scripts
    with opened(browser, filled, "/", java_script_enabled=False) as page:
        expect(page.locator("#live-button")).to_have_css("display", "none")


def test_a_narrow_page_does_not_scroll_sideways(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, viewport={"width": 360, "height": 740}) as page:
        page.locator("tr.row").first.click()
        expect(page.locator("tr.opened")).to_contain_text("received_at")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        expect(page.locator("#facets")).not_to_have_attribute("open", "")


def test_the_api_is_described_without_another_host(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/docs") as page:
        described = filled.get("/openapi.json").json()["paths"].values()
        expect(page.locator(".opblock")).to_have_count(sum(map(len, described)))


def test_a_page_of_an_engine_that_is_down_says_so_and_comes_back(
    browser: Browser, tmp_path: Path
) -> None:
    data_dir = tmp_path / "down"
    with running(data_dir, engine_port=free_port()) as system:
        system.insert([event(0, "still here")])
        context = browser.new_context()
        page = context.new_page()
        system.engine.stop()
        answer = page.goto(system.url)
        assert answer is not None
        assert answer.status == 503
        expect(page.get_by_role("heading")).to_have_text("ClickHouse does not answer")
        port = str(system.engine.port)
        with start_engine(data_dir, None, "--engine-port", port):
            expect(page.locator("tr.row td.message")).to_have_text("still here")
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots_of_generated_logs(
    browser: Browser, system: WebSystem, scheme: str, tmp_path: Path
) -> None:
    """The README's pictures: TAILRACE_SCREENSHOT_DIR=docs/images keeps them."""
    folder = Path(os.environ.get("TAILRACE_SCREENSHOT_DIR") or tmp_path)
    system.clear()
    path = "/?from=15m&q=level:>=info+(user+OR+order+OR+slow)&live=0"
    with ExitStack() as stack:
        generate_into(system, stack.enter_context(collecting(system, tmp_path / "data")))
        page = stack.enter_context(opened(browser, system, path, color_scheme=scheme))
        until_delivered(page)
        expect(page.locator("tr.row")).to_have_count(100)
        expect(page.locator("#facets li").first).to_be_visible()
        page.locator("tr.row").nth(4).click()
        expect(page.locator("tr.opened dl")).to_be_visible()
        page.mouse.move(700, 6)
        picture = folder / f"logs-{scheme}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 20_000
