"""Edits lead from one text to the other, each of them can be left, and each says why."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civilly.languages import CODES
from civilly.methods.edits import Edit, apply, edits, explained
from civilly.types import Detection, Span, Text

TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("ab  ,.'\n你好ガーのאבन्यـة\u0301\u200d🙂"), st.characters()),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT, st.sampled_from(CODES))
def test_all_edits_give_the_output_and_none_the_input(before: str, after: str, lang: str) -> None:
    found = edits(before, after, lang)
    assert apply(before, found) == after
    assert apply(before, []) == before
    for edit in found:
        assert before[edit.start : edit.end] == edit.cut != edit.put
    for left, right in pairwise(found):
        assert before[left.end : right.start].strip(), "neighbours are one"


def cut_and_put(before: str, after: str, lang: str) -> list[tuple[str, str]]:
    return [(edit.cut, edit.put) for edit in edits(before, after, lang)]


def test_words_are_whole_in_every_script() -> None:
    assert cut_and_put("You stupid idiot, go home now", "You person, go home please", "en") == [
        ("stupid idiot", "person"),
        ("now", "please"),
    ]
    assert cut_and_put("l'idiot est parti", "l'homme est parti", "fr") == [("l'idiot", "l'homme")]
    assert cut_and_put("बेवकूफ़ आदमी", "भला आदमी", "hi") == [("बेवकूफ़", "भला")]
    assert cut_and_put("ゲームメーカーだ", "ゲームメーンだ", "ja") == [
        ("ゲームメーカー", "ゲームメーン")
    ]
    assert cut_and_put("the same", "the same", "en") == []


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens of one side times those of the other are compared, call by call."""
    sizes: list[int] = []

    class Counted(SequenceMatcher):
        def __init__(self, junk: None, old: list[str], new: list[str], autojunk: bool) -> None:
            sizes.append(len(old) * len(new))
            super().__init__(junk, old, new, autojunk)

    monkeypatch.setattr("civilly.methods.edits.SequenceMatcher", Counted)
    return sizes


def test_in_a_long_text_only_what_lies_between_the_changes_is_compared(compared) -> None:
    long = "word other " * 20_000
    assert edits(long, long + "x", "en") == [Edit(len(long), len(long), "", "x")]
    assert edits(long, long, "en") == []
    changed = f"{long}stupid man or ugly one {long}"
    better = f"{long}kind man or nice one {long}"
    assert cut_and_put(changed, better, "en") == [("stupid", "kind"), ("ugly", "nice")]
    assert max(compared) < 100


def test_what_would_take_long_to_compare_is_one_edit(compared) -> None:
    for before, after in (("a " * 999, "b a " * 499), ("a " * 299, "b a " * 499)):
        (edit,) = edits(before, after, "en")
        assert apply(before, [edit]) == after
        assert edit.cut == before.removesuffix(" a ")
    assert compared == []
    assert len(edits("a " * 99, "b a " * 49, "en")) > 1
    assert compared == [198 * 196]


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT, TEXT, TEXT, st.sampled_from(CODES))
def test_so_are_the_ends_of_long_texts(a: str, b: str, c: str, d: str, lang: str) -> None:
    before, after = f"{a}{b}{c}", f"{a}{d}{c}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("civilly.methods.edits.MOST_COMPARED", 0)
        found = edits(before, after, lang)
    assert apply(before, found) == after
    assert len(found) == (before != after)


class Counting:
    """A detector that calls every text toxic by the share of the letter x."""

    def detect(self, texts: list[Text]) -> list[Detection]:
        return [Detection(text.text.count("x") / len(text.text)) for text in texts]


def test_reasons() -> None:
    text = Text("xx ok xxx bye", "en")
    before = Detection(0.5, (Span(0, 2, 0.7), Span(6, 9, 0.9)))
    (row,) = explained([text], ["good ok bye"], [before], Counting())
    assert [(e.cut, e.put, e.score) for e in row] == [("xx", "good", 0.7), ("xxx ", "", 0.9)]
    assert [e.p_toxic for e in row] == [3 / len("good ok xxx bye"), 2 / len("xx ok bye")]
