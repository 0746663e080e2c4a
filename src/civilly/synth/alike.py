"""How much texts are alike: the Jaccard similarity of their character 4-grams."""

from __future__ import annotations

from collections import Counter, defaultdict

from civilly.data.leaks import GRAM


class Known:
    """Normalised texts by their grams, in the order in which they were added."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._having: dict[str, list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        """Adds a text."""
        grams = _grams(text)
        for gram in grams:
            self._having[gram].append(len(self._sizes))
        self._sizes.append(len(grams))

    def most_alike(self, text: str, besides: int | None = None) -> float:
        """The similarity to the most similar text, in [0, 1]; 0 without any.

        Args:
            text: Normalised (`civilly.data.leaks.normalise`).
            besides: Number of a text that does not count, from 0.
        """
        grams = _grams(text)
        shared = Counter(row for gram in grams for row in self._having.get(gram, ()))
        return max(
            (
                both / (len(grams) + self._sizes[row] - both)
                for row, both in shared.items()
                if row != besides
            ),
            default=0.0,
        )


def _grams(text: str) -> set[str]:
    return {text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1))} if text else set()
