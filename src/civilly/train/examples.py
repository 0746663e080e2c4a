"""What a model is trained on, whoever made it: a prompt and the answer to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from civilly.data.pairs import Pair
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.types import Prompt


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its answer.

    Attributes:
        prompt: What the model reads.
        answer: What it is to say, and then end; perhaps nothing.
    """

    prompt: Prompt
    answer: str


def rewriting_examples(pairs: Iterable[Pair]) -> list[Example]:
    """The first civil side as answer to the toxic one, in order."""
    return [Example(tuned_prompt(pair.toxic, pair.lang), pair.neutral[0]) for pair in pairs]
