"""Few-shot prompting of any engine: an instruction and examples in the text's language."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from civilly.errors import CivillyError
from civilly.languages import language
from civilly.methods import decoding
from civilly.methods.answers import read_answer
from civilly.methods.decoding import Decoding
from civilly.registry import Option
from civilly.types import (
    Candidate,
    Detection,
    Engine,
    Generation,
    GenerationOptions,
    Prompt,
    Segment,
    Text,
    Tools,
)

_MARKS = (('"', '"'), ("«", "»"), ("⟦", "⟧"), ("⟪", "⟫"))
"""Quotation marks to put around texts; the first pair that a text does not contain."""

_STOP = ("\n\n",)


@dataclass(frozen=True, slots=True)
class Example:
    """A rude sentence and its civil rewrite.

    Attributes:
        toxic: The rude side.
        neutral: The civil side.
    """

    toxic: str
    neutral: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of the method.

    Attributes:
        examples: Examples in a prompt, at least 0; a language has up to four.
        longest: Longest text in characters that is sent to the engine; a longer one gets no
            candidate.
    """

    examples: int = 3
    longest: int = 2000

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Settings:
        """Takes the options that belong to this method.

        Raises:
            CivillyError: If a value is not a number, or is below 0.
        """
        chosen: dict[str, Any] = {}
        for name in ("examples", "longest"):
            if options.get(name) is None:
                continue
            try:
                chosen[name] = int(options[name])
            except (TypeError, ValueError):
                chosen[name] = -1
            if chosen[name] < 0:
                raise CivillyError(
                    f"The option {name!r} of the method 'prompt' is {options[name]!r}.",
                    allowed="a number, 0 or above",
                )
        return cls(**chosen)


@cache
def examples(code: str) -> tuple[Example, ...]:
    """The examples of a language, from the package's data."""
    source = files("civilly.methods").joinpath("examples.jsonl").read_text(encoding="utf-8")
    rows = map(json.loads, source.splitlines())
    return tuple(Example(row["toxic"], row["neutral"]) for row in rows if row["lang"] == code)


def one_line(text: str) -> str:
    """The text on one line: spaces for line breaks, without control characters."""
    words = " ".join(text.split())
    return "".join(char for char in words if unicodedata.category(char) != "Cc")


def few_shot(
    text: Text, shots: Sequence[Example], instruction: str | None = None, *, ruder: bool = False
) -> Prompt:
    r"""The prompt for one text.

    Its form is ``instruction\n\nRude: "…"\nPolite: "…"\n\nRude: "text"\nPolite:``. The text is one
    line between quotation marks that it does not contain, so it cannot end its own quotation, nor
    add a line, nor pose as an example or an instruction. Its head is all but the text's own lines.

    Args:
        text: What is to be rewritten.
        shots: The examples, in order.
        instruction: In the text's language; None: that of `civilly.languages`.
        ruder: Ask for the other way: from the civil side to the rude one.
    """
    lang = language(text.lang)
    line = one_line(text.text)
    opening, closing = next(
        (pair for pair in _MARKS if not any(mark in line for mark in pair)), _MARKS[-1]
    )
    line = line.replace(opening, "").replace(closing, "")

    def quoted(words: str) -> str:
        return f"{opening}{words}{closing}"

    given, wanted = lang.toxic_label, lang.civil_label
    sides = [(shot.toxic, shot.neutral) for shot in shots]
    if ruder:
        given, wanted, sides = wanted, given, [(civil, rude) for rude, civil in sides]
    shown = [f"{given}: {quoted(one)}\n{wanted}: {quoted(other)}\n\n" for one, other in sides]
    head = "".join([f"{instruction or lang.instruction}\n\n", *shown])
    asked = f"{given}: {quoted(line)}\n{wanted}:"
    # Half a token per byte is more than any of the 15 languages needs, and leaves room to put
    # things another way.
    most = 24 + len(text.text.encode("utf-8", "replace")) // 2
    return Prompt((Segment(head + asked),), max_new_tokens=most, head=head)


class PromptRewriter:
    """Asks an engine that was never trained for the task.

    Args:
        tools: Gives the engine, which is opened when the first text needs it.

    Raises:
        CivillyError: If an option is wrong.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._settings = Settings.read(tools.options)
        self._decoding = Decoding.read(tools.options)
        self._opened: Engine | None = None

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """Up to ``n`` different candidates per text, in order; ``detections`` change nothing.

        There are none for a text without letters or beyond the longest length, and none where the
        model declined, did not finish, or gave something of quite another length.

        Raises:
            EngineError: If the engine fails.
            UnknownNameError: If a language is none of the 15.
        """
        asked = [index for index, text in enumerate(texts) if self._is_askable(text.text)]
        prompts = [self._prompt(texts[index]) for index in asked]
        answers: list[list[Candidate]] = [[] for _ in texts]
        if not prompts:
            return answers
        if self._opened is None:
            self._opened = self._tools.engine()
        made = self._opened.generate(prompts, self._options(n))
        for index, generations in zip(asked, made, strict=True):
            answers[index] = _candidates(texts[index], generations)
        return answers

    def _is_askable(self, text: str) -> bool:
        return len(text) <= self._settings.longest and any(map(str.isalpha, text))

    def _prompt(self, text: Text) -> Prompt:
        shots = examples(text.lang)[: self._settings.examples]
        return few_shot(text, shots)

    def _options(self, n: int) -> GenerationOptions:
        decoding = self._decoding
        if decoding.kind is None and decoding.temperature is None and n > 1:
            decoding = replace(decoding, kind="sample")
        return decoding.generation(n, stop=_STOP)


def _candidates(text: Text, generations: Sequence[Generation]) -> list[Candidate]:
    """The usable answers, each once, in order; an example's own answer is none."""
    lang = language(text.lang)
    shown = {shot.neutral for shot in examples(text.lang) if shot.toxic != text.text.strip()}
    found: dict[str, Candidate] = {}
    for generation in generations:
        rewrite = read_answer(generation.text, text.text, (lang.civil_label, lang.toxic_label))
        complete = generation.finished or "\n" in generation.text.strip()
        if not rewrite or not complete or rewrite in shown:
            continue
        if _is_plausible(rewrite, text.text):
            found.setdefault(rewrite, Candidate(rewrite, "prompt", generation.logprob))
    return list(found.values())


def _is_plausible(rewrite: str, text: str) -> bool:
    """Whether a rewrite has letters, and neither lost most of the text nor rambles on."""
    length = len(text.strip())
    return any(map(str.isalpha, rewrite)) and 0.15 * length <= len(rewrite) <= 2.5 * length + 30


OPTIONS = (
    *decoding.OPTIONS,
    Option("examples", "Examples in a prompt; a language has up to four."),
    Option("longest", "Longest text in characters that is sent to the engine."),
)


def create(tools: Tools) -> PromptRewriter:
    """The rewriter; see `OPTIONS`.

    One candidate is greedy, several are sampled, unless the option ``decoding`` says otherwise.

    Raises:
        CivillyError: If an option is wrong.
    """
    return PromptRewriter(tools)
