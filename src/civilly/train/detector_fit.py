"""Fits the toxicity model of one language: word scores from sentence labels.

Multiple-instance logistic regression: a sentence is a bag of tokens, a token's score is linear in
its hashed features, and the bag's logit is ``civilly.detect.toxicity.pool`` of the scores, which is
dominated by the worst token. So labels of sentences teach scores of words. Pairs add a ranking
loss: the toxic side above its civil twin. Trained by AdaGrad (Duchi et al. 2011) in mini-batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.detect.features import BITS, Features, extract
from civilly.detect.toxicity import Pooling, pool
from civilly.train.detector_data import Example

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model of one language.

    Attributes:
        weights: float32 [2 ** BITS]; the table of feature weights.
        pooling: How token scores become the logit of a text.
    """

    weights: Floats
    pooling: Pooling

    def logits(self, features: Features) -> NDArray[np.float64]:
        """Uncalibrated logits of the texts behind ``features``."""
        gathered = self.weights[features.bucket] * features.value
        scores = np.bincount(features.token, gathered, len(features.texts)).astype(np.float64)
        return pool(scores, features.texts, len(features.normalised), self.pooling)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts of one step; twins stand directly behind their toxic side."""

    forward: Any  # scipy CSR [tokens, buckets]
    backward: Any  # its transpose
    texts: NDArray[np.int64]  # the text of each token
    examples: NDArray[np.int64]  # the example of each text
    labels: Floats
    weights: Floats
    leaders: NDArray[np.int64]  # positions whose successor is their twin


class Problem:
    """The training texts of one language with their features, extracted once.

    Args:
        examples: Texts with labels, weights and twins.
        lang: Their language.
        options: The recipe's table ``fit``: epochs, batch, rate, decay, ranking, share.
        seed: Seed of the order of the texts.
    """

    def __init__(
        self, examples: Sequence[Example], lang: str, options: Mapping[str, Any], seed: int
    ) -> None:
        self.examples = examples
        self._options = options
        self._seed = seed
        order = np.random.default_rng(seed).permutation(len(examples))
        size = options["batch"]
        self._batches = [
            _batch([(int(i), examples[i]) for i in order[first : first + size]], lang)
            for first in range(0, len(order), size)
        ]

    def fit(self, left_out: NDArray[np.bool_] | None = None) -> Fit:
        """Trains; unquantised weights and the pooling constants.

        Args:
            left_out: bool [examples]; the examples to ignore. None ignores none.
        """
        rng = np.random.default_rng(self._seed)
        kept = np.ones(len(self.examples), np.float32) if left_out is None else ~left_out
        batches, options = self._batches, self._options
        total = sum(len(batch.labels) for batch in batches)
        weights = np.zeros(1 << BITS, dtype=np.float32)
        squares = np.full(1 << BITS, 1e-4, dtype=np.float32)
        share, bias = options["share"], -2.0
        share_square, bias_square = 1e-4, 1e-4
        rate = options["rate"]
        decay = options["decay"] * total / len(batches)
        for _ in range(options["epochs"]):
            for index in rng.permutation(len(batches)):
                batch = batches[index]
                importance = batch.weights * kept[batch.examples]
                scores = (batch.forward @ weights).astype(np.float64)
                token_gradient, share_gradient, bias_gradient = _gradients(
                    batch, importance, scores, Pooling(bias, share), options
                )
                gradient = batch.backward @ token_gradient + decay * weights
                squares += gradient * gradient
                weights -= rate * gradient / np.sqrt(squares)
                bias_square += bias_gradient**2
                bias -= rate * bias_gradient / bias_square**0.5
                share_square += share_gradient**2
                share = max(0.0, share - 0.3 * rate * share_gradient / share_square**0.5)
        return Fit(weights, Pooling(bias, share))


def _gradients(
    batch: _Batch,
    importance: Floats,
    scores: NDArray[np.float64],
    pooling: Pooling,
    options: Mapping[str, Any],
) -> tuple[Floats, float, float]:
    """Gradients of the loss by token scores, by ``share`` and by ``bias``."""
    size = len(batch.labels)
    logits = pool(scores, batch.texts, size, pooling)
    probabilities = 1 / (1 + np.exp(-logits))
    by_logit = importance * (probabilities - batch.labels)
    bias_gradient = float(by_logit.sum())
    margin = logits[batch.leaders] - logits[batch.leaders + 1]
    push = options["ranking"] * importance[batch.leaders] / (1 + np.exp(margin))
    by_logit[batch.leaders] -= push
    by_logit[batch.leaders + 1] += push

    roots = np.sqrt(np.maximum(np.bincount(batch.texts, minlength=size), 1))
    means = np.bincount(batch.texts, scores, minlength=size) / roots
    worst = np.zeros(size)
    np.maximum.at(worst, batch.texts, scores)
    lifted = np.exp(scores - worst[batch.texts])
    mass = np.exp(-worst) + np.bincount(batch.texts, lifted, minlength=size)
    responsibility = lifted / mass[batch.texts] + pooling.share / roots[batch.texts]
    token_gradient = (by_logit[batch.texts] * responsibility).astype(np.float32)
    return token_gradient, float((by_logit * means).sum()), bias_gradient


def _batch(numbered: Sequence[tuple[int, Example]], lang: str) -> _Batch:
    """Lays out examples, each followed by its twin if it has one."""
    from scipy.sparse import csr_matrix

    rows: list[tuple[str, int, float, float]] = []
    leaders: list[int] = []
    for index, example in numbered:
        rows.append((example.text, index, float(example.toxic), example.weight))
        if example.twin is not None:
            leaders.append(len(rows) - 1)
            rows.append((example.twin, index, 0.0, example.weight))
    texts, examples, labels, weights = zip(*rows, strict=True)
    features = extract(texts, lang)
    forward = csr_matrix(
        (features.value, (features.token, features.bucket)),
        shape=(len(features.texts), 1 << BITS),
        dtype=np.float32,
    )
    return _Batch(
        forward,
        forward.T.tocsr(),
        features.texts,
        np.array(examples, dtype=np.int64),
        np.array(labels, dtype=np.float32),
        np.array(weights, dtype=np.float32),
        np.array(leaders, dtype=np.int64),
    )
