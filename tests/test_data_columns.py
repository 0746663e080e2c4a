"""Columns are recognised, languages read generously, rewrites put where they belong."""

from __future__ import annotations

import pytest

from civilly.data.columns import languages_of, recognize, texts_of, with_rewrites
from civilly.data.table import Table
from civilly.errors import DataError
from civilly.languages import AUTO


def table(*rows: dict[str, object], format_name: str = "jsonl") -> Table:
    columns = dict.fromkeys(name for row in rows for name in row)
    return Table(list(columns), list(rows), format_name)


@pytest.mark.parametrize(
    ("columns", "text", "lang", "rewrite"),
    [
        (["toxic_sentence", "lang"], "toxic_sentence", "lang", "neutral_sentence"),
        (["id", "lang", "toxic", "neutral"], "toxic", "lang", "neutral"),
        (["comment", "text"], "text", None, "rewritten"),
        (["ID", "Comment", "Language"], "Comment", "Language", "rewritten"),
        (["anything"], "anything", None, "rewritten"),
    ],
)
def test_columns_are_recognised(
    columns: list[str], text: str, lang: str | None, rewrite: str
) -> None:
    roles = recognize(Table(columns, [], "jsonl"), "x")
    assert (roles.text, roles.lang, roles.rewrite) == (text, lang, rewrite)


def test_a_chosen_column_wins() -> None:
    roles = recognize(Table(["text", "b", "c"], [], "csv"), "x", text_column="b", lang_column="c")
    assert (roles.text, roles.lang) == ("b", "c")


def test_wrong_columns_are_refused_by_name() -> None:
    with pytest.raises(DataError) as caught:
        recognize(Table(["a", "b"], [], "tsv"), "x.tsv")
    message = str(caught.value)
    assert all(word in message for word in ("x.tsv", "'a', 'b'", "--text-column", "toxic_sentence"))
    with pytest.raises(DataError, match=r"no column 'c'.*'a', 'b'.*--lang-column"):
        recognize(Table(["a", "b"], [], "tsv"), "x.tsv", text_column="a", lang_column="c")


def test_a_file_without_header_loses_no_row() -> None:
    with pytest.raises(DataError, match="header line"):
        recognize(Table(["You fool"], [{"You fool": "You idiot"}], "csv"), "x.csv")


def test_unknown_languages_are_reported_by_row_and_detected() -> None:
    read = table({"text": "a", "lang": "en"}, {"text": "b", "lang": "klingon"}, {"text": "c"})
    codes, problems = languages_of(read, recognize(read, "x"))
    assert codes == ["en", AUTO, AUTO]
    assert [problem.row for problem in problems] == [2]
    assert "klingon" in problems[0].what


def test_texts_that_are_not_strings() -> None:
    read = table({"text": None}, {"text": 7}, {"text": ["a"]}, {"other": 1}, {"text": "fine"})
    texts, problems = texts_of(read, recognize(read, "x"))
    assert texts == ["", "7", '["a"]', "", "fine"]
    assert [problem.row for problem in problems] == [1, 2, 3, 4]


def test_the_rewrite_stands_beside_the_text_and_all_others_stay_in_their_places() -> None:
    read = table({"id": 7, "lang": "en", "toxic_sentence": "x"}, {"toxic_sentence": "y", "id": 8})
    written = with_rewrites(read, recognize(read, "x"), ["X", "Y"], ["en", "ru"])
    assert written.columns == ["id", "lang", "toxic_sentence", "neutral_sentence"]
    assert written.rows == [
        {"id": 7, "lang": "en", "toxic_sentence": "x", "neutral_sentence": "X"},
        {"id": 8, "lang": "ru", "toxic_sentence": "y", "neutral_sentence": "Y"},
    ]


def test_references_are_not_overwritten() -> None:
    read = table({"toxic": "x", "neutral": ["reference"], "neutral_before": 1})
    written = with_rewrites(read, recognize(read, "x"), ["X"], ["en"])
    assert written.rows == [
        {"toxic": "x", "neutral": "X", "lang": "en", "neutral_before_": ["reference"],
         "neutral_before": 1}
    ]  # fmt: skip
    assert set(written.columns) == set(written.rows[0])


def test_a_stated_language_stays_as_it_is() -> None:
    read = table({"text": "x", "lang": "klingon"})
    written = with_rewrites(read, recognize(read, "x"), ["X"], ["en"])
    assert written.rows[0]["lang"] == "klingon"
