"""What the review page downloads, and what it is given: against the command line's own output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from civilly import registry
from civilly.cli import app
from civilly.cli._review_rows import OTHER_WORDINGS, page_rows, proposals
from civilly.data.io import read_table
from civilly.methods.edits import apply
from review_pages import RECORDS, ROWS, Review, record, write_page

TEXTS = [
    'You "fucking" idiot,\tread\r\nthis, 😀 you moron.',
    "أنت غبي جدا يا حمار",
    "Where is the station?",
    "",
    "\ufeff=1+1 you damn fool",
]


def written(folder: Path, name: str) -> Path:
    """An input in some format, with other columns of every kind that the format has."""
    path = folder / name
    if path.suffix == ".jsonl":
        rows: list[dict[str, Any]] = [
            {"n": 12345678901234567890, "comment": text, "tags": ["a", {"b": 1.0}], "gone": None}
            for text in TEXTS
        ]
        rows[1] = {"comment": TEXTS[1], "lang": "ar", "x": "only here", "decision": "mine"}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".txt":
        path.write_text(
            "".join(f"{text.splitlines()[0] if text else ''}\n" for text in TEXTS), encoding="utf-8"
        )
    else:
        delimiter = "," if path.suffix == ".csv" else "\t"
        quoted = [text.replace('"', '""') for text in TEXTS]
        lines = [
            delimiter.join([f'"id {i}, x"', f'"{text}"', '"say ""hi"""', ""])
            for i, text in enumerate(quoted)
        ]
        header = delimiter.join(["id", "comment", "note", "rewritten"])
        path.write_bytes("".join(f"{line}\n" for line in [header, *lines]).encode())
    return path


def rewritten(path: Path, output: Path, page: Path) -> None:
    """``civilly rewrite`` with the method that needs no model."""
    arguments = ["rewrite", path, "-m", "delete", "-o", output, "--page", page]
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl", "txt"])
def test_all_accepted_is_what_the_output_is(browser: Any, tmp_path: Path, suffix: str) -> None:
    path, output = written(tmp_path, f"comments.{suffix}"), tmp_path / f"out.{suffix}"
    rewritten(path, output, tmp_path / "review.html")
    review = Review(browser, tmp_path / "review.html")
    table = read_table(review.download(tmp_path))
    text, column = (
        ("toxic_sentence", "neutral_sentence") if suffix == "txt" else ("comment", "rewritten")
    )
    assert [row[column] for row in table.rows] == [row[text] for row in table.rows]
    # Nothing was accepted, and a column of the input keeps its name.
    status = "decision_" if suffix == "jsonl" else "decision"
    assert {row[status] for row in table.rows} == {"unseen"}
    assert status in table.columns

    review.page.click("#menu summary")
    review.page.click("#rest")
    review.page.click("#rest-yes")
    made = review.download(tmp_path, "lines" if suffix == "txt" else None, status=False)
    assert made.name == f"comments.reviewed.{suffix}"
    assert made.read_bytes() == output.read_bytes()
    review.close()


LAYOUTS = {
    "excel.csv": '\ufeffsep=;\r\nid;comment;note\r\n1;"You ""damn"" idiot; go";x\r\n2;"fine";"q"',
    "quoted.csv": '"id","comment"\n"1","You idiot"\n"2","fine"\n',
    "mac.tsv": "id\tcomment\r1\tYou idiot\r2\tfine\r",
    "open.jsonl": '{"id": 1.0, "comment": "You \\u0069diot"}\r\n{"comment": "fine", "id": 1e400}',
    "last.csv": "comment\nYou idiot\nfine\n",
}
"""Files as programs write them: marks, separators, quotes, line ends, spellings."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_that_of_the_output(browser: Any, tmp_path: Path, name: str) -> None:
    source, output = tmp_path / name, (tmp_path / "out").with_suffix(Path(name).suffix)
    source.write_bytes(LAYOUTS[name].encode())
    rewritten(source, output, tmp_path / "review.html")
    review = Review(browser, tmp_path / "review.html")
    review.show(show="all")
    for number in (0, 1):
        accept = review.row(number).locator(".accept")
        (accept if accept.count() else review.row(number).locator(".keep")).click()
    assert review.download(tmp_path, status=False).read_bytes() == output.read_bytes()
    review.close()


def test_the_download_has_the_decisions_in_their_place(browser: Any, tmp_path: Path) -> None:
    review = Review(browser, write_page(tmp_path, RECORDS))
    review.page.click("#finish")
    assert review.page.inner_text("#finish-open").startswith("7 rows still wait")
    review.page.click("#finish-dialog .close")
    review.row(0).locator("button.edit").nth(0).click()
    review.row(1).locator(".accept").click()
    review.row(2).locator(".keep").click()
    review.row(4).locator(".edit-text").click()
    edited = 'a "quoted",\n\nlady\u202e;\ttoo'
    review.row(4).locator("textarea").fill(edited)
    review.press("Control+Enter")
    path = review.download(tmp_path)
    assert path.name == "in & out.reviewed.csv"
    table = read_table(path)
    texts = [text for _, text, _ in ROWS]
    assert [row["comment"] for row in table.rows] == texts
    decided = {0: "You stupid idiot, go home, friend.", 1: ROWS[1][2], 4: edited}
    assert [row["rewritten"] for row in table.rows] == [
        decided.get(i, text) for i, text in enumerate(texts)
    ]
    assert [row["decision"] for row in table.rows] == [
        "partly", "accepted", "kept", "unseen", "edited", "unseen", "unseen", "unseen",
    ]  # fmt: skip
    assert [row["id"] for row in table.rows] == [f"c-{i}" for i in range(len(ROWS))]
    assert {row["note"] for row in table.rows} == {'say, "hi"'}
    review.page.click("#finish")
    said = review.page.inner_text("#finish-decided")
    assert said == "Decided: 1 accepted, 1 accepted in part, 1 edited, 1 original kept."
    review.page.click("#finish-dialog .close")
    review.close()


def test_line_ends_of_windows_survive_editing(browser: Any, tmp_path: Path) -> None:
    review = Review(browser, write_page(tmp_path, [record(0, "en", "you\r\nfool", "you\r\nman")]))
    review.row(0).locator(".edit-text").click()
    review.press("Control+Enter")
    assert review.status(0) == "accepted"
    review.row(0).locator(".edit-text").click()
    review.row(0).locator("textarea").fill("you\nlady")
    review.press("Control+Enter")
    table = read_table(review.download(tmp_path))
    assert table.rows[0]["rewritten"] == "you\r\nlady"
    review.close()


def test_nine_thousand_rows(browser: Any, tmp_path: Path) -> None:
    many = [
        record(8, "en", f"You idiot number {i}, go home.", f"You number {i}, go home.")
        for i in range(9000)
    ]
    site = write_page(tmp_path, many)
    assert site.stat().st_size < 3_300_000
    review = Review(browser, site)
    assert review.page.inner_text("#count") == "0 of 9,000 decided"
    assert review.page.locator(".row").count() == 50
    review.page.fill("[name=row]", "8999")
    review.page.click("#go button")
    review.press("a", "r")
    assert (review.status(8998), review.status(8999)) == ("accepted", "kept")
    review.page.fill("[name=search]", "NUMBER 77,")
    review.page.press("[name=search]", "Enter")
    review.expect_rows([77])
    review.reload()
    assert review.page.inner_text("#count") == "2 of 9,000 decided"
    rows = read_table(review.download(tmp_path)).rows
    assert [i for i, row in enumerate(rows) if row["rewritten"] != row["comment"]] == [8998]
    assert [row["decision"] for row in rows[-2:]] == ["accepted", "kept"]
    review.close()


@given(
    st.lists(st.sampled_from(["a", "idiot", "😀", "é", "שלום", "𝔘𝔫", "."]), min_size=1, max_size=9),
    st.lists(st.sampled_from(["a", "man", "😀", "שלום", "𝔘"]), max_size=9),
)
def test_places_are_those_of_scripts(before: list[str], after: list[str]) -> None:
    text, wording = " ".join(before), " ".join(after)
    rows = [record(0, "en", text, wording)]
    rows[0]["before"]["spans"] = [{"start": 0, "end": len(text), "score": 0.8}]
    found = page_rows(rows, proposals(rows, registry.create("detect", "toxicity", None)))
    assert found[0][3] == [[0, len(text.encode("utf-16-le")) // 2]]
    if text == wording:
        assert found[0][5] == []
        return
    units = text.encode("utf-16-le")
    result, place = b"", 0
    for start, end, put in found[0][5][0][0]:
        result += units[2 * place : 2 * start] + put.encode("utf-16-le")
        place = end
    assert (result + units[2 * place :]).decode("utf-16-le") == wording


def test_wordings_that_are_offered_are_civiler_whole_and_not_refused() -> None:
    made = record(0, "en", "  You idiot.\n", "  You.\n", [])

    def candidate(
        text: str, civility: float = 0.7, refused: str | None = None, place: Any = (2, 12)
    ) -> dict[str, Any]:
        scores = {"civility": civility, "refused": refused}
        return {"text": text, "method": "x", "place": place, "scores": scores}

    made["candidates"] = [
        candidate("You."), candidate("you"), candidate("You fool.", 0.05),
        candidate("No.", 0.9, "odd"),
        *(candidate(f"You person {i}.") for i in range(5)),
    ]  # fmt: skip
    detector = registry.create("detect", "toxicity", None)
    row = page_rows([made], proposals([made], detector))[0][5]
    assert len(row) == 1 + OTHER_WORDINGS
    assert [put for changes, _, _ in row[1:] for _, _, put in changes] == [
        f"person {i}" for i in range(OTHER_WORDINGS)
    ]
    # Of several sentences, those of a single one are wordings of the text, and of two are not.
    made["text"] = made["rewritten"] = "Hello.\nYou idiot.\nYou idiot."
    made["changed"] = False
    made["candidates"] = [candidate("You person.", place=[7, 17])]
    ((proposal,),) = proposals([made], detector)
    assert apply(made["text"], proposal.edits) == "Hello.\nYou person.\nYou idiot."
    made["candidates"].append(candidate("You person.", place=[18, 28]))
    assert proposals([made], detector) == [[]]
