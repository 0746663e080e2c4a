"""The page on which rewrites are reviewed, in a real browser, opened from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civilly.batch.rows import with_edits
from civilly.detect.by_sentence import open_detector
from civilly.methods.edits import edits
from civilly.types import Text
from opened_page import Opened, sync_api
from review_pages import EVIL, RECORDS, ROWS, Review, record, write_page


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_page(tmp_path, RECORDS)


@pytest.fixture
def opened(browser: Any, site: Path) -> Iterator[Review]:
    review = Review(browser, site)
    yield review
    review.close()


def test_nothing_is_decided_before_the_texts_are_shown(browser: Any, site: Path) -> None:
    opened = Opened(browser, site)
    page, rows = opened.page, opened.page.locator("#rows")
    assert rows.get_attribute("inert") is not None
    assert "blur" in page.locator(".row bdi").first.evaluate(
        "(text) => getComputedStyle(text).filter"
    )
    for key in "jara":
        page.keyboard.press(key)
    assert page.inner_text("#count") == "0 of 7 decided"
    page.click("#reveal")
    assert rows.get_attribute("inert") is None
    assert page.locator('.row[data-row="1"] bdi').first.get_attribute("dir") == "rtl"
    page.keyboard.press("b")
    assert rows.get_attribute("inert") is not None
    assert opened.complaints == []
    opened.context.close()


def test_each_edit_can_be_left_and_taken_and_the_figures_follow(opened: Review) -> None:
    detector = open_detector()
    opened.expect_count("0 of 7 decided")
    buttons = opened.row(0).locator("button.edit")
    assert buttons.count() == 2
    assert opened.result(0) == ROWS[0][2]
    assert opened.figure(0) == "rude 90 % → 10 %"
    buttons.nth(0).click()
    assert buttons.nth(0).get_attribute("aria-pressed") == "false"
    mixed = "You stupid idiot, go home, friend."
    assert opened.result(0) == mixed
    p_toxic = round(detector.detect([Text(mixed, "en")])[0].p_toxic, 2)
    assert opened.figure(0) == f"rude 90 % → {100 * p_toxic:.0f} %"
    assert opened.status(0) == "partly"
    buttons.nth(1).click()
    assert (opened.status(0), opened.figure(0)) == ("kept", "rude 90 % → 90 %")
    assert opened.row(0).locator(".result").count() == 0
    for place in (0, 1):
        buttons.nth(place).click()
    assert (opened.status(0), opened.figure(0)) == ("accepted", "rude 90 % → 10 %")
    assert opened.page.inner_text("#rude").endswith(": 6")
    opened.row(0).locator(".accept").click()
    assert opened.status(0) == "unseen"
    assert opened.page.inner_text("#rude").endswith(": 7")


def test_mixtures_of_many_changes_are_measured_or_said_not_to_be(
    browser: Any, tmp_path: Path
) -> None:
    text = " ".join(f"dumb{i} word{i}" for i in range(5))
    review = Review(
        browser, write_page(tmp_path, [record(0, "en", text, text.replace("dumb", "kind"))])
    )
    buttons = review.row(0).locator("button.edit")
    assert buttons.count() == 5
    buttons.nth(0).click()
    assert "not measured" not in review.figure(0)
    buttons.nth(1).click()
    assert review.figure(0) == "rude 90 % → not measured"
    review.close()


def test_the_keyboard_alone_is_enough(opened: Review) -> None:
    opened.press("b", "b", "g")
    opened.page.keyboard.type("1")
    opened.press("Enter", "a")  # the first row is accepted; on to the next one
    assert opened.status(0) == "accepted"
    assert opened.row(1).evaluate("(row) => row === document.activeElement")
    opened.press("r", "j", "k", "k")
    assert opened.status(1) == "kept"
    opened.press("a")  # again: it stays kept no more
    assert opened.status(1) == "accepted"
    opened.press("u")
    assert opened.status(1) == "kept"
    opened.press("u", "u")
    opened.expect_count("0 of 7 decided")
    opened.press("g")
    opened.page.keyboard.type("1")
    opened.press("Enter", "n", "n", "Enter")
    assert opened.result(0) == "You person, go home, moron."
    opened.press("2")
    assert opened.status(0) == "partly"  # a wording is read before it can be chosen
    opened.press("o", "2")
    assert (opened.status(0), opened.result(0)) == ("other", "You stupid idiot, go home, friend.")
    opened.press("k", "e", "End")
    opened.page.keyboard.type(" Please.")
    opened.press("Control+Enter")
    assert opened.page.locator('.row[data-status="edited"]').count() == 1
    opened.press("/")
    opened.page.keyboard.type("ja")  # letters in a field are letters
    opened.expect_count("1 of 7 decided")
    opened.press("Escape", "?")
    assert opened.page.locator("#help").is_visible()
    opened.press("u")  # not behind a dialog
    opened.expect_count("1 of 7 decided")
    assert opened.page.locator('.row[data-status="edited"]').count() == 1
    opened.page.uncheck("#single-keys")
    opened.page.click("#help .close")
    opened.row(2).focus()
    opened.press("a")
    assert opened.status(2) == "unseen"


def test_a_text_can_be_edited(opened: Review) -> None:
    opened.row(7).locator(".edit-text").click()
    field = opened.row(7).locator("textarea")
    assert (field.get_attribute("dir"), field.input_value()) == ("rtl", ROWS[7][2])
    field.fill("  ")
    opened.row(7).get_by_text("Take this text").click()
    assert "cannot be taken" in opened.row(7).get_by_role("alert").inner_text()
    field.fill("אתה טועה")
    opened.show(order="file")  # half a text is not lost by what else is done
    assert opened.row(7).locator("textarea").input_value() == "אתה טועה"
    opened.row(7).get_by_text("Take this text").click()
    assert (opened.status(7), opened.result(7)) == ("edited", "אתה טועה")
    assert opened.figure(7) == "rude 90 % → not measured"
    opened.row(7).locator(".edit-text").click()
    opened.row(7).locator("textarea").fill("something else")
    opened.press("Escape")
    assert opened.result(7) == "אתה טועה"
    opened.row(7).locator(".edit-text").click()
    opened.row(7).locator("textarea").fill(ROWS[7][1])  # the original, typed again
    opened.press("Control+Enter")
    assert opened.status(7) == "kept"


def test_other_wordings_are_few_and_distinct(opened: Review) -> None:
    opened.row(0).locator(".others").click()
    found = opened.row(0).locator(".wording bdi").all_inner_texts()
    assert found == [ROWS[0][2], "You stupid idiot, go home, friend.", "You person, go home."]
    opened.row(0).locator(".wording").nth(2).click()
    assert (opened.status(0), opened.figure(0)) == ("other", "rude 90 % → 30 %")
    opened.row(0).locator("button.edit").nth(0).click()
    assert opened.status(0) == "partly"


def test_evil_texts_stay_texts(opened: Review) -> None:
    assert opened.result(3) == ROWS[3][2]
    assert opened.page.locator("img").count() == 0
    opened.row(3).locator(".edit-text").click()
    opened.row(3).locator("textarea").fill(EVIL)
    opened.press("Control+Enter")
    assert opened.result(3) == EVIL
    assert opened.page.evaluate("() => window.stolen === undefined")
    assert "in & out.csv" in opened.page.inner_text(".facts")


def test_filters_order_search_and_going_to_a_row(opened: Review) -> None:
    page = opened.page
    opened.expect_rows([3, 6, 0, 1, 2, 4, 7])  # still rude ones first
    for show, expected in [
        ("all", [3, 6, 0, 1, 2, 4, 5, 7]), ("rude", [3, 6]), ("unchanged", [6, 5]), ("decided", []),
    ]:  # fmt: skip
        opened.show(show=show)
        opened.expect_rows(expected)
    opened.show(show="all", order="file")
    opened.expect_rows(list(range(8)))
    opened.show(order="after")
    opened.expect_rows([6, 3, 0], first=3)
    opened.show(order="mild")
    opened.expect_rows([5], first=1)
    opened.show(order="file", lang="ar")
    opened.expect_rows([1])
    opened.show(lang="")
    for wanted, expected in [
        ("IDIOT", [0, 6]), ("uberlass", [6]), ("غَبِي", [1]), ("ゲーム", [2]), ("c-4", [4]),
        ("אידיוט", [7]), ("no such", []),
    ]:  # fmt: skip
        page.fill("[name=search]", wanted)
        page.press("[name=search]", "Enter")
        rows = f"1–{len(expected)} of {len(expected)} row{'s' * (len(expected) > 1)}"
        sync_api.expect(page.locator("#shown")).to_have_text(
            rows if expected else "No row is like that: 0 of 0 rows"
        )
        opened.expect_rows(expected)
    page.fill("[name=row]", "6")
    page.click("#go button")
    assert opened.row(5).evaluate("(row) => row === document.activeElement")
    assert page.input_value("[name=search]") == ""
    opened.row(0).locator(".keep").click()
    opened.show(show="unseen")
    opened.expect_rows([1, 2, 3, 4, 6, 7])
    opened.show(show="rude")
    opened.expect_rows([0, 3, 6])  # the kept original is rude


def test_the_rest_is_accepted_unread_only_after_a_question_that_counts(opened: Review) -> None:
    page = opened.page
    opened.row(0).locator(".accept").click()
    opened.row(1).locator(".keep").click()
    page.click("#menu summary")
    page.click("#rest")
    asked = page.inner_text("#rest-text")
    assert asked.startswith("4 suggestions")
    assert "1 of them is still rude" in asked
    page.click("#rest-dialog .close")
    opened.expect_count("2 of 7 decided")
    page.click("#menu summary")
    page.click("#rest")
    page.click("text=Accept 4 unread suggestions")
    opened.expect_count("6 of 7 decided")
    statuses = [opened.status(index) for index in (0, 1, 2, 3, 6)]
    assert statuses == ["accepted", "kept", "accepted-unread", "accepted-unread", "unseen"]
    opened.row(2).focus()
    opened.press("a")
    assert opened.status(2) == "accepted"  # now somebody has read it
    opened.press("u", "u")
    opened.expect_count("2 of 7 decided")
    page.click("#menu summary")
    page.click("#forget")
    page.click("text=Take back 2 decisions")
    opened.expect_count("0 of 7 decided")
    opened.press("u")
    opened.expect_count("2 of 7 decided")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_rows_are_compact_named_and_readable(
    browser: Any, site: Path, width: int, scheme: str
) -> None:
    opened = Review(browser, site, width=width, scheme=scheme)
    page = opened.page
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    heights = page.evaluate(
        "() => [...document.querySelectorAll('.row')].map((r) => r.offsetHeight)"
    )
    assert sorted(heights)[len(heights) // 2] < (145 if width == 1280 else 230)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea")]
        .filter((control) => control.checkVisibility())
        .filter((c) => !(c.labels?.length || c.ariaLabel || c.textContent.trim())).length"""
    )
    assert unnamed == 0
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 20
    assert min(contrasts) >= 4.5
    opened.close()


CONTRASTS = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3)
      .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(color)) return color;
    }
  };
  return [...document.querySelectorAll(".row *, .desk *, main > *")]
    .filter((e) => !e.disabled && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a))
    .map(([high, low]) => (high + 0.05) / (low + 0.05));
}"""


def test_json_has_the_edits() -> None:
    found = with_edits(RECORDS)[0]["edits"]
    assert [(e["start"], e["cut"], e["put"], e["score"]) for e in found] == [
        (4, "stupid idiot", "person", 0.8),
        (27, "moron", "friend", None),
    ]
    assert all(0 <= e["p_toxic"] <= 1 for e in found)
    assert len(edits(ROWS[5][1], ROWS[5][2], "en")) == 0
