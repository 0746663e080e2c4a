"""Is one system better than another? Paired tests on the scores of the same sentences.

Two tests that assume no distribution, both two-sided, with p-values that are never zero,
``(1 + extreme) / (1 + trials)`` (Phipson & Smyth 2010):

* the paired bootstrap (Koehn 2004): sentences are drawn again with replacement; the differences are
  centred so that the null hypothesis holds (Efron & Tibshirani 1993, algorithm 16.2);
* approximate randomisation (Noreen 1989; Riezler & Maxwell 2005): under the null hypothesis the two
  systems' scores of a sentence may be exchanged, which flips the sign of their difference.

The statistic is the mean difference in one language, or the plain mean of the mean differences in
several ("strata"): each language then weighs the same, however many sentences it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from civilly.score.intervals import (
    CONFIDENCE,
    SEED,
    Interval,
    Strata,
    as_strata,
    interval_of,
    resampled_averages,
)

TRIALS = 10_000
POWER = 0.8
_FLIPS_AT_ONCE = 1_000_000
_TIE = 1e-12
"""Averages that differ by less than this share of the mean size are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """System B against system A on the same sentences.

    Attributes:
        mean_a: Mean score of A.
        mean_b: Mean score of B.
        difference: B - A with its bootstrap interval; ``n`` counts the sentences.
        p_bootstrap: p-value of the paired bootstrap.
        p_randomisation: p-value of approximate randomisation.
        needed: Sentences (per language) that would show this difference; None if there is none.
    """

    mean_a: float
    mean_b: float
    difference: Interval
    p_bootstrap: float
    p_randomisation: float
    needed: int | None


def compare(
    a: Strata,
    b: Strata,
    trials: int = TRIALS,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
    power: float = POWER,
) -> Comparison:
    """Compares two systems in one language, or averaged over several.

    Args:
        a: Scores of system A: one sequence per language.
        b: Scores of system B for the same sentences in the same order.
        trials: Bootstrap samples, and sign flips.
        confidence: Of the interval, in (0, 1); the power is that of a test at ``1 - confidence``.
        seed: Seed of both tests.
        power: Chance to find the difference that ``needed`` sentences give, in (0, 1).

    Raises:
        ValueError: If there are no scores, or A and B have not the same number of them.
    """
    before, after = as_strata(a), as_strata(b)
    if [x.size for x in before] != [y.size for y in after]:
        raise ValueError("Paired scores must be as many for A as for B, language by language.")
    differences = [y - x for x, y in zip(before, after, strict=True)]
    interval, p_bootstrap = paired_bootstrap(differences, trials, confidence, seed)
    return Comparison(
        float(np.mean([x.mean() for x in before])),
        float(np.mean([y.mean() for y in after])),
        interval,
        p_bootstrap,
        approximate_randomisation(differences, trials, seed),
        sentences_needed(differences, power, 1.0 - confidence),
    )


def paired_bootstrap(
    differences: Strata,
    trials: int = TRIALS,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> tuple[Interval, float]:
    """The percentile interval of the mean difference, and the two-sided p-value.

    Where a language has one sentence there is no interval, and the p-value is 1.

    Args:
        differences: Per language, the differences of the paired scores.
        trials: How often to resample.
        confidence: Of the interval, in (0, 1).
        seed: Seed of the resampling.
    """
    data = as_strata(differences)
    averages = resampled_averages(data, trials, np.random.default_rng(seed))
    interval = interval_of(data, averages, confidence)
    if interval.low is None:
        return interval, 1.0
    return interval, _p_value(averages - interval.mean, interval.mean, _size(data))


def approximate_randomisation(
    differences: Strata,
    trials: int = TRIALS,
    seed: int = SEED,
) -> float:
    """The two-sided p-value of the mean difference under random flips of its signs.

    Args:
        differences: Per language, the differences of the paired scores.
        trials: How often to flip.
        seed: Seed of the flips.
    """
    data = as_strata(differences)
    # One sentence's share in the statistic: 1 / (languages · sentences of its language).
    shares = np.concatenate([values / (len(data) * values.size) for values in data])
    rng = np.random.default_rng([seed, 1])  # not the stream of the bootstrap
    observed = shares.sum()
    flipped = np.empty(trials)
    step = max(1, _FLIPS_AT_ONCE // shares.size)
    for start in range(0, trials, step):
        rows = min(step, trials - start)
        signs = rng.integers(0, 2, (rows, shares.size), dtype=np.int8) * 2.0 - 1.0
        flipped[start : start + rows] = signs @ shares
    return _p_value(flipped, observed, _size(data))


def _size(strata: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([np.abs(values).mean() for values in strata]))


def _p_value(null: NDArray[np.float64], observed: float, size: float) -> float:
    extreme = int((np.abs(null) >= abs(observed) - _TIE * size).sum())
    return (1 + extreme) / (1 + null.size)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that the chance of any false claim among them stays below the level.

    Step-down of Holm (1979); in the given order.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _in_place(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that the expected share of false claims stays below the level.

    Step-up of Benjamini & Hochberg (1995); in the given order.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(-p, kind="stable")
    stepped = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    return _in_place(stepped, order)


CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}
"""Corrections of several p-values, by name."""


def _in_place(sorted_values: NDArray[np.float64], order: NDArray[np.intp]) -> list[float]:
    corrected = np.empty_like(sorted_values)
    corrected[order] = np.minimum(sorted_values, 1.0)
    return [float(value) for value in corrected]


def sentences_needed(
    differences: Strata,
    power: float = POWER,
    alpha: float = 0.05,
) -> int | None:
    """How many sentences per language would show a mean difference as large as this one.

    ``n = (z(1 - alpha/2) + z(power))² · s² / d² + z(1 - alpha/2)² / (2 L)``, rounded up: the size
    of a paired two-sided t-test from the normal approximation with the small-sample term of
    Guenther (1981, The American Statistician 35); d is the mean difference, s the standard
    deviation of the paired differences, L = 1. Averaged over L languages ``s² = Σ s_l² / L²``, and
    the small-sample term has L times the degrees of freedom. It plans the next test set; it says
    nothing about this one beyond its p-value.

    Args:
        differences: Per language, the differences of the paired scores.
        power: Chance to find the difference, in (0, 1).
        alpha: Level of the test, in (0, 1).

    Returns:
        At least 2; None if the mean difference is 0, or a language has a single sentence.
    """
    data = as_strata(differences)
    mean = float(np.mean([values.mean() for values in data]))
    if abs(mean) <= _TIE * _size(data) or any(values.size < 2 for values in data):
        return None
    variance = sum(float(values.var(ddof=1)) for values in data) / len(data) ** 2
    z_level, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    size = (z_level + z_power) ** 2 * variance / mean**2 + z_level**2 / (2 * len(data))
    return max(2, math.ceil(size))
