"""The reader's judgement: how usable a careful reader would find the civil side."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.languages import says_something
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 80
THRESHOLD = 0.3


def create(tools: FilterTools) -> Measure:
    """The filter: the judge's `civilly.score.reader.Opinion.value` of the civil side."""

    def reading(samples: Sequence[Sample]) -> list[float | None]:
        from civilly.score.reader import load

        read = [each for each in samples if says_something(each.civil)]
        opinions = load().opinions([s.toxic for s in read], [s.civil for s in read])
        values = {id(each): opinion.value for each, opinion in zip(read, opinions, strict=True)}
        return [values.get(id(sample), 0.0) for sample in samples]

    return reading
