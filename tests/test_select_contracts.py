"""What every registered selector must keep to, and what strength means to it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from civilly import registry
from civilly.cli import app
from civilly.errors import CivillyError, UnknownNameError
from civilly.pipeline import Detoxifier
from civilly.select.consensus import ConsensusSelector, expected_utilities
from civilly.select.rerank import RerankSelector, levenshtein_similarity
from civilly.select.strength import similarity_weight
from civilly.types import Candidate, Detection, Selector, Text

SELECTORS = [entry.name for entry in registry.entries("select")]
DIALLED = [name for name in SELECTORS if name != "reads"]
"""The strength of ``reads`` is how bold it is, not how near to the text."""
SOURCE = Text("abcdefghij klmnop you idiot", "en")


class Table:
    """A detector that looks p(toxic) up; what it does not know is civil."""

    def __init__(self, table=None):
        self.table = table or {}

    def detect(self, texts):
        return [Detection(self.table.get(text.text, 0.0)) for text in texts]


class Tools:
    def __init__(self, detector, **options):
        self.detector, self.options = detector, options


def test_both_selectors_are_there():
    assert {"rerank", "consensus"} <= set(SELECTORS)


@pytest.mark.parametrize("name", SELECTORS)
def test_it_is_a_selector_that_chooses_row_by_row(name):
    rude, civil = "This fucking printer is broken again.", "This printer is broken again."
    worse = "This toxic printer is broken again."
    selector = registry.create("select", name, Tools(Table({worse: 0.95})))
    assert isinstance(selector, Selector)
    good, bad = Candidate(civil, "a", -0.1), Candidate(worse, "b", -0.1)
    texts = [Text(rude, "en")] * 4
    rows = [[good, bad], [], [bad], [Candidate(rude, "c", 0.0)]]
    choices = selector.select(texts, [Detection(0.9)] * 4, rows)
    assert [choice.candidate for choice in choices] == [good, None, None, None]
    for choice, row in zip(choices, rows, strict=True):
        assert {candidate for candidate, _ in choice.scored} == set(row)
        joints = [scores.joint for _, scores in choice.scored]
        assert joints == sorted(joints, reverse=True)
        assert all(0 <= joint <= 1 for joint in joints)
        assert choice.reason
    assert selector.select([], [], []) == []
    assert selector.satisfied(choices[0])
    assert not selector.satisfied(choices[1])
    assert selector.worth_trying(Detection(0.9)) and not selector.worth_trying(Detection(0.0))


POOL = (
    "abcdefghij klmnop you friend",
    "abcdefghij klmnop",
    "abcdefghij klmnop you are wrong",
    "abcdefghij you",
    "qrstuv wxyz you are not right",
    "you might be mistaken there",
    "hello there",
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.sampled_from(DIALLED),
    st.lists(
        st.tuples(st.sampled_from(POOL), st.floats(0, 0.85), st.floats(-2.4, 0)),
        min_size=1,
        max_size=6,
        unique_by=lambda made: made[0],
    ),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_higher_strength_never_chooses_a_more_similar_candidate(name, made, one, other):
    detector = Table({text: p_toxic for text, p_toxic, _ in made})
    row = [Candidate(text, "m", logprob) for text, _, logprob in made]
    chosen = []
    for strength in sorted((one, other)):
        selector = registry.create("select", name, Tools(detector, strength=strength))
        (choice,) = selector.select([SOURCE], [Detection(0.9)], [row])
        assert choice.candidate is not None
        chosen.append(levenshtein_similarity(SOURCE.text, choice.candidate.text))
    assert chosen[1] <= chosen[0] + 1e-12


@pytest.mark.parametrize("name", DIALLED)
def test_the_ends_of_the_dial_choose_differently(name):
    """One candidate is close to the text, two others agree and are more civil."""
    close = Candidate(POOL[0], "m", -0.4)
    free = [Candidate(POOL[4], "m", -0.2), Candidate(POOL[4] + "!", "m", -0.2)]
    detector = Table({close.text: 0.4})
    chosen = {}
    for strength in (0, 1):
        selector = registry.create("select", name, Tools(detector, strength=strength))
        (choice,) = selector.select([SOURCE], [Detection(0.9)], [[close, *free]])
        chosen[strength] = choice.candidate
    assert chosen[0] == close
    assert chosen[1] in free


def test_the_usual_strength_is_the_weight_that_was_tuned():
    assert similarity_weight(0.5) == 0.5
    assert (similarity_weight(0.0), similarity_weight(1.0)) == (2.0, 0.0)
    row = [[Candidate(text, "m", -0.3) for text in POOL]]
    plain = RerankSelector(Table()).select([SOURCE], [Detection(0.9)], row)
    assert plain == RerankSelector(Table(), 0.5).select([SOURCE], [Detection(0.9)], row)
    for _, scores in plain[0].scored:
        product = scores.civility * math.sqrt(scores.similarity) * scores.fluency ** (1 / 3)
        assert scores.joint == pytest.approx(product)


@pytest.mark.parametrize("wrong", [-0.1, 1.5, "much", float("nan")])
def test_a_strength_beyond_the_dial_is_refused(wrong):
    with pytest.raises(CivillyError, match="strength"):
        Detoxifier("delete", strength=wrong)
    for name in SELECTORS:
        with pytest.raises(CivillyError, match="strength"):
            registry.create("select", name, Tools(Table(), strength=wrong))


def test_expected_utilities_by_hand():
    # Similarities: abcd-abce 3/4, abcd-xy 0, abce-xy 0.
    found = expected_utilities(["abcd", "abce", "xy"], [0.5, 0.3, 0.2])
    assert found == pytest.approx([0.5 + 0.3 * 0.75, 0.5 * 0.75 + 0.3, 0.2])
    assert expected_utilities(["abcd", "abce", "xy"], [5, 3, 2]) == pytest.approx(found)
    assert expected_utilities(["a"], [0.1]) == pytest.approx([1.0])


def test_the_consensus_is_the_median_and_only_civil_candidates_vote():
    middle, near, far = "you are quite wrong", "you are quite wrong!", "go to the sea now please"
    rude = [f"you are quite a moron {i}" for i in range(4)]
    detector = Table(dict.fromkeys(rude, 0.8))
    row = [Candidate(text, "m", -0.5) for text in (far, middle, near, *rude)]
    selector = ConsensusSelector(detector, strength=1.0)
    (choice,) = selector.select([Text("you are quite a moron", "en")], [Detection(0.95)], [row])
    assert choice.candidate.text in (middle, near)
    joints = {candidate.text: scores.joint for candidate, scores in choice.scored}
    assert all(joints[text] == 0 for text in rude)
    voters = [far, middle, near]
    by_hand = [
        sum(levenshtein_similarity(a, b) for b in voters) / 3 for a in voters
    ]  # alike in probability
    assert [joints[text] for text in voters] == pytest.approx(by_hand)


def test_where_nothing_is_civil_the_most_civil_one_is_taken():
    detector = Table({"you bad": 0.8, "you worse": 0.85})
    row = [Candidate("you worse", "m", -0.1), Candidate("you bad", "m", -0.1)]
    selector = ConsensusSelector(detector)
    (choice,) = selector.select([Text("you idiot", "en")], [Detection(0.95)], [row])
    assert choice.candidate.text == "you bad"
    assert not selector.satisfied(choice)


def test_the_pipeline_takes_a_selector_and_a_strength_and_says_so():
    made = Detoxifier("delete", select="consensus", strength=0.2)
    assert isinstance(made._selector, ConsensusSelector)
    described = made.describe()
    assert described["select"] == "consensus"
    assert described["options"]["strength"] == "0.2"
    assert described != Detoxifier("delete", select="consensus").describe()
    assert described != Detoxifier("delete", strength=0.2).describe()
    with pytest.raises(UnknownNameError, match="did you mean 'consensus'"):
        Detoxifier("delete", select="concensus")


@pytest.mark.parametrize(
    ("arguments", "n"),
    [
        ({}, 4),
        ({"options": {"decoding": "greedy"}}, 1),
        ({"strength": 1.0, "n_candidates": 2}, 2),
        ({"strength": 1.0, "options": {"decoding": "greedy"}}, 1),
        ({"options": {"decoding": "sample"}}, 4),
        ({"options": {"decoding": "beam"}, "n_candidates": 3}, 3),
    ],
)
def test_how_many_candidates_are_asked_for(arguments, n):
    assert Detoxifier("tuned", **arguments).n_candidates == n


@pytest.mark.parametrize(("strength", "n"), [(0.5, 1), (0.74, 1), (0.75, 4)])
def test_a_method_without_a_usual_search_gives_several_at_a_high_strength(strength, n):
    assert Detoxifier("prompt", engine="echo", strength=strength).n_candidates == n


def test_through_the_command_line():
    asked = ["rewrite", "You are fucking wrong about this.", "--lang", "en", "-m", "delete"]
    result = CliRunner().invoke(app, [*asked, "--select", "consensus", "--strength", "0", "--json"])
    found = json.loads(result.stdout)
    assert found["rewritten"] == "You are wrong about this."
    assert found["candidates"][0]["scores"]["refused"] is None
    assert "agree" in found["reason"]
    assert CliRunner().invoke(app, [*asked, "--strength", "1.5"]).exit_code == 2
    unknown = CliRunner().invoke(app, [*asked, "--select", "rank"])
    assert isinstance(unknown.exception, UnknownNameError)
    listed = CliRunner().invoke(app, ["ls", "selectors"]).stdout.splitlines()
    assert [line.split()[0] for line in listed] == SELECTORS


def test_a_strength_among_the_methods_options_is_not_overlooked():
    with pytest.raises(CivillyError, match="--strength"):
        Detoxifier("delete", options={"strength": 0.1})
