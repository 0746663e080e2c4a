"""Makes the README's pictures of the moderator's page: ``python docs/screenshots.py``.

It starts a server with the embedded model on loopback and takes the pictures in Chromium; it needs
what the tests need.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "pictures"
sys.path.append(str(FOLDER.parent.parent / "tests"))

from opened_page import launched  # noqa: E402
from served_page import Desk, served  # noqa: E402

COMMENTS = (
    "You absolute fucking muppet, read the article first.",
    "Thanks for the update, it works now.",
    "This update is fucking useless. Your moderators are stupid morons.",
    "أنت غبي جدا ولا تفهم شيئا",
    "Этот сраный автобус опять опоздал на полчаса",
    "I will find you and kill you.",
)
MOST_BYTES = 150_000


def main() -> None:
    """Takes the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with served() as site, launched() as browser:
        desk = Desk(browser, site, color_scheme="light")
        desk.page.set_viewport_size({"width": 820, "height": 800})
        desk.add(*COMMENTS)
        desk.page.uncheck("#blur")
        desk.row(0).locator(".accept").click()
        desk.focus(2)
        desk.press("n", "n", "x")
        take(desk, "page.png")
        desk.close()

        desk = Desk(browser, site, color_scheme="dark")
        desk.page.set_viewport_size({"width": 720, "height": 560})
        desk.add(*COMMENTS[2:4])
        desk.focus(1)
        desk.press("ArrowLeft")
        desk.page.evaluate("() => scrollTo(0, 210)")
        take(desk, "page-dark.png")
        desk.close()


def take(desk: Desk, name: str) -> None:
    """Takes a picture of what is in sight."""
    desk.page.wait_for_timeout(1_000)  # until what was mixed is measured
    content = desk.page.screenshot(path=FOLDER / name)
    assert len(content) <= MOST_BYTES, f"{name} has {len(content):,} bytes"
    print(FOLDER / name, f"{len(content):,} bytes")


if __name__ == "__main__":
    main()
