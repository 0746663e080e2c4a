"""The review page's memory: decisions outlive the tab, in the browser and in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opened_page import sync_api
from review_pages import OTHERS, RECORDS, ROWS, Review, record, write_page

FORGETFUL = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("denied", "SecurityError"); } });"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_page(tmp_path, RECORDS)


@pytest.fixture
def opened(browser: Any, site: Path) -> Iterator[Review]:
    review = Review(browser, site)
    yield review
    review.close()


@pytest.fixture
def forgetful(browser: Any, site: Path) -> Iterator[Review]:
    """In a browser that keeps nothing for pages."""
    review = Review(browser, site, before=FORGETFUL)
    yield review
    review.close()


def test_decisions_survive_a_reload_and_another_tab(opened: Review) -> None:
    opened.row(0).locator("button.edit").nth(1).click()
    opened.row(1).locator(".accept").click()
    opened.row(2).locator(".keep").click()
    opened.row(4).locator(".edit-text").click()
    opened.row(4).locator("textarea").fill('a "quoted"\tlady,\nreally')
    opened.press("Control+Enter")
    opened.row(6).locator(".others").click()
    opened.row(6).locator(".wording").click()
    expected = ["partly", "accepted", "kept", "unseen", "edited", "other"]
    places = [0, 1, 2, 3, 4, 6]
    assert [opened.status(index) for index in places] == expected
    texts = [opened.result(index) for index in (0, 1, 4, 6)]
    opened.reload()
    opened.expect_count("5 of 7 decided")
    assert [opened.status(index) for index in places] == expected
    assert [opened.result(index) for index in (0, 1, 4, 6)] == texts
    assert texts == [
        "You person, go home, moron.", ROWS[1][2], 'a "quoted"\tlady,\nreally', OTHERS[6][0],
    ]  # fmt: skip

    other = opened.context.new_page()
    other.goto(opened.site.as_uri())
    sync_api.expect(other.locator("#count")).to_have_text("5 of 7 decided")
    other.click("#reveal")
    other.locator('.row[data-row="3"] .accept').click()
    opened.expect_count("6 of 7 decided")
    assert opened.status(3) == "accepted"


def test_a_page_with_other_suggestions_does_not_take_the_decisions(
    opened: Review, tmp_path: Path
) -> None:
    opened.row(1).locator(".accept").click()
    opened.expect_count("1 of 7 decided")
    changed = [record(1, "ar", ROWS[1][1], "أنت بعيد جدا"), *RECORDS[2:]]
    write_page(tmp_path, [RECORDS[0], *changed])
    opened.reload()
    opened.expect_count("0 of 7 decided")


def test_without_memory_the_page_warns_asks_and_saves(forgetful: Review, tmp_path: Path) -> None:
    page = forgetful.page
    asked: list[str] = []

    def stay_or_go(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", stay_or_go)
    assert page.locator("#memory").is_visible()
    forgetful.reload()
    assert asked == []  # nothing would have been lost
    forgetful.row(0).locator("button.edit").nth(1).click()
    forgetful.row(7).locator(".edit-text").click()
    forgetful.row(7).locator("textarea").fill("אתה טועה")
    forgetful.press("Control+Enter")
    page.click("#menu summary")
    saved = forgetful.saved(tmp_path, "#save-decisions")
    assert saved.name == "in & out.reviewed.decisions.json"
    forgetful.reload()
    assert asked == []  # they are saved
    forgetful.expect_count("0 of 7 decided")
    page.set_input_files("#decisions-file", saved)
    forgetful.expect_count("2 of 7 decided")
    assert (forgetful.result(0), forgetful.result(7)) == ("You person, go home, moron.", "אתה טועה")
    forgetful.reload()
    assert asked == ["beforeunload"]
    forgetful.expect_count("0 of 7 decided")


def test_a_text_half_typed_is_asked_about(opened: Review) -> None:
    asked: list[str] = []
    opened.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    assert not opened.page.locator("#memory").is_visible()
    opened.row(0).locator(".accept").click()
    opened.row(1).locator(".edit-text").click()
    opened.reload()
    assert asked == []
    opened.row(1).locator(".edit-text").click()
    opened.row(1).locator("textarea").fill("نص")
    opened.reload()
    assert asked == ["beforeunload"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no JSON", "no saved decisions"),
        ("[]", "no saved decisions"),
        (
            '{"kind": "civilly review decisions", "fingerprint": "x", "decisions": []}',
            "another page",
        ),
    ],
)
def test_what_are_no_decisions_of_this_page_is_refused(
    opened: Review, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    opened.page.set_input_files("#decisions-file", file)
    sync_api.expect(opened.page.locator("#said")).to_contain_text(said)
    opened.expect_count("0 of 7 decided")


def test_damaged_decisions_stay_out(opened: Review, tmp_path: Path) -> None:
    opened.row(0).locator(".accept").click()
    opened.page.click("#menu summary")
    saved = opened.saved(tmp_path, "#save-decisions")
    content = json.loads(saved.read_text(encoding="utf-8"))
    damaged = [[0, "111", None, 0], [7, "1", None, 0], [0, "11", "", 0], [0, "11", 5, 0], None, "x"]
    content["decisions"] += [{"row": 1, "packed": made} for made in damaged]
    content["decisions"] += [{"row": 2, "packed": [0, "11", None, 0]}]  # it has one change
    content["decisions"] += [{"row": 99, "packed": [0, "11", None, 0]}, {}]
    saved.write_text(json.dumps(content))
    opened.row(0).locator(".accept").click()
    opened.page.set_input_files("#decisions-file", saved)
    sync_api.expect(opened.page.locator("#said")).to_have_text(
        "Loaded 1 decision. 9 entries made no sense and stayed out."
    )
    assert opened.status(0) == "accepted"
