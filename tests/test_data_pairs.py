"""Pairs and labelled texts are read whole, and their mistakes named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from civilly.data.pairs import LabelledText, Pair, data_folder, read_labelled, read_pairs
from civilly.data.split import dev_part
from civilly.errors import DataError
from civilly.languages import PARALLEL_CODES


def test_the_dev_pairs(shared_data: Path) -> None:
    pairs = read_pairs(shared_data / "parallel" / "multiparadetox_dev.jsonl.gz")
    assert len(pairs) == 3586
    assert {pair.lang for pair in pairs} == set(PARALLEL_CODES)
    assert pairs[0].id == "td24-dev-en-000"
    assert pairs[0].neutral == ("All of a sudden i see her, she is all grown up.",)


def test_labelled_texts(shared_data: Path) -> None:
    rows = read_labelled(shared_data / "toxicity" / "davidson_en.jsonl.gz")
    assert len(rows) == 8244
    assert sum(row.label for row in rows) == 4122


def test_the_shared_tasks_table_is_read_as_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("toxic_sentence\tneutral_sentence\tlang\nfool\tperson\ten\n", encoding="utf-8")
    assert read_pairs(path) == [Pair("1", "en", "fool", ("person",), "pairs.tsv", "")]


def test_several_references_in_a_table_without_types(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(
        'toxic\tneutral\tlang\nfool\t"[""one"", ""two""]"\ten\nfool\t[sic] person\ten\n',
        encoding="utf-8",
    )
    assert [pair.neutral for pair in read_pairs(path)] == [("one", "two"), ("[sic] person",)]
    columns = {"neutral": ["neutral", "more"], "id": "name"}
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        '{"toxic": "fool", "neutral": "a", "more": null, "name": "x", "lang": "en"}\n'
        '{"toxic": "fool", "neutral": "", "more": ["b", "c"], "name": 0, "lang": "en"}\n'
    )
    assert read_pairs(path, columns, "de") == [
        Pair("x", "de", "fool", ("a",), "pairs.jsonl"),
        Pair("0", "de", "fool", ("b", "c"), "pairs.jsonl"),
    ]
    with pytest.raises(DataError, match=r"row 1: expected a string, got null"):
        read_pairs(path, {"neutral": "more"})


def test_labels_from_a_table_without_types(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("text,label,lang\nfool,1,en\nfriend,0,en\n", encoding="utf-8")
    assert read_labelled(path)[0] == LabelledText("fool", 1, "en", "labels.csv")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{"text": "a", "label": 2, "lang": "en"}', ["row 2", "0 or 1", "2"]),
        ('{"text": "a", "lang": "en"}', ["row 2", "'label'"]),
        ('{"text": null, "label": 1, "lang": "en"}', ["row 2", "string", "null"]),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, words: list[str]) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"text": "a", "label": 0, "lang": "en"}\n' + row + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_labelled(path)
    assert all(word in str(caught.value) for word in ["labels.jsonl", *words])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("toxic\tlang\na\ten\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no column 'neutral'.*'toxic', 'lang'"):
        read_pairs(path)


def test_the_split_is_by_hash_and_has_the_stated_shares() -> None:
    ids = [f"row-{number}" for number in range(4000)]
    parts = [dev_part(row_id) for row_id in ids]
    for row_id, part in zip(ids[:200], parts, strict=False):
        last_digits = int.from_bytes(hashlib.sha1(row_id.encode()).digest(), "big") % 20
        assert part == ("eval" if last_digits <= 4 else "tune" if last_digits <= 6 else "train")
    assert abs(parts.count("eval") / 4000 - 0.25) < 0.03
    assert abs(parts.count("tune") / 4000 - 0.10) < 0.03


def test_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVILLY_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    with pytest.raises(DataError, match="CIVILLY_DATA"):
        data_folder(tmp_path / "none")
