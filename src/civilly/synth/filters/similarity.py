"""Similarity: both sides must say the same, by the packaged sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.synth.filters import FilterTools, Measure, Sample
from civilly.types import Text

ORDER = 70
THRESHOLD = 0.4


def create(tools: FilterTools) -> Measure:
    """The filter: rescaled cosine of the two sides (`civilly.score.similarity`)."""

    def similarity(samples: Sequence[Sample]) -> list[float | None]:
        if not samples:
            return []
        texts = [Text(sample.given, sample.lang) for sample in samples]
        return [*tools.similarity.score(texts, [sample.made for sample in samples])]

    return similarity
