"""Language drift: an answer in another language or script than its text."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 40
THRESHOLD = 0.2


def language(samples: Sequence[Sample]) -> list[float | None]:
    """How much of the text's own probability of being in its language the answer has, at most 1.

    A text that is itself hardly in its language (code-mixed, or mislabelled) asks for no more.
    """
    from civilly.detect.language import probabilities

    given = probabilities([sample.given for sample in samples])
    made = probabilities([sample.made for sample in samples])
    return [
        min(1.0, after[each.lang] / max(before[each.lang], 1e-6))
        for each, before, after in zip(samples, given, made, strict=True)
    ]


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return language
