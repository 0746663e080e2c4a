"""Echo: an answer that is the text itself, or holds words of the instruction or an example."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.data.leaks import normalise
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 20
THRESHOLD = 0.6
GRAM = 8
"""Characters of a stretch that is looked for in the prompt, without spaces and punctuation."""


def echo(samples: Sequence[Sample]) -> list[float | None]:
    """1 - the part of an answer's stretches that the prompt has and the text has not.

    An answer that says the same as the text, but for case and punctuation, has 0.
    """
    return [1.0 - _echoed(each) for each in samples]


def _echoed(sample: Sample) -> float:
    if normalise(sample.made) == normalise(sample.given):
        return 1.0
    known = _grams(normalise(sample.prompt)) - _grams(normalise(sample.real))
    return max(_part(_grams(normalise(text)), known) for text in sample.written)


def _part(grams: set[str], known: set[str]) -> float:
    return len(grams & known) / len(grams) if grams else 0.0


def _grams(text: str) -> set[str]:
    return {text[start : start + GRAM] for start in range(len(text) - GRAM + 1)}


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return echo
