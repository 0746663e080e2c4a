"""Holes that a cut leaves, and how the table of strangers is counted."""

import gzip
import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.pairs import Pair
from civilly.languages import CODES
from civilly.select.seams import Seams, words
from civilly.train.seams import count, false_alarms, find_strangers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["|"]),
        ("You are a.", ["|", "you", "are", "a", "|"]),
        ("don't, stop!! now", ["|", "don't", "|", "stop", "|", "now", "|"]),
        ("你好，吗", ["|", "你", "好", "|", "吗", "|"]),
        ("नमस्ते दुनिया", ["|", "नमस्ते", "दुनिया", "|"]),
        ("😡😡", ["|"]),
    ],
)
def test_words_and_edges(text, expected):
    assert words(text) == expected


@given(st.text())
def test_words_never_raise_and_keep_every_letter(text):
    found = words(text)
    assert found[0] == "|"
    assert "||" not in "".join(found)
    letters = Counter(c for c in text.casefold() if c.isalnum())
    assert Counter(c for c in "".join(found) if c.isalnum()) == letters


@pytest.mark.parametrize(
    ("lang", "source", "broken", "whole"),
    [
        ("en", "you are a dumbass.", "you are a.", "you are a fool."),
        ("it", "sei una stronza!", "sei una!", "sei una persona!"),
        ("fr", "c'est une merde.", "c'est une.", "c'est une horreur."),
        ("ru", "он сидит в жопе.", "он сидит в.", "он сидит в яме."),
        ("uk", "вона пішла в сраку.", "вона пішла в.", "вона пішла в дім."),
        ("de", "Er kommt mit Pack.", "Er kommt mit.", "Er kommt mit Leuten."),
    ],
)
def test_the_shipped_table_sees_a_hole(lang, source, broken, whole):
    seams = Seams()
    assert seams.broken(source, whole, lang) == 0
    if lang != "de":  # "kommt mit." is German
        assert seams.broken(source, broken, lang) == 1


def test_what_the_user_wrote_is_no_fault():
    seams = Seams()
    assert seams.broken("you are a. what, idiot?", "you are a. what?", "en") == 0
    assert all(seams.broken("x a.", "x a.", lang) == 0 for lang in CODES)
    assert seams.broken("a b", "a.", "xx") == 0


def test_strangers_are_frequent_and_never_meet():
    texts = ["the cat sat. the dog sat."] * 40 + ["a the"]
    single, double = count(texts)
    assert single["the"] == 81
    assert double["the", "cat"] == 40
    found = find_strangers(single, double, 2.0)
    total = single.total()
    for left in single:
        for right in single:
            expected = single[left] * single[right] / total
            ratio = math.log((expected + 0.5) / (double[left, right] + 0.5))
            listed = right in found.get(left, ())
            assert listed == (ratio >= 2.0 and left != right), (left, right)
    assert "|" in found["the"]  # "the" never ends a clause
    assert "cat" not in found["the"]


def test_false_alarms_are_counted_per_reference():
    strangers = {"a": {"|"}}
    pairs = [
        Pair("1", "en", "a fool", ("a", "a man")),
        Pair("2", "en", "a. fool", ("a.",)),
        Pair("3", "en", "b", ("b a",)),
    ]
    assert false_alarms(strangers, pairs) == 2 / 4
    assert false_alarms(strangers, []) == 0


def test_the_table_is_written_from_a_recipe(tmp_path):
    from civilly.train.seams import train_seams

    distilled, authored = tmp_path / "d", tmp_path / "a"
    for folder in (distilled, authored, tmp_path / "parallel"):
        folder.mkdir()
    rows = [{"toxic": f"x{i} idiot", "neutral": f"this is the word x{i}."} for i in range(60)]
    (distilled / "en.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (authored / "en.jsonl").write_text("")
    (tmp_path / "parallel" / "multiparadetox_dev.jsonl.gz").write_bytes(gzip.compress(b""))
    recipe = {
        "seed": 1,
        "authored": str(authored),
        "corpus": {
            "longest_characters": 100,
            "sources": [
                {"name": "d", "kind": "distilled", "licence": "MIT", "path": str(distilled)}
            ],
        },
    }
    out = tmp_path / "seams.json"
    summary = train_seams(recipe, tmp_path, out)
    assert summary["en"][1] == 2.0  # nothing to be alarmed by: the lowest threshold
    assert Seams(out).broken("this is the fool.", "this is the.", "en") == 1
    before = out.read_bytes()
    train_seams(recipe, tmp_path, out)
    assert out.read_bytes() == before
