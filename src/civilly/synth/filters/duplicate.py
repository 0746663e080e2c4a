"""Near-duplicates: a row whose toxic or civil side an earlier row already has, nearly."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from civilly.data.leaks import GRAM, normalise
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 90
THRESHOLD = 0.3
AMONG_KEPT = True


def duplicate(samples: Sequence[Sample]) -> list[float | None]:
    """1 - the largest Jaccard similarity of character 4-grams to an earlier row that stays.

    Rows of one language are compared, side by side of the same kind; an earlier row that is itself
    a duplicate by the usual threshold does not count.
    """
    known: dict[tuple[str, str], _Known] = defaultdict(_Known)
    values: list[float | None] = []
    for sample in samples:
        sides = {"toxic": normalise(sample.toxic), "civil": normalise(sample.civil)}
        most = max(known[sample.lang, side].most_alike(text) for side, text in sides.items())
        values.append(1.0 - most)
        if 1.0 - most >= THRESHOLD:
            for side, text in sides.items():
                known[sample.lang, side].add(text)
    return values


class _Known:
    """Texts by their grams."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._having: dict[str, list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        grams = _grams(text)
        for gram in grams:
            self._having[gram].append(len(self._sizes))
        self._sizes.append(len(grams))

    def most_alike(self, text: str) -> float:
        grams = _grams(text)
        shared = Counter(row for gram in grams for row in self._having.get(gram, ()))
        return max(
            (both / (len(grams) + self._sizes[row] - both) for row, both in shared.items()),
            default=0.0,
        )


def _grams(text: str) -> set[str]:
    return {text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1))} if text else set()


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return duplicate
