"""Bootstrap intervals of means, of means over languages, and of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from civilly.data.values import short

RESAMPLES = 1_000
CONFIDENCE = 0.95
SEED = 12_345
Strata = Sequence[Sequence[float] | NDArray[np.float64]]
"""Values by stratum (language), in an order that the caller knows."""

_DRAWS_AT_ONCE = 1_000_000
"""Bounds the memory of a resampling; the numbers do not depend on it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its percentile bootstrap interval (Efron & Tibshirani 1993, §13.3).

    Attributes:
        mean: The plain mean; of several strata the plain mean of their means.
        low: Lower end: the 2.5th percentile of the resampled means at 95 % confidence. None where
            there is none to be had: one value says nothing about the spread, neither does an
            average over languages of which one has one value.
        high: Upper end: the 97.5th percentile; None like ``low``.
        n: Number of values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        """For tables: ``.512 [.498, .527]``, ``.512 [–]`` without an interval."""
        return f"{short(self.mean)} [{self.ends()}]"

    def ends(self, separator: str = ", ", digits: int = 3) -> str:
        """Both ends for people: ``.498, .527``; a dash where there is no interval."""
        if self.low is None or self.high is None:
            return "–"
        return f"{short(self.low, digits)}{separator}{short(self.high, digits)}"

    @property
    def span(self) -> tuple[float, float]:
        """Both ends for plots; the mean twice where there is no interval."""
        if self.low is None or self.high is None:
            return self.mean, self.mean
        return self.low, self.high

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval is above or below 0, else 0; also without one."""
        if self.low is None or self.high is None:
            return 0
        return (self.low > 0) - (self.high < 0)


def bootstrap_mean(
    values: Sequence[float],
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Interval:
    """The interval of the mean of ``values``; one seed gives the same numbers each time.

    Args:
        values: At least one number.
        resamples: How often to resample.
        confidence: Share of intervals that hold the true mean, in (0, 1).
        seed: Seed of the resampling.

    Raises:
        ValueError: If there are no values.
    """
    return bootstrap_average([values], resamples, confidence, seed)


def bootstrap_average(
    strata: Strata,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Interval:
    """The interval of the plain mean of the means of some strata (AvgP: nine languages).

    Every stratum is resampled on its own, since the languages are fixed and only their sentences
    are a sample (stratified bootstrap, Davison & Hinkley 1997, §3.2).

    Args:
        strata: At least one stratum, each of at least one number.
        resamples: How often to resample.
        confidence: Share of intervals that hold the true value, in (0, 1).
        seed: Seed of the resampling.

    Raises:
        ValueError: If there is no stratum, or one has no values.
    """
    data = as_strata(strata)
    means = resampled_averages(data, resamples, np.random.default_rng(seed))
    return interval_of(data, means, confidence)


def as_strata(strata: Strata) -> list[NDArray[np.float64]]:
    """The strata as arrays.

    Raises:
        ValueError: If there is no stratum, or one has no values.
    """
    data = [np.asarray(values, dtype=np.float64) for values in strata]
    if not data or any(values.size == 0 for values in data):
        raise ValueError("The mean of no values has no interval.")
    return data


def resampled_averages(
    strata: Sequence[NDArray[np.float64]], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The averages of the strata's means in each of ``resamples`` bootstrap samples."""
    total = np.zeros(resamples)
    for values in strata:
        step = max(1, _DRAWS_AT_ONCE // values.size)
        for start in range(0, resamples, step):
            rows = min(step, resamples - start)
            draws = rng.integers(0, values.size, (rows, values.size))
            total[start : start + rows] += values[draws].mean(axis=1)
    return total / len(strata)


def interval_of(
    strata: Sequence[NDArray[np.float64]], averages: NDArray[np.float64], confidence: float
) -> Interval:
    """The percentile interval of resampled averages around the plain one."""
    mean = float(np.mean([values.mean() for values in strata]))
    return percentile_interval(mean, averages, [values.size for values in strata], confidence)


def percentile_interval(
    mean: float,
    averages: NDArray[np.float64],
    sizes: Sequence[int],
    confidence: float = CONFIDENCE,
) -> Interval:
    """The percentile interval of resampled averages; none if a stratum has one value.

    Args:
        mean: The plain average.
        averages: The resampled ones.
        sizes: Number of values in each stratum.
        confidence: In (0, 1).
    """
    if min(sizes) < 2:
        return Interval(mean, None, None, sum(sizes))
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(averages, [tail, 100.0 - tail])
    return Interval(mean, float(low), float(high), sum(sizes))
