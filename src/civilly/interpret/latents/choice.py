"""Chooses latents and directions that tell insults, and the controls that they are measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from civilly.errors import ModelError
from civilly.interpret.latents.measures import areas, best_limit
from civilly.interpret.latents.streams import Floats, Tokens, firsts, highest
from civilly.model.sparse.toxic import About, Toxic, ToxicDirection, ToxicLatents, part_of

if TYPE_CHECKING:
    from civilly.model.sparse.autoencoder import SparseAutoencoder

Truths = NDArray[np.bool_]
Values = NDArray[np.float64]

CANDIDATES = 256
"""Latents of the best areas among which the sparse probe chooses."""
_PATH = tuple(10.0 ** np.linspace(-4.5, -2, 11))
"""Inverse strengths of the L1 penalty, from few latents to many."""
_ROUNDS = 6
_RIDGE = 1.0
NEAR_RATES = 12
"""A random latent is one of so many whose firing rates are nearest."""
CHOOSE, CALIBRATE = 0, 1


@dataclass(frozen=True, slots=True)
class Chosen:
    """Latents with weights, strongest first.

    Attributes:
        numbers: Of the latents.
        weights: Log odds per unit of activation, > 0, [latents].
    """

    numbers: list[int]
    weights: Values


def weights_of(tokens: Tokens, rows: Truths) -> Values:
    """How much each row counts: all languages alike, and in each insults like the rest."""
    made = np.zeros(len(tokens))
    for language in np.unique(tokens.language[rows]):
        for kind in (True, False):
            own = rows & (tokens.language == language) & (tokens.toxic == kind)
            made[own] = 1 / max(1, own.sum())
    return np.asarray(made[rows] / made[rows].mean())


def language_areas(latents: Any, tokens: Tokens, rows: Truths) -> Values:
    """Areas of each latent by language, [languages, latents], in order of their index.

    Args:
        latents: Sparse activations of all tokens, in rows.
        tokens: All tokens.
        rows: Which count.
    """
    found = [
        areas(latents[own].tocsc(), tokens.toxic[own])
        for language in np.unique(tokens.language[rows])
        if len(own := np.flatnonzero(rows & (tokens.language == language)))
    ]
    return np.stack(found)


def choose_latents(latents: Any, tokens: Tokens, rows: Truths, most: int) -> Chosen:
    """The latents of a sparse probe: L1-penalised logistic regression, weights above 0 only.

    Args:
        latents: Sparse activations of all tokens, in rows.
        tokens: All tokens.
        rows: Which are learnt from.
        most: At most so many latents are chosen.

    Raises:
        ModelError: If no latent tells insults.
    """
    means = np.nanmean(language_areas(latents, tokens, rows), axis=0)
    candidates = np.argsort(-means, kind="stable")[:CANDIDATES]
    candidates = candidates[means[candidates] > 0.5]
    best: Chosen | None = None
    for inverse in _PATH:
        found = sparse_probe(latents, tokens, rows, candidates, inverse)
        numbers = [int(n) for n, w in zip(candidates, found, strict=True) if w > 0]
        if len(numbers) > most:
            break
        if numbers:
            best = _positive(latents, tokens, rows, numbers)
    if best is None:
        raise ModelError(
            "No latent of this autoencoder tells insults from other words.",
            mend="another layer or autoencoder: --sae FOLDER",
        )
    return best


def sparse_probe(
    latents: Any, tokens: Tokens, rows: Truths, candidates: NDArray[np.int64], inverse: float
) -> Values:
    """Log odds per standard deviation of candidates, of either sign, [candidates].

    Args:
        latents: Sparse activations of all tokens, in rows.
        tokens: All tokens.
        rows: Which are learnt from.
        candidates: Numbers of latents.
        inverse: Of the strength of the L1 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    if not len(candidates):
        return np.empty(0)
    seen, _ = _scaled(latents[np.flatnonzero(rows)][:, candidates])
    model = LogisticRegression(
        l1_ratio=1.0, C=inverse, solver="liblinear", tol=1e-2, max_iter=200, random_state=0
    )
    model.fit(seen, tokens.toxic[rows], sample_weight=weights_of(tokens, rows))
    return np.asarray(model.coef_[0])


def _positive(latents: Any, tokens: Tokens, rows: Truths, numbers: list[int]) -> Chosen:
    """Weights of some latents; those whose weight would not be above 0 are left out."""
    from sklearn.linear_model import LogisticRegression

    own = np.flatnonzero(rows)
    for _ in range(_ROUNDS):
        seen, scales = _scaled(latents[own][:, numbers])
        model = LogisticRegression(C=_RIDGE, solver="liblinear", max_iter=100, random_state=0)
        model.fit(seen, tokens.toxic[rows], sample_weight=weights_of(tokens, rows))
        per_unit = model.coef_[0] / scales
        if (per_unit > 0).all():
            break
        numbers = [n for n, weight in zip(numbers, per_unit, strict=True) if weight > 0]
    per_unit = np.maximum(per_unit, 1e-12)[: len(numbers)]
    order = np.argsort(-model.coef_[0][: len(numbers)], kind="stable")
    return Chosen([numbers[i] for i in order], per_unit[order])


def _scaled(columns: Any) -> tuple[Any, Values]:
    """Columns in units of their root mean square, and these units."""
    squares = np.asarray(columns.multiply(columns).mean(axis=0)).ravel()
    scales = np.sqrt(np.maximum(squares, 1e-12))
    return columns.multiply(1 / scales).tocsr(), scales


def like_random(
    chosen: Chosen, latents: Any, rows: Truths, seed: int, other: Sequence[int] = ()
) -> Chosen:
    """Latents drawn at random, each as one of the chosen in firing rate and contribution.

    Args:
        chosen: Those that they stand beside; none of them is drawn.
        latents: Sparse activations of all tokens, in rows.
        rows: Where rates are taken.
        seed: Draws them.
        other: More latents that are not drawn.
    """
    rng = np.random.default_rng(seed)
    seen = latents[np.flatnonzero(rows)]
    counts = np.asarray((seen > 0).sum(axis=0)).ravel().astype(float)
    means = np.asarray(seen.sum(axis=0)).ravel() / np.maximum(counts, 1)
    free = np.ones(len(counts), bool)
    free[[*chosen.numbers, *other]] = False
    numbers, weights = [], []
    for number, weight in zip(chosen.numbers, chosen.weights, strict=True):
        possible = np.flatnonzero(free & (counts > 0))
        if not len(possible):
            break
        distance = np.abs(np.log(counts[possible]) - np.log(max(counts[number], 1)))
        near = possible[np.argsort(distance, kind="stable")[:NEAR_RATES]]
        drawn = int(rng.choice(near))
        free[drawn] = False
        numbers.append(drawn)
        weights.append(weight * means[number] / means[drawn])
    return Chosen(numbers, np.array(weights))


def latents_reading(
    chosen: Chosen, sae: SparseAutoencoder, about: About, stream: Floats, tokens: Tokens
) -> ToxicLatents:
    """Latents as the file has them, with the mass in units of the best limit.

    Args:
        chosen: The latents.
        sae: What they are of.
        about: What they are called, and for which model and layer.
        stream: The stream of all tokens after that layer.
        tokens: All tokens.
    """
    import torch

    part = part_of(sae, chosen.numbers)
    heights = encoded(part, stream[tokens.part == CHOOSE]).tocsc()
    toxic = tokens.toxic[tokens.part == CHOOSE]
    peaks = []
    for number in range(len(chosen.numbers)):
        column = heights[:, number]
        fired = column.data[toxic[column.indices]]
        peaks.append(float(fired.mean()) if len(fired) else 0.0)
    count = len(chosen.numbers)
    raw = ToxicLatents(
        about, part, tuple(chosen.numbers), torch.from_numpy(chosen.weights).float(),
        torch.zeros(count), torch.tensor(peaks),
    )  # fmt: skip
    unit = best_word_limit(masses(raw, stream), tokens)
    return ToxicLatents(about, part, raw.numbers, raw.weights / unit, raw.thresholds, raw.peaks)


def difference_of_means(stream: Floats, tokens: Tokens, rows: Truths) -> Floats:
    """From the mean of other tokens to that of insults, each language alike, [width]."""
    found = np.zeros(stream.shape[1], np.float64)
    for language in np.unique(tokens.language[rows]):
        own = rows & (tokens.language == language)
        toxic, other = stream[own & tokens.toxic], stream[own & ~tokens.toxic]
        if len(toxic) and len(other):
            found += toxic.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)
    return found.astype(np.float32)


def logistic_probe(stream: Floats, tokens: Tokens, rows: Truths) -> Floats:
    """The weights of a logistic regression on the raw stream, [width]."""
    from sklearn.linear_model import LogisticRegression

    seen = stream[rows]
    mean, scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-6)
    model = LogisticRegression(C=1e-3, max_iter=100)
    model.fit((seen - mean) / scale, tokens.toxic[rows], sample_weight=weights_of(tokens, rows))
    return np.asarray(model.coef_[0] / scale, np.float32)


def direction_reading(
    vector: Floats, about: About, stream: Floats, tokens: Tokens
) -> ToxicDirection:
    """A direction as the file has it, with the mass in units of the best limit."""
    import torch

    unit_vector = torch.from_numpy(vector / np.linalg.norm(vector))
    places = stream @ unit_vector.numpy()
    own = tokens.part == CHOOSE
    level = float(places[own & ~tokens.toxic].mean())
    peak = float(places[own & tokens.toxic].mean())
    raw = ToxicDirection(about, unit_vector, level, 1.0, peak)
    unit = best_word_limit(masses(raw, stream), tokens)
    return ToxicDirection(about, unit_vector, level, unit, peak)


def best_word_limit(mass: Values, tokens: Tokens) -> float:
    """The mass from which on words are marked best, on the part that calibrates."""
    own = np.flatnonzero(tokens.part == CALIBRATE)
    groups = tokens.word[own]
    first = own[firsts(groups)]
    return best_limit(highest(mass[own], groups), tokens.toxic[first], tokens.language[first])


def masses(toxic: Toxic, stream: Floats, at_once: int = 20_000) -> Values:
    """The toxic mass of each token, [tokens]."""
    import torch

    parts = [
        toxic.mass(torch.from_numpy(stream[start : start + at_once])).numpy()
        for start in range(0, len(stream), at_once)
    ]
    return np.concatenate(parts).astype(np.float64) if parts else np.empty(0)


def encoded(sae: SparseAutoencoder, stream: Floats, at_once: int = 4_000) -> Any:
    """The activations of all latents at each token, a sparse matrix [tokens, width] in rows."""
    import torch
    from scipy.sparse import csr_matrix, vstack

    parts = [
        csr_matrix(sae.encode(torch.from_numpy(stream[start : start + at_once])).numpy())
        for start in range(0, len(stream), at_once)
    ]
    return vstack(parts, format="csr") if parts else csr_matrix((0, sae.width))
