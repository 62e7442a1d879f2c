"""The browser that the tests of pages share."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browsing import ARGUMENTS, WITHIN_MS
from tests.needs import need_program


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = need_program("chromium", "chromium")
    expect.set_options(timeout=WITHIN_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, timeout=WITHIN_MS
        )
        yield started
        started.close()
