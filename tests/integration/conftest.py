import shutil
from collections.abc import Generator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.broker_fixtures import is_required

PATIENCE: Final = 20_000  # milliseconds


@pytest.fixture(scope="module")
def chromium(request: pytest.FixtureRequest) -> Generator[Browser]:
    """A headless Chromium; the test is skipped where there is none, and fails there when brokers are required."""
    program = shutil.which("chromium")
    if program is None:
        reason = "Chromium is not installed: run `make brokers` as root"
        if is_required(request):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
