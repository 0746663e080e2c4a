"""All pairs of systems of a column at once: intervals and paired tests from shared resamples.

The numbers are those of `civilly.score.intervals.bootstrap_average` and
`civilly.score.significance.approximate_randomisation`, from the same seeds. What is drawn does not
depend on the scores, so one draw serves every system and measure: twenty systems on 9,000
sentences take seconds, pair by pair they would take an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from civilly.score.intervals import RESAMPLES, SEED, Interval, percentile_interval
from civilly.score.significance import TRIALS, holm

LEVEL = 0.05
"""A difference is significant if its corrected p-value is below this."""
TRIALS_PER_PAIR = 100
"""With fewer, Holm's correction of many pairs could not reach the level whatever the difference."""

_CELLS_AT_ONCE = 1_000_000
_TIE = 1e-12
"""Means that differ by less than this share of the mean difference are equal but for rounding."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same sentences.

    Attributes:
        first: Index of a system.
        second: Index of another.
        difference: Mean of first - second, with its paired bootstrap interval.
        p: Two-sided p-value of approximate randomisation, Holm-corrected over all pairs.
    """

    first: int
    second: int
    difference: Interval
    p: float

    @property
    def significant(self) -> bool:
        """Whether one of them is better at the level of 5 %."""
        return self.p < LEVEL


def means_and_comparisons(
    strata: Sequence[Array],
) -> list[tuple[list[Interval], list[Comparison]]]:
    """The mean of every system with its interval, and all pairs of systems, for each measure.

    Args:
        strata: Per language the scores, sentences × measures × systems; every language weighs the
            same.

    Returns:
        Per measure: an interval per system, and a comparison per pair.
    """
    measures, systems = strata[0].shape[1:]
    flat = [scores.reshape(len(scores), -1) for scores in strata]
    drawn = _bootstrap(flat).reshape(-1, measures, systems)
    pairs = systems * (systems - 1) // 2
    flipped = _flip(flat, max(TRIALS, TRIALS_PER_PAIR * pairs)).reshape(-1, measures, systems)
    return [
        _of_measure([scores[:, m] for scores in strata], drawn[:, m], flipped[:, m])
        for m in range(measures)
    ]


def _of_measure(
    strata: Sequence[Array], drawn: Array, flipped: Array
) -> tuple[list[Interval], list[Comparison]]:
    sizes = [len(scores) for scores in strata]
    means = np.mean([scores.mean(axis=0) for scores in strata], axis=0)
    intervals = [
        percentile_interval(float(means[s]), drawn[:, s], sizes) for s in range(means.size)
    ]
    pairs = list(combinations(range(means.size), 2))
    found = []
    for a, b in pairs:
        size = np.mean([np.abs(scores[:, a] - scores[:, b]).mean() for scores in strata])
        least = abs(means[a] - means[b]) - _TIE * size
        extreme = int((np.abs(flipped[:, a] - flipped[:, b]) >= least).sum())
        found.append((1 + extreme) / (1 + len(flipped)))
    return intervals, [
        Comparison(
            a,
            b,
            percentile_interval(float(means[a] - means[b]), drawn[:, a] - drawn[:, b], sizes),
            p,
        )
        for (a, b), p in zip(pairs, holm(found) if found else [], strict=True)
    ]


def _bootstrap(strata: Sequence[Array]) -> Array:
    """Resampled averages, resamples × columns; each language is resampled on its own."""
    rng = np.random.default_rng(SEED)
    total = np.zeros((RESAMPLES, strata[0].shape[1]))
    for scores in strata:
        size = len(scores)
        for rows in _chunks(RESAMPLES, size):
            draws = rng.integers(0, size, (len(rows), size))
            cells = (draws + size * np.arange(len(rows))[:, None]).ravel()
            often = np.bincount(cells, minlength=len(rows) * size).reshape(len(rows), size)
            total[rows.start : rows.stop] += often @ scores / size
    return total / len(strata)


def _flip(strata: Sequence[Array], trials: int) -> Array:
    """Averages after random flips of the sign of each sentence, trials × columns.

    The difference of two columns is the average of their differences under the same flips.
    """
    rng = np.random.default_rng([SEED, 1])
    shares = np.concatenate([scores / (len(strata) * len(scores)) for scores in strata])
    flipped = np.empty((trials, shares.shape[1]))
    for rows in _chunks(trials, len(shares)):
        signs = rng.integers(0, 2, (len(rows), len(shares)), dtype=np.int8) * 2.0 - 1.0
        flipped[rows.start : rows.stop] = signs @ shares
    return flipped


def _chunks(rows: int, width: int) -> Iterator[range]:
    step = max(1, _CELLS_AT_ONCE // width)
    return (range(start, min(start + step, rows)) for start in range(0, rows, step))
