"""The moderator's page from a real server with the embedded model, in a real browser."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opened_page import PATIENCE, sync_api

expect = sync_api.expect


@contextlib.contextmanager
def served(**settings: Any) -> Iterator[str]:
    """The address of a server on loopback that runs until the end."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    from civilly.serve.app import create_app
    from civilly.serve.settings import Settings

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(Settings(**settings)), log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


class Desk:
    """The page in a browser profile of its own, and what a moderator does on it."""

    def __init__(self, browser: Any, site: str, **options: Any) -> None:
        self.site = site
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, locale="en-US", **options
        )
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(site)

    def add(self, *comments: str, wait: bool = True) -> None:
        """Pastes comments, one a line, and waits until they are read."""
        self.page.fill("#input-text", "\n".join(comments))
        self.page.click("#input-form button[type=submit]")
        if wait:
            self.wait()

    def open(self, path: Path) -> None:
        """Opens a file as the dialog suggests it."""
        self.page.set_input_files("#file", path)
        self.page.click("#file-take")

    def wait(self) -> None:
        """Waits until nothing waits for the server."""
        expect(self.page.locator("#working")).to_contain_text("civil", timeout=PATIENCE)

    def row(self, index: int) -> Any:
        return self.page.locator(f'.row[data-row="{index}"]')

    def expect_status(self, index: int, status: str) -> None:
        expect(self.row(index)).to_have_attribute("data-status", status, timeout=PATIENCE)

    def result(self, index: int) -> str:
        return str(self.row(index).locator(".result .text").inner_text())

    def original(self, index: int) -> str:
        """The text as it was, from the marked one."""
        return str(
            self.row(index)
            .locator(".marked .text")
            .evaluate(
                """(text) => { const copy = text.cloneNode(true);
                copy.querySelectorAll("ins").forEach((ins) => ins.remove());
                return copy.textContent; }"""
            )
        )

    def focus(self, index: int) -> None:
        self.row(index).evaluate("(row) => row.focus()")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def said(self, text: str) -> None:
        expect(self.page.locator("#said")).to_contain_text(text, timeout=PATIENCE)

    def export(self, folder: Path, format_name: str) -> Path:
        self.page.click("#export")
        self.page.select_option("#export-format", format_name)
        with self.page.expect_download() as waiting:
            self.page.click("#download")
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def close(self, *expected: str) -> None:
        """Nothing was complained of but what is expected, and nobody else was asked."""
        self.context.close()
        odd = [text for text in self.complaints if not any(known in text for known in expected)]
        assert odd == []
        own = (self.site, f"blob:{self.site}")
        assert [url for url in self.requests if not url.startswith(own)] == []
