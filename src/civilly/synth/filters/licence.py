"""Licence: the text's own licence, and the model's terms, must allow what is to be done."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.data.corpus.licences import refused_licences
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 0
THRESHOLD = 1.0


def create(tools: FilterTools) -> Measure:
    """The filter: 1 if all licences that apply are among the allowed ones, else 0."""

    def licence(samples: Sequence[Sample]) -> list[float | None]:
        return [float(not refused_licences(each.licence, tools.licences)) for each in samples]

    return licence
