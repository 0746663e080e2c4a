"""Trains the refinement of `civilly.detect.language` among languages that share a script."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.data.io import read_utf8
from civilly.data.pairs import read_authored
from civilly.data.split import dev_part
from civilly.detect.language import (
    BITS,
    SHARED_SCRIPTS,
    base_identifier,
    base_scores,
    bucket_counts,
)
from civilly.errors import MissingExtraError
from civilly.train.detector_data import held_out

_RUSSIAN_LETTERS = str.maketrans("әөүҗңһӘӨҮҖҢҺ", "эоужнхЭОУЖНХ")
"""How Tatar is typed on a Russian keyboard."""


def train_language(
    recipe: Mapping[str, Any], data_dir: Path, out_dir: Path, authored_dir: Path = Path("recipes")
) -> Path:
    """Trains both refinements and writes ``language.safetensors``.

    Args:
        recipe: The content of ``recipes/language.toml``.
        data_dir: Folder of parallel/, toxicity/ and clean/.
        out_dir: Where the weights go; made if missing.
        authored_dir: Folder of what was written for this project; ``recipes`` of the repository.

    Returns:
        The path of the weights.

    Raises:
        DataError: If a training file is missing.
        MissingExtraError: If scikit-learn is not installed.
    """
    try:
        from safetensors.numpy import save_file
        from sklearn.linear_model import LogisticRegression  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Training the language model", "train", "sklearn") from error

    tensors: dict[str, NDArray[Any]] = {}
    for script, codes in SHARED_SCRIPTS.items():
        rng = random.Random(f"{recipe['seed']}-{script.lower()}")
        texts: list[str] = []
        labels: list[int] = []
        for label, code in enumerate(codes):
            found = _texts(code, recipe, data_dir, authored_dir, rng)
            texts += found
            labels += [label] * len(found)
        tensors |= _fit(texts, labels, codes, recipe, f"{script}.quick", with_base=False)
        tensors |= _fit(texts, labels, codes, recipe, f"{script}.careful", with_base=True)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "language.safetensors"
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.replace(path)
    return path


def _texts(
    code: str,
    recipe: Mapping[str, Any],
    data_dir: Path,
    authored_dir: Path,
    rng: random.Random,
) -> list[str]:
    """Texts of one language: whole, and cut to a few words as chats are."""
    found: list[str] = []
    for entry in recipe["sources"]:
        if code not in entry["langs"]:
            continue
        path = data_dir / entry["folder"] / f"{entry['file'].format(lang=code)}.jsonl.gz"
        rows = [r for r in read_utf8(path).rows if r["lang"] == code and _trainable(r, recipe)]
        texts = [text for row in rows for text in _sides(row)]
        found += rng.sample(texts, min(entry["limit"], len(texts)))
    pairs = [pair for pair in read_authored(authored_dir / "authored_pairs") if pair.lang == code]
    sides = [text for p in pairs if not held_out(p.toxic, 25) for text in (p.toxic, *p.neutral)]
    found += sides * recipe["authored_copies"]
    written = read_authored(authored_dir / "distilled_pairs")
    found += [pair.toxic for pair in written if pair.lang == code]
    if code == "tt":
        found += [text.translate(_RUSSIAN_LETTERS) for text in found]
    rng.shuffle(found)
    return [*found, *(_cut(text, rng) for text in found)]


def _trainable(row: Mapping[str, Any], recipe: Mapping[str, Any]) -> bool:
    if row.get("source") == "multiparadetox_dev":
        return dev_part(row["id"]) == "train"
    if str(row.get("split", "")).startswith("overlap"):
        return False
    return not held_out(row.get("text", row.get("toxic", "")), recipe["held_out_percent"])


def _sides(row: Mapping[str, Any]) -> list[str]:
    if "text" in row:
        return [row["text"]]
    neutral = row["neutral"]
    return [row["toxic"], neutral if isinstance(neutral, str) else neutral[0]]


def _cut(text: str, rng: random.Random) -> str:
    words = text.split()
    size = rng.randint(1, 8)
    start = rng.randrange(max(len(words) - size, 0) + 1)
    return " ".join(words[start : start + size])


def _fit(
    texts: Sequence[str],
    labels: Sequence[int],
    codes: Sequence[str],
    recipe: Mapping[str, Any],
    name: str,
    with_base: bool,
) -> dict[str, NDArray[Any]]:
    """Multinomial logistic regression, with or without py3langid's scores as features."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import LogisticRegression

    owner, bucket = bucket_counts(texts)
    counts = np.maximum(np.bincount(owner, minlength=len(texts)), 1)
    features = csr_matrix(
        (1 / np.sqrt(counts)[owner], (owner, bucket)), shape=(len(texts), 1 << BITS)
    )
    if with_base:
        identifier = base_identifier()
        base = np.array([base_scores(identifier, text, codes) for text in texts])
        features = hstack([features, csr_matrix(recipe["base_scale"] * base)]).tocsr()
    model = LogisticRegression(C=recipe["C"], solver="lbfgs", max_iter=recipe["iterations"])
    model.fit(features, labels)
    weights = model.coef_[:, : 1 << BITS].T
    scale = np.float32(np.abs(weights).max() / 127)
    tensors = {
        f"{name}.weights": np.rint(weights / scale).astype(np.int8),
        f"{name}.scale": np.array([scale], dtype=np.float32),
        f"{name}.offsets": model.intercept_.astype(np.float32),
    }
    if with_base:
        trust = recipe["base_scale"] * model.coef_[:, 1 << BITS :].T
        tensors[f"{name}.trust"] = np.ascontiguousarray(trust, dtype=np.float32)
    return tensors
