"""Toxicity change: the civil side must be far less toxic than the toxic side."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.synth.filters import FilterTools, Measure, Sample
from civilly.types import Text

ORDER = 60
THRESHOLD = 0.5


def create(tools: FilterTools) -> Measure:
    """The filter: the part of the toxic side's p(toxic) that is gone on the civil side."""

    def toxicity(samples: Sequence[Sample]) -> list[float | None]:
        toxic = tools.p_toxic([Text(sample.toxic, sample.lang) for sample in samples])
        civil = tools.p_toxic([Text(sample.civil, sample.lang) for sample in samples])
        return [
            max(0.0, (before - after) / before) if before > 0 else 0.0
            for before, after in zip(toxic, civil, strict=True)
        ]

    return toxicity
