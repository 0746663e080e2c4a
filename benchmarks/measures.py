"""What benchmarks measure alike: shares, areas and F1 with bootstrap intervals, and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RESAMPLES = 300
Floats = Any
Statistic = Callable[[Any], float]
"""Of row numbers."""


def interval(statistic: Statistic, groups: int | Sequence[Floats]) -> str:
    """``value [low, high]`` of a statistic of row numbers; 95 % bootstrap percentiles.

    Args:
        statistic: NaN where the rows do not define it; such draws are left out.
        groups: Row numbers that are drawn together, or how many rows there are.
    """
    if isinstance(groups, int):
        rows = np.arange(groups)
        groups = list(rows[:, None])
    if not len(groups):
        return "–"
    value = statistic(np.concatenate(groups))
    if np.isnan(value):
        return "–"
    rng = np.random.default_rng(0)
    drawn = [
        statistic(np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def rate(hits: Floats) -> str:
    """Share of hits with its interval; a dash without rows."""
    return interval(lambda i: float(np.mean(hits[i])), len(hits)) if len(hits) else "–"


def auc(scores: Floats, labels: Floats) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney), ties count half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = labels.sum()
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    area = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(area / (positives * negatives))


def f1(scores: Floats, labels: Floats) -> float:
    """F1 of the toxic class at p = 0.5."""
    flagged = scores >= 0.5
    hits = (flagged & (labels == 1)).sum()
    return float(2 * hits / max(flagged.sum() + (labels == 1).sum(), 1))


def table(head: Sequence[str], body: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
