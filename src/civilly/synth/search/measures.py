"""How alike two samples of texts are, in six ways; each 1 for two halves of one set.

=========== ============================================================================
``words``   Jaccard of their vocabularies
``letters`` 1 - Jensen-Shannon divergence (Lin 1991, in bits) of their character 3-grams
``centre``  cosine of the centroids of their sentence embeddings, rescaled
``spread``  1 - MMD of their sentence embeddings (Gretton et al. 2012, RBF, unbiased)
``told``    2 - 2 · AUC of a classifier that tells them apart, cross-validated
``edits``   1 - Kolmogorov-Smirnov distance of how alike the sides of their pairs are
=========== ============================================================================

The first three depend on the size of the samples, so they are divided by what two halves of the
reference have, of the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from civilly.detect.words import words
from civilly.errors import MissingExtraError
from civilly.score.similarity import UNRELATED

GRAM = 3
FOLDS = 5
_STRENGTH = 0.01
"""Inverse regularisation of the classifier, on standardised embeddings."""

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts of one language with what is computed of each.

    Attributes:
        texts: The texts.
        words: Their words, in lower case.
        grams: Numbers of their character 3-grams, with repetitions.
        vectors: Unit vectors, [texts, width].
        edits: Of pairs, how alike both sides are, in [0, 1], NaN where a row has one side.
    """

    texts: tuple[str, ...]
    words: tuple[frozenset[str], ...]
    grams: tuple[Rows, ...]
    vectors: Floats
    edits: Floats

    def __len__(self) -> int:
        return len(self.texts)


class GramNumbers:
    """Numbers character n-grams in the order in which they are seen."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, text: str) -> Rows:
        """The numbers of a text's n-grams, blanks at both ends included."""
        plain = f" {' '.join(text.lower().split())} "
        grams = (plain[i : i + GRAM] for i in range(max(1, len(plain) - GRAM + 1)))
        return np.array([self._known.setdefault(g, len(self._known)) for g in grams], np.int64)


def sample_of(
    texts: Sequence[str],
    lang: str,
    vectors: Floats,
    numbers: GramNumbers,
    civil: Sequence[Sequence[str]] | None = None,
) -> Sample:
    """What is computed of texts once.

    Args:
        texts: At least one.
        lang: Their language.
        vectors: Their unit vectors.
        numbers: Shared by all samples that are compared.
        civil: Of pairs the civil sides of each.
    """
    from rapidfuzz.fuzz import ratio

    rows = civil or [()] * len(texts)
    edits = [
        max((ratio(text, side) / 100 for side in sides), default=np.nan)
        for text, sides in zip(texts, rows, strict=True)
    ]
    return Sample(
        tuple(texts),
        tuple(frozenset(t[a:b].lower() for a, b in words(t, lang)) for t in texts),
        tuple(map(numbers.of, texts)),
        vectors,
        np.array(edits),
    )


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Shared words by all words; 1 for two empty sets."""
    return len(left & right) / len(left | right) if left | right else 1.0


def vocabulary(sample: Sample, rows: Rows) -> frozenset[str]:
    """The words of some rows."""
    return frozenset().union(*(sample.words[i] for i in rows))


def counts(sample: Sample, rows: Rows, size: int) -> Floats:
    """Relative frequency of each n-gram in some rows, [size]."""
    found = np.bincount(np.concatenate([sample.grams[i] for i in rows]), minlength=size)
    return np.asarray(found / found.sum())


def divergence(left: Floats, right: Floats) -> float:
    """Jensen-Shannon divergence of two distributions in bits, in [0, 1]."""
    middle = (left + right) / 2

    def relative(one: Floats) -> float:
        there = one > 0
        return float(np.sum(one[there] * np.log2(one[there] / middle[there])))

    return min(1.0, max(0.0, (relative(left) + relative(right)) / 2))


def centre_cosine(left: Floats, right: Floats) -> float:
    """Cosine of two centroids, rescaled as `civilly.score.similarity` does, in [0, 1]."""
    one, other = left.mean(axis=0), right.mean(axis=0)
    cosine = one @ other / max(1e-12, float(np.linalg.norm(one) * np.linalg.norm(other)))
    return float(np.clip((cosine - UNRELATED) / (1.0 - UNRELATED), 0.0, 1.0))


def kernel(left: Floats, right: Floats) -> Floats:
    """RBF kernel of all rows of both, [n + m, n + m]; the median distance of ``left`` its width."""
    rows = np.concatenate([left, right])
    squared = np.maximum(0.0, 2.0 - 2.0 * rows @ rows.T)
    among = squared[: len(left), : len(left)]
    apart = among[np.triu_indices(len(left), 1)]
    width = float(np.median(apart)) if apart.size else 1.0
    return np.asarray(np.exp(-squared / max(width, 1e-9)))


def mmd(gram: Floats, left: Rows, right: Rows) -> float:
    """Maximum mean discrepancy of two samples, unbiased in its square, at least 0.

    Args:
        gram: A `kernel`.
        left: Rows of one sample, at least 2.
        right: Rows of the other, at least 2.
    """
    one, other = gram[np.ix_(left, left)], gram[np.ix_(right, right)]
    n, m = len(left), len(right)
    within = (one.sum() - np.trace(one)) / (n * (n - 1))
    within += (other.sum() - np.trace(other)) / (m * (m - 1))
    between = gram[np.ix_(left, right)].mean()
    return float(np.sqrt(max(0.0, within - 2 * between)))


def told_apart(left: Floats, right: Floats, seed: int) -> Floats:
    """Log odds of each row to be of ``right``, from a classifier that did not see it, [n + m].

    Logistic regression on standardised sentence embeddings, `FOLDS` folds.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise MissingExtraError("Comparing data sets", "train", str(error.name)) from error
    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=1000),
    )
    rows = np.concatenate([left, right])
    sides = np.repeat([0, 1], [len(left), len(right)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(model, rows, sides, cv=folds, method="decision_function"))


def area(low: Floats, high: Floats) -> float:
    """Area under the ROC curve: how often one of ``high`` is above one of ``low``, ties half."""
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, side="left")
    upto = np.searchsorted(ordered, high, side="right")
    return float((below + upto).sum() / (2 * len(low) * len(high)))


def furthest(left: Floats, right: Floats) -> float:
    """Kolmogorov-Smirnov distance of two samples of numbers, in [0, 1]."""
    both = np.concatenate([left, right])
    one = np.searchsorted(np.sort(left), both, side="right") / len(left)
    other = np.searchsorted(np.sort(right), both, side="right") / len(right)
    return float(np.abs(one - other).max())
