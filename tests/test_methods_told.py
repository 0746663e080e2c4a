"""Prompts that list the rude words: what training shows and what the engine is asked."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from civilly.data.corpus.build import build_corpus
from civilly.data.pairs import Pair
from civilly.errors import CivillyError, DataError, ModelError
from civilly.methods.tuned_prompt import rude_words, tuned_prompt
from civilly.model.adapter import PROMPT_FILE, WEIGHTS_FILE, tells
from civilly.registry import create
from civilly.train.examples import marked_examples, rewriting_examples
from civilly.train.fim.recipe import FimRecipe
from civilly.train.recipe import SftRecipe
from civilly.types import Detection, Generation, GenerationOptions, Prompt, Span, Text

RUDE = re.compile(r"stupid|idiot|дурак")


class Lexicon:
    """A detector that knows three words."""

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        found = [[Span(*m.span()) for m in RUDE.finditer(text.text)] for text in texts]
        return [Detection(0.9 if spans else 0.1, tuple(spans)) for spans in found]


def said(prompt: Prompt) -> str:
    assert not any(segment.special for segment in prompt.segments)
    return "".join(segment.text for segment in prompt.segments)


TEXT = "stupid, stupid idiot: a stupid idea"


def test_the_prompt_to_the_letter() -> None:
    (detection,) = Lexicon().detect([Text(TEXT, "en")])
    words = rude_words(TEXT, detection.spans)
    assert words == ("stupid", "idiot")  # in their order, each once
    assert said(tuned_prompt(TEXT, "en", words)) == (
        "English\nstupid, stupid idiot: a stupid idea\nRude: stupid, idiot\nPolite\n"
    )
    plain = "English\nstupid, stupid idiot: a stupid idea\nPolite\n"
    assert said(tuned_prompt(TEXT, "en")) == said(tuned_prompt(TEXT, "en", ())) == plain
    assert said(tuned_prompt("ты дурак", "ru", ("дурак",))) == (
        "Russian\nты дурак\nRude: дурак\nPolite\n"
    )
    # The limits are those of the text, told or not.
    told, untold = tuned_prompt(TEXT, "en", words), tuned_prompt(TEXT, "en")
    assert told.max_new_tokens == untold.max_new_tokens == 16 + 35 // 2


PAIRS = [
    Pair(str(i), "en", f"{i} {'stupid ' * (i % 2)}idiot" if i % 4 else f"{i} fine", (f"{i}",))
    for i in range(400)
]


def test_a_share_of_the_prompts_tells_what_was_found() -> None:
    made = marked_examples(PAIRS, Lexicon(), 0.5, seed=3)
    plain = rewriting_examples(PAIRS)
    assert [example.answer for example in made] == [example.answer for example in plain]
    told = 0
    for pair, example, untold in zip(PAIRS, made, plain, strict=True):
        words = ", ".join(dict.fromkeys(RUDE.findall(pair.toxic)))
        if example != untold:
            assert said(example.prompt) == f"English\n{pair.toxic}\nRude: {words}\nPolite\n"
            assert words
            told += 1
    assert 120 < told < 180  # half of the 300 that have any, give or take three deviations
    assert made == marked_examples(PAIRS, Lexicon(), 0.5, seed=3)
    assert made != marked_examples(PAIRS, Lexicon(), 0.5, seed=4)


def test_none_and_nearly_all() -> None:
    assert marked_examples(PAIRS, Lexicon(), 0.0, seed=3) == rewriting_examples(PAIRS)
    made = marked_examples(PAIRS, Lexicon(), 0.999, seed=3)
    found = sum("\nRude: " in said(example.prompt) for example in made)
    assert 295 <= found <= 300


def test_the_choice_does_not_disturb_other_chance() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    marked_examples(PAIRS, Lexicon(), 0.5, seed=3)
    assert random.random() == expected


@pytest.mark.parametrize("share", [1.0, -0.1, "half"])
def test_a_share_that_is_none_is_refused(share: Any) -> None:
    with pytest.raises(DataError, match="marked"):
        SftRecipe.parse({"seed": 1, "corpus": {}, "marked": share}, "the recipe")


def test_a_training_to_fill_holes_tells_nothing() -> None:
    content = {"seed": 1, "corpus": {}, "base": {"name": "large"}}
    assert FimRecipe.parse(content, "the recipe").family.name == "qwen2.5-coder"
    with pytest.raises(DataError, match="marked"):
        FimRecipe.parse({**content, "marked": 0.5}, "the recipe")


@pytest.mark.parametrize(
    ("languages", "expected"),
    [(None, {"de", "en", "ru"}), (["de", "ru"], {"de", "ru"}), (["en"], {"en"})],
)
def test_distilled_pairs_of_some_languages(
    languages: list[str] | None, expected: set[str], tmp_path: Path
) -> None:
    for lang in ("de", "en", "ru"):
        rows = [{"toxic": f"{lang} {i} idiot", "neutral": f"{lang} {i}"} for i in range(3)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{lang}.jsonl").write_text(text, "utf-8")
    (tmp_path / "data" / "parallel").mkdir(parents=True)
    (tmp_path / "data" / "parallel" / "multiparadetox_dev.jsonl.gz").write_bytes(b"")
    source = {"name": "d", "kind": "distilled", "licence": "MIT", "path": str(tmp_path)}
    if languages:
        source["languages"] = languages
    recipe = {"seed": 1, "corpus": {"sources": [source]}}
    corpus = build_corpus(recipe, tmp_path / "data")
    assert {pair.lang for pair in corpus.train} == expected
    assert len(corpus.train) == 3 * len(expected)
    assert not corpus.dev


# What the engine is asked.


class Asked:
    """An engine that remembers its prompts, and answers a told one otherwise."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        self.prompts = [said(prompt) for prompt in prompts]
        told = ["\nRude: " in prompt for prompt in self.prompts]
        return [
            [Generation("the same", -0.1 if each else -0.4), Generation(f"told {each}", -0.2)]
            for each in told
        ]


class Tools:
    engine_spec = None
    detector = Lexicon()

    def __init__(self, **options: Any) -> None:
        self.options, self.asked = options, Asked()

    def engine(self) -> Asked:
        return self.asked


TEXTS = [Text("You idiot", "en"), Text("You there", "en"), Text("ты дурак, дурак", "ru")]
PLAIN = [
    "English\nYou idiot\nPolite\n",
    "English\nYou there\nPolite\n",
    "Russian\nты дурак, дурак\nPolite\n",
]
TOLD = [
    "English\nYou idiot\nRude: idiot\nPolite\n",
    "English\nYou there\nPolite\n",
    "Russian\nты дурак, дурак\nRude: дурак\nPolite\n",
]


def asked(**options: Any) -> tuple[list[str], list[list[tuple[str, float]]]]:
    """The prompts that the engine was asked, and the candidates."""
    tools = Tools(**options)
    rewriter = create("methods", "tuned", tools)
    found = rewriter.rewrite(TEXTS, Lexicon().detect(TEXTS), 2)
    return tools.asked.prompts, [[(c.text, c.logprob) for c in row] for row in found]


@pytest.mark.parametrize(
    ("told", "prompts"),
    [
        ("on", TOLD),
        ("off", PLAIN),
        (None, PLAIN),  # the shipped adapter asks for plain prompts
        ("both", [*TOLD, PLAIN[0], PLAIN[2]]),  # the second text once: there is nothing to tell
        ("ON", TOLD),
    ],
)
def test_how_often_and_what_the_engine_is_asked(told: str | None, prompts: list[str]) -> None:
    found, candidates = asked(**({"told": told} if told else {}))
    assert found == prompts
    assert len(candidates) == len(TEXTS)


def test_answers_to_both_prompts_are_one_pool() -> None:
    _, (first, second, third) = asked(told="both")
    assert first == third == [("the same", -0.1), ("told True", -0.2)]  # two were asked for
    assert second == [("told False", -0.2), ("the same", -0.4)]


def test_the_adapter_says_how_it_was_trained(tmp_path: Path) -> None:
    made = tmp_path / "run" / "adapter"
    made.mkdir(parents=True)
    (made / WEIGHTS_FILE).write_bytes(b"x")
    assert not tells(made)
    (made / PROMPT_FILE).write_text('{"rude_words": true}')
    assert tells(made)
    assert tells(tmp_path / "run")
    assert asked(adapter=str(made))[0] == [*TOLD, PLAIN[0], PLAIN[2]]
    assert asked(adapter=str(made), told="off")[0] == PLAIN
    (made / PROMPT_FILE).write_text('{"rude_words": false}')
    assert asked(adapter=str(made))[0] == PLAIN
    for damaged in ("", "[]", '{"rude": 1}', "\udcff"):
        (made / PROMPT_FILE).write_bytes(damaged.encode("utf-8", "surrogateescape"))
        with pytest.raises(ModelError, match=r"prompt\.json does not say") as error:
            tells(made)
        assert "rude_words" in error.value.allowed


def test_what_told_may_be() -> None:
    with pytest.raises(CivillyError, match=r"'told' is 'perhaps'.*on, off, both"):
        asked(told="perhaps")
