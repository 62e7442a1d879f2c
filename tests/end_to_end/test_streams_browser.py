"""The pages of streams in a real browser: they bring themselves up to date, and work without scripts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from confluent_kafka import Consumer, Producer
from playwright.sync_api import Browser, Page, expect

from tests.browsing import WITHIN_MS
from tests.integration.collect_system import eventually
from tests.kafka_cluster import KafkaCluster
from tests.processes import Process
from tests.web_system import free_port, start_web


@pytest.fixture(scope="module")
def web(kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder: Path = tmp_path_factory.mktemp("web")
    environment = {
        "TAILRACE_DATA_DIR": str(folder),
        "TAILRACE_ENGINE_PORT": str(free_port()),
        "TAILRACE_COLLECTOR_PORT": str(free_port()),
        "BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
    }
    with start_web(environment) as process:
        yield process


@contextmanager
def opened(browser: Browser, **how: Any) -> Iterator[Page]:
    """A page of its own, on which nothing may go wrong."""
    context = browser.new_context(**how)
    page = context.new_page()
    page.set_default_timeout(WITHIN_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" else None,
    )
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


def follow(page: Page, name: str) -> None:
    """Click the link of that name and wait for its page."""
    with page.expect_navigation():
        page.get_by_role("link", name=name).click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_new_messages_come_by_themselves_until_that_is_switched_off(
    browser: Browser, web: Process, kafka: KafkaCluster, scheme: Literal["light", "dark"]
) -> None:
    topic = kafka.create_topic(1)
    kafka.send(topic, [b"the first one"], partitions=1)
    with opened(browser, color_scheme=scheme) as page:
        page.goto(f"{web.url}/streams?q={topic}")
        expect(page.locator("nav a[aria-current]")).to_have_text("Streams")
        page.get_by_role("link", name=topic).first.click()
        expect(page.locator("#rows")).to_contain_text("the first one")
        kafka.send(topic, [b"the second one"], partitions=1)
        expect(page.locator("#rows")).to_contain_text("the second one")
        expect(page.locator(".tile").first).to_contain_text("2")
        live = page.get_by_role("button", name="Live")
        live.click()
        expect(live).to_have_attribute("aria-pressed", "false")
        expect(page).to_have_url(re.compile(r"\?live=0$"))
        page.reload()
        expect(live).to_have_attribute("aria-pressed", "false")
        page.get_by_label("Text").fill("FIRST")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#rows mark")).to_have_text("first")
        expect(page.locator("#rows")).not_to_contain_text("the second one")


def test_a_message_opens_by_a_click_on_its_row_and_by_keys(
    browser: Browser, web: Process, kafka: KafkaCluster
) -> None:
    topic = kafka.create_topic(1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic, b'{"a":[1,2]}', b"the key", headers=[("trace", b"abc")])
    producer.flush(30)
    with opened(browser) as page:
        page.goto(f"{web.url}/streams/{topic}")
        page.locator("#rows td.message").first.click()
        details = page.locator("#rows .details")
        expect(details).to_contain_text("header trace")
        expect(details).to_contain_text('"a": [')
        expect(page.get_by_role("button", name="Live")).to_have_count(0)
        details.get_by_role("link", name="Close").click()
        expect(details).to_have_count(0)
        link = page.locator("#rows .timestamp a")
        link.focus()
        page.keyboard.press("Enter")
        expect(details).to_be_visible()
        expect(page).to_have_url(re.compile("open=0-0"))


def test_a_group_shows_which_member_reads_what(
    browser: Browser, web: Process, kafka: KafkaCluster
) -> None:
    topic = kafka.create_topic(4)
    kafka.send(topic, [b"x"] * 8)
    options = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"g-{topic}"}
    readers = [
        Consumer({**options, "client.id": f"reader-{number}", "log_level": 2}) for number in (1, 2)
    ]
    for reader in readers:
        reader.subscribe([topic])

    def shared() -> bool:
        for reader in readers:
            reader.poll(0.05)
        return all(len(reader.assignment()) == 2 for reader in readers)

    eventually(shared, "two partitions each")
    with opened(browser) as page:
        page.goto(f"{web.url}/streams?q=g-{topic}")
        squares = page.locator(".shares i")
        expect(squares).to_have_count(4)
        colours = {squares.nth(at).get_attribute("class") for at in range(4)}
        assert len(colours) == 2
        page.get_by_role("link", name=f"g-{topic}").click()
        members = page.get_by_role("region", name="Members")
        for name in ("reader-1", "reader-2"):
            row = members.get_by_role("row").filter(has_text=name)
            expect(row.locator(".chip")).to_have_count(2)
    for reader in readers:
        reader.close()


def test_they_work_without_scripts(browser: Browser, web: Process, kafka: KafkaCluster) -> None:
    topic = kafka.create_topic(2)
    kafka.send(topic, [b"number %d" % number for number in range(120)], partitions=2)
    with opened(browser, java_script_enabled=False) as page:
        page.goto(f"{web.url}/streams")
        page.get_by_label("Filter topics and groups").fill(topic.upper())
        page.get_by_label("Kafka's own topics").check()
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(re.compile("internal=1"))
        expect(page.locator("table.list").first.locator("tbody tr")).to_have_count(1)
        page.get_by_role("link", name=topic).first.click()
        expect(page.locator("#rows tbody tr")).to_have_count(50)
        follow(page, "Older →")
        follow(page, "Older →")
        expect(page.locator("#rows tbody tr")).to_have_count(20)
        expect(page.get_by_role("link", name="Older →")).to_have_count(0)
        follow(page, "Newest")
        page.get_by_role("combobox", name="Partition", exact=True).select_option("0")
        page.get_by_label("From offset").fill("58")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#rows")).to_contain_text("number 116")
        expect(page.locator("#rows tbody tr")).to_have_count(2)
        follow(page, "← Earlier")
        expect(page.locator("#rows")).to_contain_text("number 114")
        follow(page, "Partitions")
        expect(page.locator("table.list tbody tr")).to_have_count(2)
        follow(page, "Configuration")
        expect(page.locator("table.list")).to_contain_text("retention.ms")


@pytest.mark.parametrize("width", [400, 1360])
def test_nothing_is_wider_than_the_window(
    browser: Browser, web: Process, kafka: KafkaCluster, width: int
) -> None:
    topic = kafka.create_topic(4)
    kafka.send(topic, [b"long " * 500, b"x" * 3000])
    paths = [f"/streams/{topic}?{more}" for more in ("", "show=partitions", "show=configuration")]
    with opened(browser, viewport={"width": width, "height": 900}) as page:
        for path in ("/streams", *paths, f"/streams/{topic}?open=1-0"):
            page.goto(f"{web.url}{path}")
            expect(page.locator("#live")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
