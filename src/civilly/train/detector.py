"""Trains the toxicity model of `civilly.detect.toxicity` from a recipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.detect.features import extract
from civilly.detect.spans import units
from civilly.detect.toxicity import LanguageModel
from civilly.detect.words import words
from civilly.errors import MissingExtraError
from civilly.languages import CODES
from civilly.train.detector_data import TrainingData
from civilly.train.detector_fit import Fit, Problem

Floats = NDArray[np.float64]


def train_detector(
    recipe: Mapping[str, Any], data_dir: Path, out_dir: Path, authored_dir: Path = Path("recipes")
) -> Path:
    """Trains all languages and writes ``toxicity.safetensors``.

    Args:
        recipe: The content of ``recipes/detector.toml``.
        data_dir: Folder of parallel/, toxicity/, clean/ and lexicons/.
        out_dir: Where the weights go; made if missing.
        authored_dir: Folder of what was written for this project; ``recipes`` of the repository.

    Returns:
        The path of the weights. The same recipe and data give the same bytes on one machine.

    Raises:
        DataError: If a training file is missing.
        MissingExtraError: If scikit-learn is not installed.
    """
    from safetensors.numpy import save_file

    _require_sklearn()
    data = TrainingData(dict(recipe), data_dir, authored_dir)
    models = []
    for code in CODES:
        started = time.perf_counter()
        models.append(_train_language(data, code, recipe))
        seconds = time.perf_counter() - started
        print(f"{code}: {seconds:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "toxicity.safetensors"
    partial = path.with_suffix(".partial")
    save_file(
        {
            "weights": np.stack([model.weights for model in models]),
            "constants": np.array([_constants(model) for model in models], dtype=np.float32),
        },
        partial,
    )
    partial.replace(path)
    return path


def _constants(model: LanguageModel) -> tuple[float, ...]:
    pooling = model.pooling
    calibration = (model.slope, model.offset)
    return (model.scale, pooling.bias, pooling.share, *calibration, model.span_score)


def _require_sklearn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Training the detector", "train", "sklearn") from error


def _train_language(data: TrainingData, lang: str, recipe: Mapping[str, Any]) -> LanguageModel:
    options = _of_language(recipe["fit"], lang)
    calibration = _of_language(recipe["calibration"], lang)
    problem = Problem(data.examples(lang), lang, options, recipe["seed"])
    model = _quantised(problem.fit())
    judged = _judged_unseen(problem, data.clean_aside(lang), lang, calibration)
    slope, offset = _calibration(judged, calibration)
    span_score = _span_threshold(data.span_rows(lang), model, lang, calibration)
    return LanguageModel(model.weights, model.scale, model.pooling, slope, offset, span_score)


def _of_language(options: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """A table of the recipe with what its sub-table of the language overrides."""
    return {**options, **options.get(lang, {})}


def _quantised(fitted: Fit) -> LanguageModel:
    """Weights in 8 bits; the few largest are clipped for the sake of the many small ones."""
    magnitudes = np.abs(fitted.weights[fitted.weights != 0])
    scale = float(np.quantile(magnitudes, 0.9995)) / 127
    weights = np.clip(np.rint(fitted.weights / scale), -127, 127).astype(np.int8)
    return LanguageModel(weights, scale, fitted.pooling, 1.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Logits of texts that their model had not seen."""

    toxic: Floats
    civil: Floats
    benign: Floats
    clean: Floats


def _judged_unseen(
    problem: Problem, clean: Sequence[str], lang: str, options: Mapping[str, Any]
) -> _Judged:
    """Logits of every second core text by a model fitted without it, and of the clean sentences.

    Whatever was made from a judged text (its disguised copies, insults put into it) is left out
    of that fit too.
    """
    examples = problem.examples
    pairs = [e for e in examples if e.core and e.twin is not None][: options["judged"] : 2]
    benign = list(dict.fromkeys(e.text for e in examples if e.core and e.twin is None))[::2]
    unseen = {e.twin for e in pairs} | set(benign)
    fitted = problem.fit(np.array([e.twin in unseen or e.text in unseen for e in examples]))
    groups = ([e.text for e in pairs], [e.twin or "" for e in pairs], benign, clean)
    return _Judged(*(fitted.logits(extract(texts, lang)) for texts in groups))


def _calibration(judged: _Judged, options: Mapping[str, Any]) -> tuple[float, float]:
    """Platt scaling (1999), then lowered until clean text passes.

    Toxic sides count as much as all others together. The offset is lowered where more than
    ``clean_rate`` of the clean sentences would reach p = 0.5; a language without clean sentences
    is held to ``benign_rate`` of its benign ones; so is one with fewer than ``least_clean``.
    """
    from sklearn.linear_model import LogisticRegression

    calm = np.concatenate([judged.benign, judged.clean])
    groups = ((judged.toxic, 1, 1.0), (judged.civil, 0, 0.5), (calm, 0, 0.5))
    logits = np.concatenate([group for group, _, _ in groups])[:, None]
    labels = np.concatenate([np.full(len(group), label) for group, label, _ in groups])
    weights = np.concatenate([np.full(len(g), w / max(len(g), 1)) for g, _, w in groups])
    platt = LogisticRegression(C=1.0).fit(logits, labels, sample_weight=weights * len(logits))
    slope, offset = max(float(platt.coef_[0, 0]), 0.1), float(platt.intercept_[0])
    enough = len(judged.clean) >= options["least_clean"]
    group, rate = (judged.clean, "clean_rate") if enough else (calm, "benign_rate")
    return slope, min(offset, -slope * float(np.quantile(group, 1 - options[rate])))


def _span_threshold(
    rows: Sequence[tuple[str, Sequence[tuple[int, int]]]],
    model: LanguageModel,
    lang: str,
    options: Mapping[str, Any],
) -> float:
    """The word score that gives the best character F1 on the differences of the tune pairs."""
    if not rows:
        return float(options["span_score"])
    texts = [text for text, _ in rows]
    features = extract(texts, lang)
    token_scores = model.token_scores(features)
    scores, lengths, gold = [], [], []
    for row, (text, differences) in enumerate(rows):
        for unit in units(features, row, words(text, lang), lang, token_scores):
            scores.append(unit.score)
            lengths.append(unit.end - unit.start)
            gold.append(any(a < unit.end and unit.start < b for a, b in differences))
    order = np.argsort(-np.array(scores), kind="stable")
    hits = np.cumsum((np.array(gold) * lengths)[order])
    f1 = 2 * hits / (np.cumsum(np.array(lengths)[order]) + hits[-1])
    best = scores[int(order[int(f1.argmax())])]
    return float(np.clip(best, options["least_span_score"], options["most_span_score"]))
