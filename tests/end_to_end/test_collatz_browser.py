"""The pages of chains in a real browser: the chart, its keys, exact values, and all of it without scripts."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tailrace.packs import find_packs
from tailrace.packs.collatz.chains import chain
from tailrace.settings import Settings
from tailrace.store.migrations import set_up
from tests.browsing import TELEPHONE, fingers_on, opened
from tests.web_system import WebSystem, running

BEYOND_64_BITS = 64848224337147
HIGHEST = "1,274,106,920,208,158,465,786,267,728"
NUMBERS = (27, 97, 6171, 837799, BEYOND_64_BITS)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSystem]:
    with running(tmp_path_factory.mktemp("collatz")) as started:
        settings = Settings.read()
        set_up(started.store, find_packs(settings, ["collatz"]), settings)
        body = "".join(
            json.dumps({"Number": number, "Step": step, "Value": value}) + "\n"
            for number in NUMBERS
            for step, value in enumerate(chain(number))
        )
        started.store.insert("rikstv.intake", body.encode(), "JSONAsString", columns=["json"])
        yield started


def chart_page(number: int, query: str = "") -> str:
    return f"/plot/{number}/page{query}"


def shown_steps(page: Page) -> list[int]:
    """The steps of the table that can be seen."""
    found: list[int] = page.locator("#values tbody tr:not([hidden])").evaluate_all(
        "rows => rows.map(row => Number(row.cells[0].textContent))"
    )
    return found


def drag(page: Page, start: float, end: float) -> None:
    """From one share of the chart's width to another."""
    box = page.locator("#chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * start, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 120, steps=4)
    page.mouse.up()


def test_dragging_zooms_and_the_address_remembers(browser: Browser, system: WebSystem) -> None:
    with opened(browser, system, chart_page(27)) as page:
        expect(page.locator("#chart canvas")).to_be_visible()
        assert shown_steps(page) == list(range(112))
        drag(page, 0.5, 0.75)
        expect(page.locator("input[name=from]")).not_to_have_value("0")
        seen = shown_steps(page)
        assert 53 <= seen[0] <= 58
        assert 81 <= seen[-1] <= 86
        assert f"from={seen[0]}&to={seen[-1]}" in page.url
        expect(page.locator("#shown")).to_have_text(f"{len(seen)} of 112 steps")
        picture = page.get_by_role("link", name="PNG").get_attribute("href")
        assert picture == f"/plot/27?from={seen[0]}&to={seen[-1]}"
        page.reload()
        expect(page.locator("#shown")).to_have_text(f"{len(seen)} of 112 steps")
        page.go_back()
        expect(page.locator("#shown")).to_have_text("112 of 112 steps")


def test_fingers_zoom(browser: Browser, system: WebSystem) -> None:
    with opened(browser, system, chart_page(27), **TELEPHONE) as page:
        low, high = page.locator("input[name=from]"), page.locator("input[name=to]")
        put = fingers_on(page.locator("#chart .u-over"))
        put("touchStart", 0.25)
        put("touchMove", 0.4)
        put("touchMove", 0.75)
        expect(page.locator("#chart .u-select")).to_be_visible()
        put("touchEnd")
        expect(page.locator("#shown")).not_to_have_text("112 of 112 steps")
        seen = shown_steps(page)
        assert 27 <= seen[0] <= 29
        assert 82 <= seen[-1] <= 84
        assert f"from={seen[0]}&to={seen[-1]}" in page.url
        # what two fingers hold stays under them: half as far apart, twice as much is seen
        put("touchStart", 0.25, 0.75)
        put("touchMove", 0.3, 0.7)
        put("touchMove", 0.375, 0.625)
        put("touchEnd")
        expect(low).not_to_have_value(str(seen[0]))
        assert int(low.input_value()) <= 2
        assert int(high.input_value()) >= 109
        put("touchStart", 0.375, 0.625)
        put("touchMove", 0.25, 0.75)
        put("touchEnd")
        expect(low).to_have_value(re.compile(r"^2\d$"))
        assert 26 <= int(low.input_value()) <= 29
        assert 82 <= int(high.input_value()) <= 85


def test_a_finger_that_only_touches_tells_the_step(browser: Browser, system: WebSystem) -> None:
    with opened(browser, system, chart_page(27), **TELEPHONE) as page:
        page.locator("#chart .u-over").tap()
        expect(page.locator("#chart .tip")).to_contain_text(re.compile("Step 5[4-7]"))
        expect(page.locator("#shown")).to_have_text("112 of 112 steps")


def test_keys_step_through_zoom_and_go_back_to_all(browser: Browser, system: WebSystem) -> None:
    with opened(browser, system, chart_page(27)) as page:
        chart, tip = page.locator("#chart"), page.locator("#chart .tip")
        chart.focus()
        page.keyboard.press("ArrowRight")
        expect(tip).to_contain_text("Step 0")
        for _ in range(7):
            page.keyboard.press("Shift+ArrowRight")
        for _ in range(7):
            page.keyboard.press("ArrowRight")
        expect(tip).to_contain_text("Step 77")
        expect(tip).to_contain_text("9,232")
        expect(page.locator("#readout")).to_have_text("Step 77: 9,232")
        page.keyboard.press("End")
        expect(page.locator("#readout")).to_have_text("Step 111: 1")
        page.keyboard.press("+")
        expect(page.locator("#shown")).to_have_text("58 of 112 steps")
        page.keyboard.press("PageDown")
        expect(page.locator("input[name=to]")).to_have_value("111")
        page.keyboard.press("Escape")
        expect(page.locator("#shown")).to_have_text("112 of 112 steps")
        page.keyboard.press("s")
        expect(page).to_have_url(re.compile("scale=linear$"))
        expect(page.locator("select[name=scale]")).to_have_value("linear")


def test_values_beyond_64_bits_are_read_out_exactly(browser: Browser, system: WebSystem) -> None:
    values = list(chain(BEYOND_64_BITS))
    with opened(browser, system, chart_page(BEYOND_64_BITS, "?from=339&to=343")) as page:
        expect(page.locator(".facts")).to_contain_text(HIGHEST)
        box = page.locator("#chart .u-over").bounding_box()
        assert box is not None
        for place, step in enumerate(range(339, 344)):
            inset = {0: 1, 4: -1}.get(place, 0)
            page.mouse.move(box["x"] + box["width"] * place / 4 + inset, box["y"] + 100)
            tip = page.locator("#chart .tip")
            expect(tip).to_contain_text(f"Step {step}")
            expect(tip).to_contain_text(f"{values[step]:,}")
        assert f"{values[341]:,}" == HIGHEST


def test_a_chain_of_which_little_has_come_is_drawn_as_well(
    browser: Browser, system: WebSystem
) -> None:
    lines = b'{"Number":1,"Step":0,"Value":1}\n{"Number":7,"Step":9,"Value":52}\n'
    lines += b'{"Number":7,"Step":12,"Value":40}\n'
    system.store.insert("rikstv.intake", lines, "JSONAsString", columns=["json"])
    with opened(browser, system, chart_page(1)) as page:
        page.locator("#chart").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#readout")).to_have_text("Step 0: 1")
    with opened(browser, system, chart_page(7, "?from=1&to=4")) as page:
        expect(page.locator(".facts")).to_contain_text("Steps so far")
        expect(page.locator("#nothing")).to_be_visible()
        page.keyboard.press("0")
        expect(page.locator("#nothing")).to_be_hidden()
        page.locator("#chart").focus()
        page.keyboard.press("End")
        expect(page.locator("#readout")).to_have_text("Step 12: 40")
    with opened(browser, system, chart_page(7, "?from=1&to=4"), java_script_enabled=False) as page:
        expect(page.locator("#nothing")).to_be_visible()


def test_two_chains_are_compared(browser: Browser, system: WebSystem) -> None:
    with opened(browser, system, "/collatz") as page:
        page.get_by_label("Chain of").fill("27")
        page.get_by_label("and", exact=True).fill("8 400 511")
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(f"{system.url}/plot/27/page?with=8400511")
        expect(page.locator(".remark")).to_contain_text("8400511 has not come; it is computed")
        expect(page.locator(".chart .legend li")).to_have_text(
            [re.compile("27"), re.compile("8400511")]
        )
        # Before it is drawn, it has no keys.
        expect(page.locator("#chart canvas")).to_be_visible()
        page.locator("#chart").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#readout")).to_have_text("Step 0: 27 and 8,400,511")
        page.keyboard.press("End")
        steps = len(list(chain(8400511))) - 1
        expect(page.locator("#readout")).to_have_text(f"Step {steps}: ended and 1")
        page.get_by_role("link", name="Without 8400511").click()
        expect(page.locator("#values thead th")).to_have_text(["Step", "Value"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chart_is_drawn_in_the_colours_of_the_theme(
    browser: Browser, system: WebSystem, scheme: str
) -> None:
    lines = {"light": ["42 120 214", "212 105 15"], "dark": ["91 155 232", "224 128 58"]}
    path = chart_page(27, "?with=97")
    with opened(browser, system, path, color_scheme=scheme) as page:
        colours = """canvas => {
            const seen = new Set();
            const { data } = canvas.getContext('2d')
                .getImageData(0, 0, canvas.width, canvas.height);
            for (let at = 0; at < data.length; at += 4)
                if (data[at + 3] === 255) seen.add(data.slice(at, at + 3).join(' '));
            return [...seen];
        }"""
        canvas = page.locator("#chart canvas")
        assert set(lines[scheme]) <= set(canvas.evaluate(colours))
        other = "dark" if scheme == "light" else "light"
        while page.locator("html").get_attribute("data-theme") != other:
            page.get_by_role("button", name="Theme").click()
        assert set(lines[other]) <= set(page.locator("#chart canvas").evaluate(colours))


def test_without_scripts_there_is_a_picture_and_a_table(
    browser: Browser, system: WebSystem
) -> None:
    path = chart_page(27, "?with=97&from=70&to=80")
    with opened(browser, system, path, java_script_enabled=False) as page:
        picture = page.locator("img.for-light")
        expect(picture).to_be_visible()
        expect(page.locator("#chart")).to_be_hidden()
        row = page.locator("#values tbody tr:visible").nth(7)
        expect(row.locator("td")).to_have_text(["77", "9,232", f"{list(chain(97))[77]:,}"])
        expect(page.locator("#values tbody tr:visible")).to_have_count(11)
        page.get_by_role("link", name="Farther").click()
        expect(page.locator("#shown")).to_have_text("21 of 119 steps")
        page.get_by_label("From step").fill("0")
        page.get_by_label("Scale").select_option("linear")
        page.locator("#view").get_by_role("button", name="Show").click()
        expect(page.locator("#shown")).to_have_text("86 of 119 steps")
        assert "scale=linear" in page.url
        assert "with=97" in page.url


@pytest.mark.parametrize("width", [360, 400, 800])
@pytest.mark.parametrize("path", ["/collatz", chart_page(BEYOND_64_BITS, "?with=27")])
def test_narrow_pages_do_not_scroll_sideways(
    browser: Browser, system: WebSystem, path: str, width: int
) -> None:
    size = {"width": width, "height": 740}
    with opened(browser, system, path, viewport=size) as page:
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_records_lead_to_their_chains(browser: Browser, system: WebSystem) -> None:
    with opened(browser, system, "/collatz") as page:
        longest = page.get_by_role("region", name="Longest chains").first
        for place, number in enumerate((BEYOND_64_BITS, 837799, 6171, 97, 27)):
            expect(longest.locator("tbody th").nth(place)).to_have_text(str(number))
        expect(page.locator(".facts")).to_contain_text("1.27×10²⁷")
        longest.get_by_role("link", name="837799", exact=True).click()
        expect(page.locator("h1")).to_have_text("The chain of 837799")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots_of_a_chain(
    browser: Browser, system: WebSystem, scheme: str, tmp_path: Path
) -> None:
    """Pictures for the documentation: TAILRACE_SCREENSHOT_DIR=docs/images keeps them."""
    folder = Path(os.environ.get("TAILRACE_SCREENSHOT_DIR") or tmp_path)
    path = chart_page(BEYOND_64_BITS, "?with=837799")
    with opened(browser, system, path, color_scheme=scheme) as page:
        page.locator("#chart .u-over").hover(position={"x": 330, "y": 160})
        expect(page.locator("#chart .tip")).to_be_visible()
        picture = folder / f"collatz-{scheme}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 20_000
