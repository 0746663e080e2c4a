"""Texts that no sparse autoencoder was trained on: what reports are made of."""

from __future__ import annotations

import random
from pathlib import Path

from civilly.data.pairs import read_authored, read_labelled, read_pairs
from civilly.data.recipe_table import read_recipe
from civilly.data.split import dev_part
from civilly.languages import CODES
from civilly.train.detector_data import TrainingData, held_out

LONGEST_CHARACTERS = 400


def held_texts(data: Path, written: Path, per_language: int, seed: int = 0) -> dict[str, list[str]]:
    """Held-out texts of each language, toxic and civil, in random order.

    They are what ``detector.toml`` holds out of its sets, both sides of the dev pairs' part
    ``tune``, and the held-out part of the authored pairs. Hebrew and Amharic have few.

    Args:
        data: The data folder.
        written: Folder of ``detector.toml`` and ``authored_pairs``; ``recipes`` of the repository.
        per_language: At most so many.
        seed: Of the order.

    Raises:
        DataError: If a file is missing or wrong.
    """
    recipe = read_recipe(written / "detector.toml")
    sets = TrainingData(recipe, data, written)
    found: dict[str, list[str]] = {code: sets.held_clean(code) for code in CODES}
    for name, entry in recipe["labelled"].items():
        for row in read_labelled(data / "toxicity" / f"{name}.jsonl.gz"):
            if row.lang in entry["langs"] and held_out(row.text, recipe["held_out_percent"]):
                found[row.lang].append(row.text)
    for pair in read_pairs(data / "parallel" / "multiparadetox_dev.jsonl.gz"):
        if dev_part(pair.id) == "tune":
            found[pair.lang] += [pair.toxic, *pair.neutral]
    for pair in read_authored(written / "authored_pairs"):
        if held_out(pair.toxic, recipe["authored"]["held_out_percent"]):
            found[pair.lang] += [pair.toxic, *pair.neutral]
    return {code: _some(texts, per_language, f"{seed}-{code}") for code, texts in found.items()}


def _some(texts: list[str], most: int, seed: str) -> list[str]:
    unique = sorted({text for text in texts if text.strip() and len(text) <= LONGEST_CHARACTERS})
    random.Random(seed).shuffle(unique)
    return unique[:most]
