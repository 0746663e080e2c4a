"""The page on which rewrites are reviewed, in a real browser, opened from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civilly.cli._review import review_page, with_edits
from civilly.data.io import read_table
from civilly.methods.edits import edits
from opened_page import Opened, sync_api

EVIL = "</script><script>window.stolen = 1</script><img src='http://127.0.0.1:9/x' onerror='x'>"
ROWS = [
    ("en", "You stupid idiot, go home, moron.", "You person, go home, friend."),
    ("ar", "أنت غبي جدا", "أنت مخطئ جدا"),
    ("ja", "😀このクソゲームは遅い", "😀このゲームは遅い"),
    ("en", f"damn {EVIL}", f"dear {EVIL}"),
    ("en", 'a "quoted"\tfool\u202e', 'a "quoted"\tman\u202e'),
    ("en", "Nothing was wrong here.", "Nothing was wrong here."),
]


def record(lang: str, text: str, rewritten: str) -> dict[str, Any]:
    return {
        "text": text,
        "rewritten": rewritten,
        "lang": lang,
        "changed": text != rewritten,
        "method": "infill",
        "filler": "fim",
        "reason": "it is <b>better</b>",
        "before": {"p_toxic": 0.9, "spans": [{"start": 4, "end": 10, "score": 0.8}]},
        "after": {"p_toxic": 0.1, "spans": []},
    }


RECORDS = [record(*row) for row in ROWS]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    site = tmp_path / "review.html"
    site.write_text(review_page(RECORDS, "<in>.tsv"), encoding="utf-8")
    opened = Opened(browser, site)
    yield opened
    opened.context.close()
    assert opened.complaints == []
    # What the reader downloads is made in the page.
    assert [url for url in opened.requests if not url.startswith("blob:")] == [site.as_uri()]


def row(opened: Opened, number: int) -> Any:
    return opened.page.locator(f'.row[data-row="{number}"]')


def test_texts_are_blurred_until_asked_for(opened: Opened) -> None:
    rows = opened.page.locator("#rows")
    assert rows.get_attribute("aria-hidden") == "true"
    opened.page.click("#reveal")
    assert rows.get_attribute("aria-hidden") == "false"
    assert row(opened, 1).locator("bdi").first.get_attribute("dir") == "rtl"


def test_each_edit_can_be_rejected_and_accepted(opened: Opened) -> None:
    buttons = row(opened, 0).locator("button.edit")
    result = row(opened, 0).locator(".result")
    assert buttons.count() == 2
    assert result.inner_text() == "You person, go home, friend."
    buttons.nth(0).click()
    assert buttons.nth(0).get_attribute("aria-pressed") == "false"
    assert result.inner_text() == "You stupid idiot, go home, friend."
    row(opened, 0).get_by_text("Reject all").click()
    assert result.inner_text() == ROWS[0][1]
    assert opened.page.inner_text("#count").startswith("4 of 6 ")
    why = row(opened, 0).locator("#" + str(buttons.nth(0).get_attribute("aria-describedby")))
    assert ".80" in why.inner_text()


def test_the_keyboard_alone_is_enough(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    assert row(opened, 0).locator(".result").inner_text() == "You person, go home, moron."
    page.keyboard.press("r")
    assert row(opened, 0).locator(".result").inner_text() == ROWS[0][1]
    page.keyboard.press("k")
    page.keyboard.press("a")
    assert row(opened, 0).locator(".result").inner_text() == ROWS[0][2]


def test_the_download_is_the_submission(opened: Opened, tmp_path: Path) -> None:
    row(opened, 0).locator("button.edit").nth(0).click()
    with opened.page.expect_download() as waiting:
        opened.page.click("#download")
    path = tmp_path / "reviewed.tsv"
    waiting.value.save_as(path)
    table = read_table(path)
    expected = [rewritten for _, _, rewritten in ROWS]
    expected[0] = "You stupid idiot, go home, friend."
    assert [r["neutral_sentence"] for r in table.rows] == expected
    assert [r["toxic_sentence"] for r in table.rows] == [text for _, text, _ in ROWS]
    assert [r["lang"] for r in table.rows] == [lang for lang, _, _ in ROWS]


def test_evil_texts_stay_texts(opened: Opened) -> None:
    assert row(opened, 3).locator(".result").inner_text() == ROWS[3][2]
    assert opened.page.locator("img").count() == 0
    assert opened.page.evaluate("() => window.stolen === undefined")
    assert "<in>.tsv" in opened.page.inner_text(".facts")


def test_filters(opened: Opened) -> None:
    page = opened.page
    sync_api.expect(page.locator("#shown")).to_have_text("1–5 of 5 rows")
    page.uncheck("[name=changed]")
    sync_api.expect(page.locator("#shown")).to_have_text("1–6 of 6 rows")
    page.select_option("[name=lang]", "ar")
    sync_api.expect(page.locator("#shown")).to_have_text("1–1 of 1 rows")


def test_json_has_the_edits() -> None:
    found = with_edits(RECORDS)[0]["edits"]
    assert [(e["start"], e["cut"], e["put"], e["score"]) for e in found] == [
        (4, "stupid idiot", "person", 0.8),
        (27, "moron", "friend", None),
    ]
    assert all(0 <= e["p_toxic"] <= 1 for e in found)
    assert len(edits(ROWS[5][1], ROWS[5][2], "en")) == 0
