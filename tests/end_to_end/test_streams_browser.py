"""The page of streams in a real browser: it brings itself up to date, and works without scripts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_new_messages_come_by_themselves(
    browser: Browser, web: Process, kafka: KafkaCluster, scheme: Literal["light", "dark"]
) -> None:
    topic = kafka.create_topic(1)
    kafka.send(topic, [b"the first one"], partitions=1)
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" else None,
    )
    page.goto(f"{web.url}/streams")
    expect(page.locator("nav a[aria-current]")).to_have_text("Streams")
    page.get_by_role("link", name=topic).first.click()
    expect(page.locator("#live")).to_contain_text("the first one")
    kafka.send(topic, [b"the second one"], partitions=1)
    expect(page.locator("#live")).to_contain_text("the second one", timeout=30_000)
    page.get_by_label("with the text").fill("FIRST")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#live")).to_contain_text("the first one")
    expect(page.locator("#live")).not_to_contain_text("the second one")
    context.close()
    assert complaints == []


def test_it_works_without_scripts(browser: Browser, web: Process, kafka: KafkaCluster) -> None:
    topic = kafka.create_topic(2)
    kafka.send(topic, [b"zero", b"one", b"two"], partitions=2)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{web.url}/streams/{topic}")
    page.get_by_label("Partition", exact=True).select_option("0")
    page.get_by_label("from offset").fill("1")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#live")).to_contain_text("two")
    expect(page.locator("#live")).not_to_contain_text("zero")
    context.close()
