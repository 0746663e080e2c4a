"""Near-duplicates: a row whose toxic or civil side an earlier row already has, nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from civilly.data.leaks import normalise
from civilly.synth.alike import Known
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 90
THRESHOLD = 0.3
AMONG_KEPT = True


def duplicate(samples: Sequence[Sample]) -> list[float | None]:
    """1 - the largest Jaccard similarity of character 4-grams to an earlier row that stays.

    Rows of one language are compared, side by side of the same kind; an earlier row that is itself
    a duplicate by the usual threshold does not count.
    """
    known: dict[tuple[str, str], Known] = defaultdict(Known)
    values: list[float | None] = []
    for sample in samples:
        sides = {"toxic": normalise(sample.toxic), "civil": normalise(sample.civil)}
        most = max(known[sample.lang, side].most_alike(text) for side, text in sides.items())
        values.append(1.0 - most)
        if 1.0 - most >= THRESHOLD:
            for side, text in sides.items():
                known[sample.lang, side].add(text)
    return values


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return duplicate
