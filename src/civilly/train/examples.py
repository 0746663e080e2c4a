"""What a model is trained on, whoever made it: a prompt and the answer to it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from civilly.data.pairs import Pair
from civilly.methods.tuned_prompt import rude_words, tuned_prompt
from civilly.types import Detector, Prompt, Text


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


def marked_examples(
    pairs: Sequence[Pair], detector: Detector, share: float, seed: int
) -> list[Example]:
    """As `rewriting_examples`, with the rude words told in some of the prompts.

    Args:
        pairs: What is learnt.
        detector: Finds the words; where it finds none, none are told.
        share: Of the prompts that tell them, in [0, 1]; the others teach to do without.
        seed: Of the choice.
    """
    rng = random.Random(seed)
    found = detector.detect([Text(pair.toxic, pair.lang) for pair in pairs])
    told = [
        rude_words(pair.toxic, detection.spans) if rng.random() < share else ()
        for pair, detection in zip(pairs, found, strict=True)
    ]
    return [
        Example(tuned_prompt(pair.toxic, pair.lang, words), pair.neutral[0])
        for pair, words in zip(pairs, told, strict=True)
    ]
