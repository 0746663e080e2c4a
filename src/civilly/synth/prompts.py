"""What a model is asked, in the language of the text: detoxify, or toxify for hard negatives."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

from civilly.languages import CODES, language
from civilly.methods.answers import first_line
from civilly.methods.prompt import Example, examples, few_shot
from civilly.types import Prompt, Text

EXAMPLES = 3
"""Examples in a prompt if nobody says; a language has up to four."""


@dataclass(frozen=True, slots=True)
class Direction:
    """Which side is given and which is made.

    Attributes:
        name: ``detoxify``, ``toxify`` or ``threads``.
        use: What the rows may be used for: ``pairs`` to train on, or only ``hard_negatives``.
    """

    name: str
    use: str

    @property
    def makes_toxic(self) -> bool:
        """Whether the toxic side is what the model makes."""
        return self.name != "detoxify"

    @property
    def invents(self) -> bool:
        """Whether both sides are the model's."""
        return self.name == "threads"

    def sides(self, given: str, made: str) -> tuple[str, str]:
        """The toxic side and the civil side."""
        return (made, given) if self.makes_toxic else (given, made)


DETOXIFY = Direction("detoxify", "pairs")
TOXIFY = Direction("toxify", "hard_negatives")
"""Rewriters trained on toxic sides that a model made lose up to 30 % of J (arXiv:2509.08358): its
insults are few and alike. They serve to teach a classifier what is hard to tell apart."""
THREADS = Direction("threads", "hard_negatives")
"""Both sides are the model's; the civil one counts as given."""
DIRECTIONS: Mapping[str, Direction] = {each.name: each for each in (DETOXIFY, TOXIFY, THREADS)}


@cache
def instructions() -> Mapping[str, Mapping[str, str]]:
    """The instruction of each language, by direction."""
    text = files("civilly.synth").joinpath("instructions.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def prompt_for(text: Text, direction: Direction, shots: int = EXAMPLES) -> Prompt:
    """The prompt for one text; see `civilly.methods.prompt.few_shot`.

    Raises:
        UnknownNameError: If the language is none of the 15.
    """
    language(text.lang)
    return few_shot(
        text,
        shown_examples(text.lang, shots),
        instructions()[direction.name][text.lang],
        ruder=direction.makes_toxic,
    )


def shown_examples(lang: str, shots: int) -> tuple[Example, ...]:
    """The examples that a prompt in this language shows."""
    return examples(lang)[:shots]


def made_text(answer: str, text: Text) -> str:
    """What a model made of a text, out of its answer; empty if there is nothing."""
    lang = language(text.lang)
    return first_line(answer, text.text, (lang.civil_label, lang.toxic_label)) or ""


@cache
def prompt_version(direction: Direction, shots: int) -> str:
    """Names everything that prompts consist of but the texts, for provenance."""
    asked = [
        [instructions()[direction.name][code], *map(asdict, shown_examples(code, shots)),
         prompt_for(Text("text", code), direction, shots).text]
        for code in CODES
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()
    return f"{direction.name}-{digest[:12]}"
