"""Our pages in a real browser, opened from a file, without a network.

The browser is the one that ``CIVILLY_CHROMIUM`` names, else one that is installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 90_000  # milliseconds; a busy machine is slow


@contextmanager
def launched() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = os.environ.get("CIVILLY_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("there is no Chromium; install it or name it in CIVILLY_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


class Opened:
    """A page that notes what the browser complains about and asks for.

    ``before`` is a script that runs before those of the page.
    """

    def __init__(
        self, browser: Any, site: Path, width: int = 1280, scheme: str = "light", before: str = ""
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.context.set_default_timeout(PATIENCE)
        self.context.add_init_script(before)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(site.as_uri())
        # Not wait_for_function: it evaluates strings, which the page's own policy forbids.
        shown = self.page.locator("#shown")
        sync_api.expect(shown).to_contain_text(" of ", timeout=PATIENCE)


def expect_shown(page: Any, text: str) -> None:
    """Waits until the form has settled on some rows."""
    sync_api.expect(page.locator("#shown")).to_have_text(text, timeout=PATIENCE)
