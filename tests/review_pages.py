"""Review pages to open, and what a test asks of an opened one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from civilly.cli._review import review_page
from civilly.cli._source import open_source
from civilly.data.io import write_table
from civilly.data.table import Table
from opened_page import Opened, sync_api

EVIL = "</script><script>window.stolen = 1</script><img src='http://127.0.0.1:9/x' onerror='x'>"
ROWS: list[tuple[str, str, str]] = [
    ("en", "You stupid idiot, go home, moron.", "You person, go home, friend."),
    ("ar", "أنت غبي جدا", "أنت مخطئ جدا"),
    ("ja", "😀このクソゲームは遅い", "😀このゲームは遅い"),
    ("en", f"damn {EVIL}", f"dear {EVIL}"),
    ("en", 'a "quoted"\tfool\u202e,\nreally', 'a "quoted"\tman\u202e,\nreally'),
    ("en", "Nothing was wrong here.", "Nothing was wrong here."),
    ("de", "Du Vollidiot, Überlaß das anderen.", "Du Vollidiot, Überlaß das anderen."),
    ("he", "אתה אידיוט גמור", "אתה טועה גמור"),
]
OTHERS = {
    0: ["You stupid idiot, go home, friend.", "You person, go home.", "you person, GO home!"],
    6: ["Überlaß das anderen."],
}
AFTER = {3: 0.8, 6: 0.9}
"""p(toxic) of the output, where it is not .1."""


def record(
    number: int, lang: str, text: str, rewritten: str, others: list[str] | None = None
) -> dict[str, Any]:
    """A record of ``civilly rewrite``, as `civilly.cli.rewrite` makes it."""
    before = 0.9 if text != "Nothing was wrong here." else 0.02
    wordings = ([rewritten] if rewritten != text else []) + (others or [])
    return {
        "text": text,
        "rewritten": rewritten,
        "lang": lang,
        "changed": text != rewritten,
        "method": "tuned",
        "reason": "best product of civility, similarity and fluency",
        "before": {"p_toxic": before, "spans": [{"start": 4, "end": 10, "score": 0.8}]},
        "after": {"p_toxic": AFTER.get(number, min(before, 0.1)), "spans": []},
        "candidates": [
            {
                "text": wording,
                "method": "tuned",
                "place": None,
                "scores": {"civility": 0.7, "refused": None},
            }
            for wording in wordings
        ],
    }


RECORDS = [record(number, *row, OTHERS.get(number)) for number, row in enumerate(ROWS)]


def write_page(folder: Path, records: list[dict[str, Any]], name: str = "in & out.csv") -> Path:
    """A page for records, whose input has an id and a note beside text and language."""
    columns = ["id", "comment", "lang", "note"]
    rows = [
        {"id": f"c-{i}", "comment": r["text"], "lang": r["lang"], "note": 'say, "hi"'}
        for i, r in enumerate(records)
    ]
    path = folder / name
    write_table(path, Table(columns, rows, "csv"))
    site = folder / "review.html"
    site.write_text(review_page(records, open_source(str(path), "auto")), encoding="utf-8")
    return site


class Review(Opened):
    """An opened review page, with its texts shown."""

    def __init__(self, browser: Any, site: Path, **options: Any) -> None:
        super().__init__(browser, site, **options)
        self.site = site
        self.page.click("#reveal")

    def row(self, index: int) -> Any:
        return self.page.locator(f'.row[data-row="{index}"]')

    def status(self, index: int) -> str:
        return str(self.row(index).get_attribute("data-status"))

    def result(self, index: int) -> str:
        return str(self.row(index).locator(".result bdi").inner_text())

    def figure(self, index: int) -> str:
        return str(self.row(index).locator(".figure > [aria-hidden]").inner_text())

    def expect_rows(self, expected: list[int], first: int | None = None) -> None:
        """Waits until these rows, or these first, are shown: the page may draw them later."""
        self.page.wait_for_function(
            """([expected, first]) => [...document.querySelectorAll(".row")]
            .slice(0, first ?? undefined).map((row) => row.dataset.row).join() === expected""",
            arg=[",".join(map(str, expected)), first],
        )

    def expect_count(self, text: str) -> None:
        sync_api.expect(self.page.locator("#count")).to_have_text(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def reload(self) -> None:
        self.page.reload()
        self.page.locator(".row").first.wait_for(state="attached")
        self.page.click("#reveal")

    def show(self, **chosen: str) -> None:
        for name, value in chosen.items():
            self.page.select_option(f"#filters [name={name}]", value)

    def download(self, folder: Path, format_name: str | None = None, status: bool = True) -> Path:
        """The reviewed file, under the name that the page gives it."""
        self.page.click("#finish")
        if format_name:
            self.page.select_option("#format", format_name)
        if self.page.is_enabled("#with-status"):  # plain lines have no room for it
            self.page.set_checked("#with-status", status)
        return self.saved(folder, "#download")

    def saved(self, folder: Path, button: str) -> Path:
        with self.page.expect_download() as waiting:
            self.page.click(button)
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []
        # What is downloaded is made in the page.
        assert {url for url in self.requests if not url.startswith("blob:")} == {self.site.as_uri()}
