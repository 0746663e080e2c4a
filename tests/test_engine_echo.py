"""The echo engine, and how engines are opened."""

from __future__ import annotations

import subprocess
import sys

import pytest

from civilly.engines import open_engine
from civilly.errors import EngineError, UnknownNameError
from civilly.types import Engine, GenerationOptions, Prompt, Segment


def said(prompt: Prompt, **options) -> list[str]:
    (row,) = open_engine("echo").generate([prompt], GenerationOptions(**options))
    return [generation.text for generation in row]


@pytest.mark.parametrize("text", ["", "hello", "a: b", "two\nlines", "emoji 😡 \u202e", "\x00"])
def test_a_plain_prompt_comes_back(text):
    assert said(Prompt.of(text)) == [text]


def test_the_last_user_text_of_a_structured_prompt():
    prompt = Prompt((Segment("<a>", True), Segment("user"), Segment("<b>", True), Segment(" ")))
    assert said(prompt) == ["user"]


def test_the_last_user_text_of_a_few_shot_prompt():
    prompt = Prompt.of('Do it.\n\nRude: "x"\nPolite: "y"\n\nRude: "the: text"\nPolite:')
    assert said(prompt) == ['"the: text"']


def test_variants_differ_and_stops_cut():
    assert said(Prompt.of("hey you"), n=3) == ["hey you", "(2) hey you", "(3) hey you"]
    assert said(Prompt.of("hey you"), stop=(" ", "y")) == ["he"]


def test_it_is_an_engine_and_keeps_the_order():
    engine = open_engine("echo")
    assert isinstance(engine, Engine)
    prompts = [Prompt.of(str(i)) for i in range(5)]
    answers = engine.generate(prompts, GenerationOptions())
    assert [row[0].text for row in answers] == list("01234")


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"temperature": -1}, {"max_new_tokens": 0}, {"top_k": -1}]
)
def test_wrong_options_are_named(wrong):
    with pytest.raises(EngineError, match=next(iter(wrong))):
        said(Prompt.of("x"), **wrong)
    with pytest.raises(EngineError, match="Prompt 0"):
        said(Prompt.of("x", max_new_tokens=0))


def test_a_misspelt_engine_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'echo'"):
        open_engine("ecco")
    with pytest.raises(EngineError, match="opens nothing"):
        open_engine("echo:file")


def test_the_engines_that_need_no_torch_import_none():
    code = (
        "import sys; from civilly.engines import open_engine; open_engine('echo');"
        "open_engine('openai:http://h/v1#m'); import civilly.engines.hf;"
        "print({'torch', 'transformers', 'peft'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
