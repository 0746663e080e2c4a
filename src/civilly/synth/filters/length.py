"""Length: an answer that is far shorter or longer than its text lost it or adds to it."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.languages import says_something
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 10
THRESHOLD = 0.35
SHORT_WORDS = 8
"""Characters that both sides count more than they have: of short texts the length says little."""


def length(samples: Sequence[Sample]) -> list[float | None]:
    """The shorter side's part of the longer one, in characters; 0 if nothing is said."""
    return [_ratio(sample.given, sample.made) for sample in samples]


def _ratio(given: str, made: str) -> float:
    if not says_something(made):
        return 0.0
    sizes = [len(text.strip()) + SHORT_WORDS for text in (given, made)]
    return min(sizes) / max(sizes)


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return length
