"""Compares a set's sample with the reference's, again and again on random halves, and ranks sets.

The halves are drawn without replacement: repeated rows would make every measure lie. A half varies
about the whole as a bootstrap sample does (delete-half jackknife, Shao & Wu 1989; subsampling,
Politis & Romano 1994), so percentiles over the draws are the intervals. The halves of the
reference are the same for all sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from civilly.score.intervals import Interval, percentile_interval
from civilly.synth.search.measures import (
    Floats,
    Rows,
    Sample,
    area,
    centre_cosine,
    counts,
    divergence,
    furthest,
    jaccard,
    kernel,
    mmd,
    told_apart,
    vocabulary,
)

DRAWS = 200
LEAST = 40
"""Rows that a set must have in a language to be compared."""
MEASURES = ("words", "letters", "centre", "spread", "told", "labels", "edits")
"""Of `civilly.synth.search.measures`, and ``labels``: 2 · AUC - 1 of the detector's p(toxic)
against the set's own labels, or the sides of its pairs."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A set in one language, compared.

    Attributes:
        name: Of the set.
        rows: Texts compared.
        similarities: Of each measure the similarity in each draw, [DRAWS]; only those that apply.
        raw: Each measure as the field gives it, mean over the draws: Jaccard, divergence, cosine,
            MMD, AUC, AUC, distance.
    """

    name: str
    rows: int
    similarities: Mapping[str, Floats]
    raw: Mapping[str, float]

    @property
    def scores(self) -> Floats:
        """The score of each draw: the mean of the similarities, in [0, 1]."""
        return np.asarray(np.mean([*self.similarities.values()], axis=0))

    @property
    def score(self) -> Interval:
        """The mean score with its interval."""
        return interval(self.scores, self.rows)

    def similarity(self, measure: str) -> Interval | None:
        """A measure's similarity with its interval; None where it does not apply."""
        found = self.similarities.get(measure)
        return None if found is None else interval(found, self.rows)


def interval(draws: Floats, rows: int) -> Interval:
    """The mean of draws and their percentiles."""
    return percentile_interval(float(np.mean(draws)), draws, [rows])


def compare(
    name: str,
    ours: Sample,
    theirs: Sample,
    opinions: tuple[Floats, Floats],
    grams: int,
    seed: int,
) -> Compared:
    """Compares a set with the reference, both in one language.

    Args:
        name: Of the set.
        ours: The reference, at least `LEAST` texts.
        theirs: The set, at least `LEAST` texts.
        opinions: The detector's p(toxic) of rows that the set calls toxic, and of those that it
            calls civil; none where it has no labels.
        grams: How many n-grams there are.
        seed: Of the draws.
    """
    toxic, civil = opinions
    n, size = len(ours), min(len(ours), len(theirs)) // 2
    gram = kernel(ours.vectors, theirs.vectors)
    odds = told_apart(ours.vectors, theirs.vectors, seed)
    labelled = min(len(toxic), len(civil)) >= LEAST
    edited = [each[~np.isnan(each)] for each in (ours.edits, theirs.edits)]
    paired = min(map(len, edited)) >= LEAST
    kinds = [m for m in MEASURES if (m != "labels" or labelled) and (m != "edits" or paired)]
    similarities = {measure: np.zeros(DRAWS) for measure in kinds}
    raw = {measure: np.zeros(DRAWS) for measure in kinds}
    chance, halves = np.random.default_rng([seed, 1]), np.random.default_rng(seed)
    for draw in range(DRAWS):
        order = halves.permutation(n)
        half, other = order[:size], order[size : 2 * size]
        drawn = chance.permutation(len(theirs))[:size]
        found = {
            **_of_texts(ours, theirs, half, other, drawn, grams),
            "spread": _spread(mmd(gram, half, n + drawn)),
            "told": _told(area(odds[half], odds[n + drawn])),
        }
        if labelled:
            found["labels"] = _labels(area(_half(civil, chance), _half(toxic, chance)))
        if paired:
            distance = furthest(_half(edited[0], chance), _half(edited[1], chance))
            found["edits"] = (distance, 1.0 - distance)
        for measure, (value, similarity) in found.items():
            raw[measure][draw], similarities[measure][draw] = value, similarity
    return Compared(
        name, len(theirs), similarities, {m: float(values.mean()) for m, values in raw.items()}
    )


def _of_texts(
    ours: Sample, theirs: Sample, half: Rows, other: Rows, drawn: Rows, grams: int
) -> dict[str, tuple[float, float]]:
    """The measures that depend on the size, each with its similarity: by what two halves have."""
    known = vocabulary(ours, half)
    words = jaccard(known, vocabulary(theirs, drawn))
    letters = counts(ours, half, grams)
    apart = divergence(letters, counts(theirs, drawn, grams))
    centre = centre_cosine(ours.vectors[half], theirs.vectors[drawn])
    usual = (
        jaccard(known, vocabulary(ours, other)),
        1.0 - divergence(letters, counts(ours, other, grams)),
        centre_cosine(ours.vectors[half], ours.vectors[other]),
    )
    shares = [
        min(1.0, value / max(most, 1e-9))
        for value, most in zip((words, 1.0 - apart, centre), usual, strict=True)
    ]
    return {
        "words": (words, shares[0]),
        "letters": (apart, shares[1]),
        "centre": (centre, shares[2]),
    }


def _spread(distance: float) -> tuple[float, float]:
    return distance, max(0.0, 1.0 - distance)


def _told(auc: float) -> tuple[float, float]:
    return auc, 2.0 - 2.0 * max(auc, 0.5)


def _labels(auc: float) -> tuple[float, float]:
    return auc, max(0.0, 2.0 * auc - 1.0)


def _half(values: Floats, chance: np.random.Generator) -> Floats:
    return chance.permutation(values)[: len(values) // 2]


def ranks(compared: Sequence[Compared]) -> list[tuple[int, int]]:
    """The interval of the rank of each set, 1 for the highest score, in order."""
    if not compared:
        return []
    scores = np.stack([each.scores for each in compared])
    places = 1 + np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0)
    low, high = np.percentile(places, [2.5, 97.5], axis=1, method="nearest")
    return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]
