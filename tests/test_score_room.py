"""Metrics and intervals against values computed elsewhere."""

import random

import pytest

from civilly import registry
from civilly.errors import CivillyError
from civilly.pipeline import Toolbox
from civilly.score.intervals import bootstrap_mean
from civilly.score.scoring import score_texts
from civilly.types import Text

TOOLS = Toolbox(None, {})


def test_interval_agrees_with_a_plain_bootstrap():
    rng = random.Random(2)
    values = [rng.gauss(0.5, 0.1) for _ in range(200)]
    interval = bootstrap_mean(values)
    plain = sorted(sum(rng.choice(values) for _ in values) / len(values) for _ in range(1_000))
    assert interval.mean == pytest.approx(sum(values) / 200)
    assert interval.low == pytest.approx(plain[25], abs=0.004)
    assert interval.high == pytest.approx(plain[974], abs=0.004)
    assert bootstrap_mean(values) == interval


def test_interval_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean([])


def test_chrf_known_values():
    chrf = registry.create("score", "chrf", TOOLS)
    texts = [Text("x", "en")] * 3
    scores = chrf.score(texts, ["the cat", "", "abc"], [["the cat"], ["the cat"], ["xyz"]])
    assert scores == [pytest.approx(1.0), 0.0, 0.0]
    with pytest.raises(CivillyError, match="references"):
        chrf.score(texts, ["a", "b", "c"])


def test_similarity_orders_paraphrase_before_unrelated():
    similarity = registry.create("score", "similarity", TOOLS)
    texts = [Text("I really like this film", "en")] * 4
    outputs = ["I really like this film", "I enjoyed this movie a lot",
               "The train to Kyiv leaves at noon", ""]  # fmt: skip
    same, paraphrase, unrelated, empty = similarity.score(texts, outputs)
    assert same == pytest.approx(1.0, abs=1e-3)
    assert same > paraphrase > unrelated
    assert 0.0 <= empty <= unrelated + 0.2
    with_reference = similarity.score(texts[:1], ["Bonjour"], [["Bonjour", "something else"]])
    assert with_reference[0] == pytest.approx(1.0, abs=1e-3)


DOWNLOADED = {"textdetox2024", "textdetox2025"}
"""Suites whose models are not packaged; test_textdetox_suites.py tries them on tiny ones."""


@pytest.mark.parametrize(
    "name", [e.name for e in registry.entries("score") if e.name not in DOWNLOADED]
)
def test_every_metric_signs_and_keeps_length_and_range(name):
    quick = {"retries": 0, "answer_tokens": 2}  # for the judge
    metric = registry.create("score", name, Toolbox("echo", quick))
    assert name.split("_")[0] in metric.signature.lower()
    texts = [Text("You are an idiot, friend.", "en"), Text("", "en"), Text("😀\x00", "ja")]
    outputs = ["You are wrong, friend.", "", "😀"]
    scores = metric.score(texts, outputs, [["You are wrong."], [""], ["😀"]])
    assert len(scores) == 3
    assert all(0.0 <= s <= 1.0 for s in scores)


def test_fluency_prefers_sentences_to_rubble():
    fluency = registry.create("score", "fluency", TOOLS)
    source = Text("I think this fucking plan is really good for the city.", "en")
    good, rubble = fluency.score(
        [source] * 2,
        ["I think this plan is really good for the city.", "I this plan good the is city think."],
    )
    assert good > 0.8
    assert rubble < good / 2


class TooFew:
    """A metric that loses a text."""

    signature = "too few"

    def score(self, inputs, outputs, references=None):
        return [0.5] * (len(inputs) - 1)


def test_a_metric_that_loses_a_text_is_refused():
    texts = [Text("a", "en"), Text("b", "en")]
    with pytest.raises(CivillyError, match="'few' gave 1 few scores for 2 texts"):
        score_texts(TooFew(), "few", texts, ["c", "d"])
