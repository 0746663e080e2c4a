"""How well scores tell insults: area under the curve, precision at a recall, F1 of marked words.

For all latents at once on sparse activations: a latent that is silent scores 0, ties count half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Truths = NDArray[np.bool_]

RECALL = 0.5
"""Precision is taken where so many of the insults are found."""
LATENT_RECALL = 0.1
"""The same of single latents, which find few each."""


def area(scores: Values, truths: Truths) -> float:
    """Mann-Whitney's U over the number of pairs."""
    from scipy.stats import rankdata

    positives = int(truths.sum())
    negatives = len(truths) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)[truths].sum() - positives * (positives + 1) / 2
    return float(ranks / (positives * negatives))


def areas_of_draws(scores: Values, truths: Truths, times: NDArray[np.int64]) -> Values:
    """The area of each of several draws with replacement.

    Args:
        scores: [rows].
        truths: [rows].
        times: How often each draw has each row, [draws, rows].

    Returns:
        [draws]; NaN where one kind is missing.
    """
    order = np.argsort(scores, kind="stable")
    ties = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    drawn = times[:, order].astype(np.float64)
    true = np.add.reduceat(drawn * truths[order], ties, axis=1)
    false = np.add.reduceat(drawn * ~truths[order], ties, axis=1)
    below = np.cumsum(false, axis=1) - false / 2
    pairs = true.sum(axis=1) * false.sum(axis=1)
    found = np.full(len(times), np.nan)
    return np.asarray(np.divide((true * below).sum(axis=1), pairs, out=found, where=pairs > 0))


def precision_at(scores: Values, truths: Truths, recall: float) -> float:
    """Precision where rows from the highest limit on hold so many of the true ones."""
    positives = truths.sum()
    if not positives:
        return float("nan")
    limit = np.sort(scores[truths])[::-1][max(0, int(np.ceil(recall * positives)) - 1)]
    return float(truths[scores >= limit].mean())


def areas(latents: Any, truths: Truths) -> Values:
    """The area under the curve of each latent.

    Args:
        latents: Activations ≥ 0, a sparse matrix of scipy [rows, latents], in columns.
        truths: [rows].

    Returns:
        [latents]; NaN throughout where one kind is missing.
    """
    from scipy.stats import rankdata

    positives = int(truths.sum())
    negatives = len(truths) - positives
    found = np.full(latents.shape[1], np.nan)
    if not positives or not negatives:
        return found
    for number, (values, true) in enumerate(_columns(latents, truths)):
        hits = int(true.sum())
        missed = positives - hits
        silent = negatives - (len(values) - hits)
        above = rankdata(values)[true].sum() - hits * (hits + 1) / 2 if hits else 0.0
        found[number] = above + hits * silent + missed * silent / 2
    return found / (positives * negatives)


def precisions(latents: Any, truths: Truths, recall: float = LATENT_RECALL) -> Values:
    """The precision of each latent where it finds so many of the insults; see `areas`.

    A latent that fires on fewer of them has the share of all rows that are true.
    """
    wanted = int(np.ceil(recall * truths.sum()))
    found = np.full(latents.shape[1], float(truths.mean()) if len(truths) else np.nan)
    for number, (values, true) in enumerate(_columns(latents, truths)):
        if true.sum() >= wanted > 0:
            found[number] = precision_at(values, true, wanted / true.sum())
    return found


def _columns(latents: Any, truths: Truths) -> Any:
    """The values of each latent that fires, and which of these rows are true."""
    for start, end in zip(latents.indptr[:-1], latents.indptr[1:], strict=True):
        yield latents.data[start:end], truths[latents.indices[start:end]]


def highest_of(latents: Any, groups: NDArray[np.int64]) -> Any:
    """The highest activation of each latent in each group of rows, in columns.

    Args:
        latents: Sparse [rows, latents].
        groups: Ascending numbers, a group each; see `civilly.interpret.latents.streams.highest`.
    """
    from scipy.sparse import coo_matrix

    rows = latents.tocoo()
    own = np.cumsum(np.diff(groups, prepend=groups[0]) > 0)
    width = latents.shape[1]
    keys = own[rows.row].astype(np.int64) * width + rows.col
    order = np.lexsort((-rows.data, keys))
    first = np.flatnonzero(np.diff(keys[order], prepend=-1))
    keys, data = keys[order][first], rows.data[order][first]
    shape = (int(own[-1]) + 1, width)
    return coo_matrix((data, (keys // width, keys % width)), shape).tocsc()


def best_limit(scores: Values, truths: Truths, strata: NDArray[np.int64]) -> float:
    """The limit from which on marked rows have the best F1, on the mean over strata.

    Args:
        scores: [rows], as `civilly.interpret.latents.choice` makes them.
        truths: [rows].
        strata: [rows]; the language of each.

    Returns:
        One of the scores, above 0 where any is; else 1.
    """
    above = scores[scores > 0]
    if not len(above):
        return 1.0
    limits = np.unique(np.quantile(above, np.linspace(0, 0.999, 200)))
    means = np.zeros(len(limits))
    for stratum in np.unique(strata):
        own = strata == stratum
        means += _f1(scores[own], truths[own], limits)
    return float(limits[int(means.argmax())])


def _f1(scores: Values, truths: Truths, limits: Values) -> Values:
    """F1 of rows that reach each limit."""
    all_rows, true_rows = np.sort(scores), np.sort(scores[truths])
    marked = len(all_rows) - np.searchsorted(all_rows, limits)
    hits = len(true_rows) - np.searchsorted(true_rows, limits)
    return np.asarray(2 * hits / np.maximum(marked + len(true_rows), 1))
