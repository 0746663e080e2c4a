"""The option ``decoding``: what an engine is asked for, and what cannot be asked."""

from __future__ import annotations

import pytest

from civilly.engines import open_engine
from civilly.errors import CivillyError, EngineError, UnknownNameError
from civilly.methods.decoding import DIVERSITY, TEMPERATURE, Decoding
from civilly.pipeline import Detoxifier
from civilly.registry import create
from civilly.types import Detection, Generation, GenerationOptions, Prompt, Text


class Asked:
    """An engine that remembers what it was asked."""

    def generate(self, prompts, options):
        self.options = options
        return [[Generation("fine words", -0.1)] for _ in prompts]


class Tools:
    engine_spec = None

    def __init__(self, engine, **options):
        self.options, self._engine = options, engine
        self.detector = None

    def engine(self):
        return self._engine


@pytest.mark.parametrize("method", ["tuned", "prompt"])
@pytest.mark.parametrize(
    ("options", "n", "wanted"),
    [
        ({}, 1, {"n": 1, "temperature": 0.0, "beams": 0, "groups": 1}),
        ({"decoding": "greedy"}, 1, {"n": 1, "temperature": 0.0, "beams": 0}),
        ({"decoding": "beam"}, 4, {"n": 4, "beams": 4, "groups": 1, "temperature": 0.0}),
        ({"decoding": "beam", "beams": 8}, 2, {"n": 2, "beams": 8, "groups": 1}),
        ({"decoding": "diverse"}, 4, {"n": 4, "beams": 4, "groups": 4, "diversity": DIVERSITY}),
        ({"decoding": "diverse", "groups": "2", "diversity": 0.2}, 4,
         {"beams": 4, "groups": 2, "diversity": 0.2}),
        ({"decoding": "sample"}, 3,
         {"n": 3, "temperature": TEMPERATURE, "top_k": 0, "top_p": 1.0, "beams": 0}),
        ({"decoding": "sample", "temperature": 1.2, "top_k": 9, "top_p": 0.9, "seed": 5}, 3,
         {"temperature": 1.2, "top_k": 9, "top_p": 0.9, "seed": 5}),
        ({"temperature": 0.3}, 2, {"n": 2, "temperature": 0.3}),
    ],
)  # fmt: skip
def test_what_the_engine_is_asked_for(method, options, n, wanted):
    engine = Asked()
    rewriter = create("methods", method, Tools(engine, **options))
    rewriter.rewrite([Text("you fool", "en")], [Detection(0.9)], n)
    assert {name: getattr(engine.options, name) for name in wanted} == wanted


@pytest.mark.parametrize("method", ["tuned", "prompt"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoding": "beam", "temperature": 0.5}, "'temperature'.*beam.*decoding=sample"),
        ({"decoding": "sample", "beams": 3}, "'beams'.*decoding=beam or decoding=diverse"),
        ({"groups": 2}, "'groups'.*decoding=diverse"),
        ({"decoding": "sample", "temperature": 0}, "temperature 0"),
        ({"decoding": "sample", "top_p": 0}, "top_p"),
        ({"decoding": "sample", "top_p": 1.5}, "top_p"),
        ({"decoding": "sample", "top_k": 2.5}, "top_k"),
        ({"decoding": "diverse", "groups": 0}, "groups"),
        ({"decoding": "diverse", "diversity": "nan"}, "diversity"),
        ({"decoding": "beam", "beams": "wide"}, "beams"),
    ],
)
def test_wrong_options_are_named(method, options, message):
    with pytest.raises(CivillyError, match=message):
        create("methods", method, Tools(Asked(), **options))


def test_an_unknown_decoding_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'sample'"):
        Decoding.read({"decoding": "sampling"})


def test_greedy_gives_no_second_candidate():
    with pytest.raises(CivillyError, match="one candidate, not 3"):
        Decoding.read({"decoding": "greedy"}).generation(3)


def test_the_second_look_can_be_left_out():
    rewriter = create("methods", "tuned", Tools(Asked(), second_look="off"))
    assert rewriter.look_again([Text("you fool", "en")], [Detection(0.9)]) == [[]]
    with pytest.raises(CivillyError, match="second_look"):
        create("methods", "tuned", Tools(Asked(), second_look="perhaps"))


def test_an_engine_that_cannot_says_so():
    diverse = GenerationOptions(n=4, beams=4, groups=4)
    beam = GenerationOptions(n=4, beams=4)
    prompts = [Prompt.of("a")]
    with pytest.raises(EngineError, match="'embedded' has no diverse beam search"):
        open_engine("embedded").generate(prompts, diverse)
    server = open_engine("openai:http://127.0.0.1:9/v1#m")
    with pytest.raises(EngineError, match="'openai' has no beam search"):
        server.generate(prompts, beam)
    with pytest.raises(EngineError, match="'openai' has no diverse beam search"):
        server.generate(prompts, diverse)
    made = Detoxifier("tuned", options={"decoding": "diverse"})
    with pytest.raises(EngineError, match="greedy, sample, beam"):
        made.rewrite(["You fucking idiot"], "en")


def test_the_embedded_engine_samples_and_searches():
    """With the real model: seeds repeat, top_p near 0 draws nothing, beams are as likely."""
    engine = open_engine("embedded")
    prompts = [Prompt.of("The capital of France is", 6), Prompt.of("One, two, three,", 6)]

    def say(**options):
        return engine.generate(prompts, GenerationOptions(**options))

    greedy = say()
    # Samples are read in other batches than greedy answers, which rounds otherwise: so no word of
    # theirs need be the same, but one seed must say what another says.
    narrow = say(temperature=1.0, top_p=1e-6, seed=1)
    assert narrow == say(temperature=1.0, top_p=1e-6, seed=2)
    many = say(n=3, temperature=1.5, seed=4)
    assert many == say(n=3, temperature=1.5, seed=4)
    assert any(len({each.text for each in row}) > 1 for row in many)
    wide = say(n=1, beams=4)
    assert [len(row) for row in wide] == [1, 1]
    for (best,), (found,) in zip(greedy, wide, strict=True):
        assert found.logprob >= best.logprob - 1e-3
