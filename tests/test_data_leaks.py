"""Leaks are found however they are disguised, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.data.leaks import find_leaks, normalise
from civilly.data.pairs import read_pairs

EVALUATION = [
    "You are such a stupid idiot, nobody wants to hear this!",
    "Ты просто глупый человек, и тебя никто не слушает.",
    "これは本当にひどい話だと思いますよ、まったく。",
    "fuck off",
]


@pytest.mark.parametrize(
    ("training", "evaluation", "kind"),
    [
        (EVALUATION[0], 0, "exact"),
        ("you are such a STUPID idiot nobody wants to hear this", 0, "normalised"),
        ("@user You are such a stupid idiot, nobody wants to hear this! https://t.co/x", 0,
         "normalised"),
        ("Ｙｏｕ are such a stupid idiot, nobody wants to hear this!", 0, "normalised"),
        ("You are such a stupid idiot, nobody wants to hear that!", 0, "near"),
        ("Listen: you are such a stupid idiot, nobody wants to hear this, and I am off now to"
         " walk the dog in the park.", 0, "near"),
        ("ТЫ ПРОСТО ГЛУПЫЙ ЧЕЛОВЕК И ТЕБЯ НИКТО НЕ СЛУШАЕТ", 1, "normalised"),
        ("これは本当にひどい話だと思いますよ、まったくね。", 2, "near"),
        ("Fuck off!!!", 3, "normalised"),
    ],
)  # fmt: skip
def test_disguises_are_seen_through(training: str, evaluation: int, kind: str) -> None:
    (leak,) = find_leaks(["a harmless row about gardening", training], EVALUATION)
    assert (leak.training, leak.evaluation, leak.kind) == (1, evaluation, kind)
    assert 0.7 <= leak.similarity <= 1.0


@pytest.mark.parametrize(
    "training",
    [
        "",
        "🙂",
        "You are such a kind person, everybody wants to hear this!",
        "I told him to fuck off and he did not even answer me",
        "Ты хороший человек, и тебя все слушают.",
    ],
)
def test_other_rows_are_no_leaks(training: str) -> None:
    assert find_leaks([training], [*EVALUATION, "", "🙂🙂"]) == []


def grams(text: str) -> set[str]:
    return {text[i : i + 4] for i in range(max(1, len(text) - 3))} if text else set()


@given(
    training=st.lists(st.text("abc", max_size=25), max_size=5),
    evaluation=st.lists(st.text("abc", max_size=25), max_size=5),
)
def test_the_index_finds_what_comparing_all_pairs_finds(
    training: list[str], evaluation: list[str]
) -> None:
    expected = set()
    for number, one in enumerate(training):
        for other in evaluation:
            a, b = grams(one), grams(other)
            if not a or not b:
                continue
            shared, shorter = len(a & b), min(len(a), len(b))
            jaccard = shared / len(a | b)
            if one == other or jaccard >= 0.7 or (shorter >= 9 and shared / shorter >= 0.85):
                expected.add(number)
    assert {leak.training for leak in find_leaks(training, evaluation)} == expected


def test_combining_marks_count() -> None:
    assert normalise("कि, की!") == "किकी"
    assert normalise("Ⅳ @name www.x.org Straße") == "ivstrasse"


def test_real_training_pairs_against_the_official_inputs(shared_data: Path) -> None:
    """The published sets were cleared of the test inputs by their makers; one planted row stays."""
    from civilly.data.io import read_table

    training = [pair.toxic for pair in read_pairs(shared_data / "parallel" / "russe_ru.jsonl.gz")]
    rows = read_table(shared_data / "inputs" / "textdetox2025_test.tsv").rows
    official = [row["toxic_sentence"] for row in rows if row["lang"] == "ru"]
    leaks = find_leaks([*training, official[17].upper()], official)
    assert len(training) in {leak.training for leak in leaks}
    assert not [leak for leak in leaks if leak.kind == "exact"]
    assert len(leaks) < 0.005 * len(training)
