"""The selector's arithmetic, computed by hand, and its rules."""

import math
import re

import pytest

from civilly.select.rerank import (
    BROKEN_FLUENCY,
    RerankSelector,
    score,
)
from civilly.select.seams import Seams
from civilly.types import Candidate, Detection, Span, Text


class Table:
    """A detector that looks p(toxic) up."""

    def __init__(self, table):
        self.table = table

    def detect(self, texts):
        return [Detection(self.table[t.text]) for t in texts]


def test_scores_are_the_stated_products():
    candidate = Candidate("abcd", "m", logprob=math.log(0.5))
    scores = score(Text("abcdefgh", "en"), candidate, Detection(0.2), Seams())
    assert scores.civility == pytest.approx(0.8)
    assert scores.similarity == pytest.approx(0.5)  # 4 of 8 characters are deleted
    assert scores.fluency == pytest.approx(0.5)
    assert scores.joint == pytest.approx(0.8 * math.sqrt(0.5) * 0.5 ** (1 / 3))


def test_a_broken_seam_costs_fluency():
    text, after = Text("you are a fool.", "en"), Detection(0.0)
    hole, whole = Candidate("you are a.", "m", 0.0), Candidate("you are a man.", "m", 0.0)
    assert score(text, hole, after, Seams()).fluency == BROKEN_FLUENCY
    assert score(text, whole, after, Seams()).fluency == 1.0


def test_similarity_is_one_only_for_the_same_text():
    same = score(Text("abc", "en"), Candidate("abc", "m", 0.0), Detection(0.0), Seams())
    assert same.similarity == same.joint == 1.0


def test_the_best_product_wins():
    table = {"you idiot friend": 0.9, "you friend": 0.1, "you": 0.1}
    selector = RerankSelector(Table(table))
    (choice,) = selector.select(
        [Text("you idiot friend", "en")],
        [Detection(0.9)],
        [[Candidate("you", "a", -0.1), Candidate("you friend", "b", -0.1)]],
    )
    assert choice.candidate.text == "you friend"
    assert [c.text for c, _ in choice.scored] == ["you friend", "you"]


def test_a_candidate_that_is_no_less_toxic_is_not_taken():
    selector = RerankSelector(Table({"x idiot": 0.9}))
    (choice,) = selector.select(
        [Text("you idiot", "en")], [Detection(0.9)], [[Candidate("x idiot", "a", 0.0)]]
    )
    assert choice.candidate is None
    assert "no wording was found" in choice.reason


@pytest.mark.parametrize(("p_toxic", "satisfied"), [(0.1, True), (0.6, False)])
def test_only_a_good_choice_satisfies(p_toxic, satisfied):
    selector = RerankSelector(Table({"you friend": p_toxic}))
    (choice,) = selector.select(
        [Text("you idiot", "en")], [Detection(0.9)], [[Candidate("you friend", "b", -0.1)]]
    )
    assert choice.candidate is not None
    assert selector.satisfied(choice) == satisfied
    (none,) = selector.select([Text("you idiot", "en")], [Detection(0.9)], [[]])
    assert not selector.satisfied(none)


def test_where_nothing_is_taken_the_toxic_words_are_said_once_each():
    text = "You idiot, you total\n moron, you idiot."
    spans = tuple(Span(m.start(), m.end()) for m in re.finditer(r"idiot|total\s+moron", text))
    (choice,) = RerankSelector(Table({})).select([Text(text, "en")], [Detection(0.9, spans)], [[]])
    assert choice.candidate is None
    assert choice.reason.endswith("reads well; the toxic words are: idiot, total moron")
    (choice,) = RerankSelector(Table({})).select([Text(text, "en")], [Detection(0.9)], [[]])
    assert choice.reason == "no wording was found that reads well"


def test_civil_texts_are_not_worth_trying():
    selector = RerankSelector(Table({}))
    assert not selector.worth_trying(Detection(0.01))
    assert selector.worth_trying(Detection(0.9))
