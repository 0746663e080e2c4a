"""Language drift: an answer in another language or script than its text."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 40
THRESHOLD = 0.2


def language(samples: Sequence[Sample]) -> list[float | None]:
    """How much of the text's own probability of being in its language the answer has, at most 1.

    A text that is itself hardly in its language (code-mixed, or mislabelled) asks for no more. Of
    an invented thread, each part is to be in it.
    """
    from civilly.detect.language import probabilities

    texts = list(dict.fromkeys(t for each in samples for t in (each.given, *each.written)))
    known = dict(zip(texts, probabilities(texts), strict=True))

    def value(each: Sample) -> float:
        asked = known[each.given][each.lang] if each.real else 1.0
        return min(1.0, min(known[text][each.lang] for text in each.written) / max(asked, 1e-6))

    return [value(each) for each in samples]


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return language
