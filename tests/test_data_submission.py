"""Submissions beside their references, against a plain join written out here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.alignment import AlignedRow, align, align_alone
from civilly.data.submission import (
    ReferenceRow,
    SubmittedRow,
    read_references,
    read_submission,
)
from civilly.errors import DataError


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def submitted(*rows: tuple[str, str | None], lang: str = "en") -> list[SubmittedRow]:
    return [SubmittedRow(n, lang, toxic, output) for n, (toxic, output) in enumerate(rows, 1)]


def asked(*rows: tuple[str, str], lang: str = "en") -> list[ReferenceRow]:
    return [ReferenceRow(n, lang, toxic, (ref,)) for n, (toxic, ref) in enumerate(rows, 1)]


def outputs(rows: list[AlignedRow]) -> list[tuple[str, str | None]]:
    return [(row.toxic, row.output) for row in rows]


def test_the_shared_tasks_columns_and_those_of_published_outputs(tmp_path: Path) -> None:
    task = write(
        tmp_path / "a.tsv", "toxic_sentence\tneutral_sentence\tlang", "bad\tgood\ten", "x\ty\tDE"
    )
    other = write(tmp_path / "b.csv", "id,lang,toxic,output", "7,en,bad,good", "8,de,x,y")
    lines = write(
        tmp_path / "c.jsonl",
        '{"text": "bad", "rewritten": "good", "lang": "en"}',
        '{"text": "x", "rewritten": "y", "lang": "German"}',
    )
    expected = [SubmittedRow(1, "en", "bad", "good"), SubmittedRow(2, "de", "x", "y")]
    for path in (task, other, lines):
        assert read_submission(path) == (expected, [])


def test_parquet(tmp_path: Path) -> None:
    from civilly.data.io import write_table
    from civilly.data.table import Table

    rows = [
        {"toxic": "bad", "output": None, "lang": "en"},
        {"toxic": "x", "output": "NA", "lang": "en"},
    ]
    write_table(tmp_path / "s.parquet", Table(["toxic", "output", "lang"], rows, "parquet"))
    found, _ = read_submission(tmp_path / "s.parquet")
    assert [row.output for row in found] == [None, "NA"]  # a string in Parquet is a string


def test_pandas_reads_these_words_as_nan_in_tsv_only(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.tsv", "toxic\toutput\tlang",
        "a\t\ten", "b\tnull\ten", "c\tNone\ten", 'd\t"NA"\ten', "e\tNone of it\ten", "f\t \ten",
    )  # fmt: skip
    rows, _ = read_submission(path)
    assert [row.output for row in rows] == [None, None, None, None, "None of it", " "]
    lines = write(tmp_path / "s.jsonl", '{"toxic": "a", "output": "None", "lang": "en"}')
    assert read_submission(lines)[0][0].output == "None"


def test_missing_columns_and_languages_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column holds the rewrite.*neutral_sentence"):
        read_submission(write(tmp_path / "a.tsv", "toxic_sentence\tlang", "bad\ten"))
    with pytest.raises(DataError, match=r"unknown|no language code of ours in row 2, first 'xx'"):
        read_submission(write(tmp_path / "b.tsv", "toxic\toutput\tlang", "a\tb\ten", "c\td\txx"))
    no_language = write(tmp_path / "c.tsv", "toxic\toutput", "a\tb")
    with pytest.raises(DataError, match="--lang"):
        read_submission(no_language)
    assert read_submission(no_language, "ru")[0][0].lang == "ru"


def test_references_one_several_or_none(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tsv", "toxic_sentence\tneutral_sentence\tlang", "bad\tgood\ten")
    several = write(tmp_path / "b.jsonl", '{"lang": "en", "toxic": "bad", "neutral": ["g", "h"]}')
    inputs = write(tmp_path / "c.tsv", "toxic_sentence\tlang", "bad\ten")
    holes = write(tmp_path / "d.tsv", "toxic\tneutral\tlang", "a\tb\ten", "c\t\ten")
    assert read_references(one)[0] == [ReferenceRow(1, "en", "bad", ("good",))]
    assert read_references(several)[0][0].references == ("g", "h")
    assert read_references(inputs)[0][0].references == ()
    with pytest.raises(DataError, match=r"1 rows have no reference \(row 2\)"):
        read_references(holes)


def test_the_order_of_the_submission_does_not_matter() -> None:
    found = align(
        submitted(("b", "B"), ("c", "C"), ("a", "A")), asked(("a", "1"), ("b", "2"), ("c", "3"))
    )
    assert outputs(found.rows) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert [row.references for row in found.rows] == [("1",), ("2",), ("3",)]
    assert found.report.as_dict() == {"reordered": [3]}


def test_the_same_sentence_in_two_languages_is_two_sentences() -> None:
    rows = [*submitted(("no", "N"), lang="en"), SubmittedRow(2, "es", "no", "S")]
    references = [ReferenceRow(1, "es", "no"), ReferenceRow(2, "en", "no")]
    assert [row.output for row in align(rows, references).rows] == ["S", "N"]


def test_duplicates_join_as_pandas_joins_them() -> None:
    found = align(
        submitted(("a", "1"), ("b", "2"), ("a", "3")), asked(("a", "x"), ("a", "y"), ("b", "z"))
    )
    assert [(row.output, row.references[0]) for row in found.rows] == [
        ("1", "x"), ("3", "x"), ("1", "y"), ("3", "y"), ("2", "z"),
    ]  # fmt: skip
    assert found.report.duplicated == [3]
    assert found.report.repeated == [2]


def test_missing_empty_and_extra_rows_are_refused_with_their_numbers() -> None:
    rows = submitted(("a", "A"), ("b", None), ("z", "Z"))
    references = asked(("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"))
    with pytest.raises(DataError) as caught:
        align(rows, references)
    message = str(caught.value)
    assert "2 missing in the submission (references, rows 3, 4)" in message
    assert "1 with an empty or NaN rewrite (submission, row 2)" in message
    assert "1 that the references do not ask for (submission, row 3)" in message
    assert "--mismatch zero" in message
    zero = align(rows, references, "zero").rows
    assert outputs(zero) == [("a", "A"), ("b", None), ("c", None), ("d", None)]
    assert outputs(align(rows, references, "skip").rows) == [("a", "A")]


def test_a_repeated_row_too_many_is_refused_as_extra() -> None:
    with pytest.raises(DataError, match=r"do not ask for \(submission, row 2\)"):
        align(submitted(("a", "A"), ("a", "B")), asked(("a", "1")))


def test_white_space_is_forgiven_and_reported() -> None:
    found = align(submitted(("a b", "1"), ("c", "2")), asked((" a  b\n", "x"), ("c", "y")))
    assert outputs(found.rows) == [(" a  b\n", "1"), ("c", "2")]
    assert found.report.as_dict() == {"whitespace": [1]}


def test_sentences_that_differ_in_white_space_only_are_paired_in_order() -> None:
    found = align(
        submitted(("a b", "first"), ("a b", "second")), asked(("a  b", "x"), ("a b", "y"))
    )
    assert sorted(outputs(found.rows)) == [("a  b", "second"), ("a b", "first")]
    assert found.report.whitespace == [2]


def test_a_submission_alone() -> None:
    rows = submitted(("a", "A"), ("a", "A"), ("b", None))
    with pytest.raises(DataError, match="row 3"):
        align_alone(rows)
    assert outputs(align_alone(rows, "zero").rows) == [("a", "A"), ("a", "A"), ("b", None)]
    assert outputs(align_alone(rows, "skip").rows) == [("a", "A"), ("a", "A")]


few = st.sampled_from(["a", "b", "c d", "c  d", " a"])
rewrites = st.sampled_from(["1", "2", "3"])


@given(st.lists(st.tuples(few, rewrites), max_size=6), st.lists(few, max_size=6))
def test_where_the_official_scorer_gives_a_number_the_rows_are_its_own(
    rows: list[tuple[str, str]], sentences: list[str]
) -> None:
    references = asked(*[(s, f"r{n}") for n, s in enumerate(sentences)])
    # pandas.merge(references, submission, how="left"), written out.
    joined = [
        (s, output, f"r{n}")
        for n, s in enumerate(sentences)
        for toxic, output in rows
        if toxic == s
    ]
    official = len(rows) == len(sentences) and set(sentences) <= {toxic for toxic, _ in rows}
    if official:
        found = align(submitted(*rows), references).rows
        assert [(row.toxic, row.output, row.references[0]) for row in found] == joined
    kept = align(submitted(*rows), references, "zero").rows
    order = [row.references[0] for row in kept]
    assert list(dict.fromkeys(order)) == [f"r{n}" for n in range(len(sentences))]
    spelled = {(" ".join(toxic.split()), output) for toxic, output in rows}
    assert all((" ".join(r.toxic.split()), r.output) in spelled for r in kept if r.output)
