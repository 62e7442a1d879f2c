"""The explorer on a table that is not that of the logs, in a real browser, over a real engine."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import opened
from tests.web_system import WebSystem, running

PACK = """
name: mill
description: Grinds
table: mill.sacks
explore:
  time: at
  fields: {at: moment, miller: text, grade: level, weight: number, note: message, came: moment}
  columns: [at, grade, miller, weight, note]
  text: [note]
  filters: [grade, miller]
  level: grade
  arrived: came
"""
SCHEMA = """
CREATE DATABASE IF NOT EXISTS mill;
CREATE TABLE IF NOT EXISTS mill.sacks
(
    at DateTime64(3, 'UTC'),
    miller LowCardinality(String),
    grade LowCardinality(String) DEFAULT 'INFO',
    weight Float64,
    note String,
    came DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree ORDER BY at;
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSystem]:
    packs_dir = tmp_path_factory.mktemp("packs")
    (packs_dir / "mill" / "schema").mkdir(parents=True)
    (packs_dir / "mill" / "pack.yaml").write_text(PACK)
    (packs_dir / "mill" / "schema" / "001_tables.sql").write_text(SCHEMA)
    with running(tmp_path_factory.mktemp("tables"), ["logs", "mill"], packs_dir) as started:
        yield started


def grind(system: WebSystem, sacks: list[dict[str, Any]]) -> None:
    body = "".join(f"{json.dumps(sack)}\n" for sack in sacks).encode()
    system.store.insert("mill.sacks", body, "JSONEachRow")


@pytest.fixture
def filled(system: WebSystem) -> WebSystem:
    """A line of log, and 150 sacks of the last five minutes, of two millers."""
    system.clear()
    system.store.command("TRUNCATE TABLE mill.sacks")
    now = datetime.now(UTC)
    system.insert([{"message": "a line of log", "source": "mill"}])
    grind(
        system,
        [
            {
                "at": f"{now - timedelta(seconds=10 + number):%Y-%m-%d %H:%M:%S.%f}"[:-3],
                "miller": ["Ada", "<b>Bob</b>"][number % 2],
                "grade": "ERROR" if number % 10 == 0 else "INFO",
                "weight": number + 0.5,
                "note": f"sack {number} of oats",
            }
            for number in range(150)
        ],
    )
    return system


def test_a_table_is_chosen_and_searched(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/?from=1h&level=INFO") as page:
        expect(page.locator("tr.row td.message")).to_have_text("a line of log")
        # Packs whose tables are not there are not to be chosen.
        expect(page.locator("#table option")).to_have_text(["application_logs", "sacks"])
        with page.expect_navigation():
            page.select_option("#table", "mill.sacks")
        assert page.url.endswith("/?table=mill.sacks&from=1h")
        expect(page.locator("#rows th")).to_have_text(
            [re.compile("^At"), "Grade", "Miller", "Weight", "Note"]
        )
        expect(page.locator("tr.row")).to_have_count(100)
        expect(page.locator("#result")).to_contain_text("150 rows")
        expect(page.locator("tr.row").first).to_have_class("row error")
        expect(page.locator("#facets h2")).to_have_text(["grade", "miller"])
        expect(page.locator(".chart .band-error").first).to_be_attached()
        page.locator("#facets").get_by_role("link", name="<b>Bob</b> 75").click()
        expect(page.locator("tr.row")).to_have_count(75)
        page.fill("#q", "weight:<20 sack")
        page.keyboard.press("Enter")
        expect(page.locator("tr.row")).to_have_count(10)
        assert "table=mill.sacks" in page.url
        expect(page.locator("mark")).to_have_count(10)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{filled.url}/?table=mill.sacks&q=(sack")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("#table option:checked")).to_have_text("sacks")
    expect(page.locator("#table option")).to_have_count(2)
    context.close()


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
def test_rows_are_sorted_paged_and_opened(
    browser: Browser, filled: WebSystem, javascript: bool
) -> None:
    path = "/?table=mill.sacks&limit=60&live=0"
    with opened(browser, filled, path, java_script_enabled=javascript) as page:
        page.get_by_role("link", name="Weight").click()
        expect(page.locator("th.figure")).to_have_attribute("aria-sort", "descending")
        weights = page.locator("tr.row td.figure")
        expect(weights.first).to_have_text("149.5")
        page.get_by_role("link", name="On →").click()
        expect(weights.first).to_have_text("89.5")
        page.locator("tr.row").nth(1).locator("td.timestamp a").click()
        details = page.locator("tr.opened")
        expect(details).to_contain_text("sack 88 of oats")
        expect(details.locator("dt")).to_have_text(
            ["note", "at", "grade", "miller", "weight", "came"]
        )
        details.locator(".field", has_text="weight").get_by_role("link", name="keep").click()
        expect(page.locator("tr.row td.message")).to_have_text("sack 88 of oats")
        expect(page.locator("#q")).to_have_value('weight:"88.5"')


def test_new_rows_arrive_by_themselves(browser: Browser, filled: WebSystem) -> None:
    with opened(browser, filled, "/?table=mill.sacks") as page:
        expect(page.locator("#live-button")).to_have_attribute("aria-pressed", "true")
        moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        grind(
            filled,
            [
                {
                    "at": moment,
                    "miller": "<i>Eve</i>",
                    "grade": "WARNING",
                    "weight": 7,
                    "note": "fresh",
                }
            ],
        )
        row = page.locator("tr.row").first
        expect(row.locator("td.message")).to_have_text("fresh")
        expect(row.locator("td.source")).to_have_text("<i>Eve</i>")
        expect(row.locator("td.figure")).to_have_text("7")
        expect(row).to_have_class("row warning")
        row.locator("td.message").click()
        expect(page.locator("tr.opened")).to_contain_text("<i>Eve</i>")
        page.get_by_role("link", name="Permalink").click()
        expect(page.locator("tr[aria-current] td.message")).to_have_text("fresh")
        assert "table=mill.sacks" in page.url


def test_rows_that_are_alike_are_each_shown(browser: Browser, filled: WebSystem) -> None:
    now = datetime.now(UTC)
    sack = {"at": f"{now:%Y-%m-%d %H:%M:%S}", "note": "alike", "came": f"{now:%Y-%m-%d %H:%M:%S}"}
    grind(filled, [sack] * 2)
    with opened(browser, filled, "/?table=mill.sacks&q=alike") as page:
        rows = page.locator("tr.row")
        expect(rows).to_have_count(2)
        grind(filled, [sack] * 2)
        expect(rows).to_have_count(4)
        page.reload()
        expect(page.locator("#live-button")).to_have_attribute("aria-pressed", "true")
        grind(
            filled, [sack]
        )  # what comes after all that was sent again shows that none of it counts
        expect(rows).to_have_count(5)
        expect(page.locator("tr.row[id]")).to_have_count(1)
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.locator("tr.row.selected + tr.opened")).to_contain_text("alike")
        page.get_by_role("link", name="Permalink").click()
        expect(rows).to_have_count(5)
        expect(page.locator("tr.opened")).to_have_count(1)


@pytest.mark.parametrize("width", [400, 1360])
def test_a_page_is_no_wider_than_its_window(
    browser: Browser, filled: WebSystem, width: int
) -> None:
    grain = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}", "weight": 0.12345678901234568}
    grind(filled, [{**grain, "miller": "M" * 300, "grade": "G" * 300, "note": "n" * 3000}])
    size = {"width": width, "height": 800}
    with opened(browser, filled, "/?table=mill.sacks&live=0", viewport=size) as page:
        page.locator("tr.row .timestamp a").first.click()
        expect(page.locator("tr.opened dl")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        figure = page.locator("tr.row td.figure").first
        expect(figure).to_have_text("0.12345678901234568")
        expect(figure).to_have_css("text-align", "right")


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
def test_columns_are_chosen_and_stay(browser: Browser, filled: WebSystem, javascript: bool) -> None:
    path = "/?table=mill.sacks&miller=Ada&live=0"
    with opened(browser, filled, path, java_script_enabled=javascript) as page:
        page.get_by_text("Columns", exact=True).click()
        expect(page.get_by_label("At", exact=True)).to_be_disabled()
        page.get_by_label("Weight").uncheck()
        page.get_by_label("Came").check()
        page.get_by_role("button", name="Show these").click()
        heads = page.locator("#rows th")
        expect(heads).to_have_text([re.compile("^At"), "Grade", "Miller", "Note", "Came"])
        expect(page.locator("tr.row")).to_have_count(75)
        page.fill("#q", "sack")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Miller", exact=True).click()
        expect(page.locator("th[aria-sort]")).to_contain_text("Miller")
        expect(heads).to_have_count(5)
        expect(page.locator("tr.row")).to_have_count(75)
