"""Bootstrap intervals of means and of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1_000
SEED = 12_345


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % percentile bootstrap interval (Efron & Tibshirani 1993).

    Attributes:
        mean: The plain mean.
        low: 2.5th percentile of the resampled means.
        high: 97.5th percentile.
        n: Number of values.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """For tables: ``.512 [.498, .527]``."""
        numbers = [f"{x:.3f}".replace("0.", ".", 1) for x in (self.mean, self.low, self.high)]
        return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def bootstrap_mean(values: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """The interval of the mean of ``values``; a fixed seed gives the same numbers each time.

    Args:
        values: At least one number.
        resamples: How often to resample.

    Raises:
        ValueError: If there are no values.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise ValueError("The mean of no values has no interval.")
    draws = np.random.default_rng(SEED).integers(0, data.size, (resamples, data.size))
    means = data[draws].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high), int(data.size))
