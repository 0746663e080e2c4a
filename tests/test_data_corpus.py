"""Training pairs: harmonised, split, leak-checked, the same each time."""

import gzip
import json

import pytest

from civilly.data.corpus import build_corpus, evaluation_texts, without_leaks
from civilly.data.harmonise import detokenise, harmonise
from civilly.data.pairs import Pair
from civilly.data.split import dev_part
from civilly.errors import DataError, LeakError


@pytest.mark.parametrize(
    ("toxic", "neutral", "expected"),
    [
        ("you are a fool", "You are wrong.", "you are wrong"),
        ("You fool!", "you are wrong", "You are wrong!"),
        ("go away 😡😡", "Leave.", "leave 😡😡"),
        ("что за хрень", "Что это такое?", "что это такое?"),
        ("so dumb", "I see", "I see"),
        ("dumb!!!", "NASA is wrong.", "NASA is wrong!!!"),
        ("坏蛋", "不好", "不好"),
    ],
)
def test_a_reference_takes_the_habits_of_its_source(toxic, neutral, expected):
    assert harmonise(toxic, neutral) == expected


def test_penn_treebank_spacing_is_undone():
    text = "i do n't know , that 's ( maybe ) `` odd '' ."
    assert detokenise(text) == "i don't know, that's (maybe) \" odd \"."


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "parallel"
    folder.mkdir()
    plain = [f"sentence {'abcdefghij'[i % 10] * 3} number {i}" for i in range(60)]
    rows = [
        {"id": f"dev-{i}", "lang": "en", "toxic": f"{t} idiot", "neutral": [t], "split": "dev"}
        for i, t in enumerate(plain)
    ]
    with gzip.open(folder / "multiparadetox_dev.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path


def recipe(**source):
    return {
        "seed": 1,
        "corpus": {
            "longest_characters": 200,
            "sources": [{"name": "dev", "kind": "pairs", "dev_split": True,
                         "path": "parallel/multiparadetox_dev.jsonl.gz", **source}],
        },
    }  # fmt: skip


def test_held_out_parts_are_never_trained_on(data):
    corpus = build_corpus(recipe(), data)
    assert {dev_part(pair.id) for pair in corpus} == {"train"}
    assert 0 < len(corpus) < 60
    assert build_corpus(recipe(), data) == corpus


def test_repeat_and_limit(data):
    once = build_corpus(recipe(), data)
    assert len(build_corpus(recipe(repeat=2), data)) == 2 * len(once)
    assert len(build_corpus(recipe(limit=5), data)) == 5


def test_leaks_are_taken_out():
    pairs = [Pair("1", "en", "You are such a fool, honestly!", ("no",), "x"),
             Pair("2", "en", "Quite another sentence here", ("no",), "x")]  # fmt: skip
    evaluation = ["you are such a fool honestly"]
    kept, count = without_leaks(pairs, evaluation, take_out=True)
    assert [pair.id for pair in kept] == ["2"]
    assert count == 1
    with pytest.raises(LeakError, match=r"1 training row repeats .* x 1\.") as caught:
        without_leaks(pairs, evaluation, take_out=False)
    assert "--take-out-leaks" in caught.value.mend
    assert without_leaks(kept, evaluation, take_out=False) == (kept, 0)


def test_evaluation_texts_hold_the_held_out_rows(data):
    texts = evaluation_texts(data, None)
    trained = {pair.toxic for pair in build_corpus(recipe(), data)}
    assert texts
    assert not trained & set(texts)
    assert len(trained) + len(texts) == 60


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file .*multiparadetox_dev\.jsonl\.gz"):
        build_corpus(recipe(), tmp_path)


def test_an_unknown_kind_is_named(data):
    with pytest.raises(DataError, match="kind 'magic'"):
        build_corpus(recipe(kind="magic"), data)
