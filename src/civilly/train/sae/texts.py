"""What a sparse autoencoder is trained on: texts of every language, none of them held out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from civilly.data.corpus.build import evaluation_texts
from civilly.data.leaks import find_leaks
from civilly.data.pairs import read_authored
from civilly.data.recipe_table import read_recipe
from civilly.languages import CODES
from civilly.train.detector_data import TrainingData
from civilly.train.sae.recipe import TextSettings
from civilly.train.sae.shards import cut

Encode = Callable[[Sequence[str]], list[tuple[int, ...]]]
"""Ids of texts."""
_ENCODED_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is read.

    Attributes:
        rows: Ids of each text, in the order of reading.
        tokens: How many there are of each language.
        texts: Likewise, texts.
        leaks: Texts left out because they repeat held-out or official ones.
    """

    rows: list[tuple[int, ...]]
    tokens: dict[str, int]
    texts: dict[str, int]
    leaks: int


def read_corpus(
    settings: TextSettings, data: Path, written: Path, seed: int, encode: Encode
) -> Corpus:
    """Reads the texts of all languages, each at most once, and shuffles them.

    Args:
        settings: Of the recipe.
        data: The data folder.
        written: The recipe's folder, beside which sets and pairs lie.
        seed: Of the order.
        encode: Cuts into tokens.

    Raises:
        DataError: If a file is missing or wrong.
    """
    sets = TrainingData(read_recipe(written / settings.sets), data, written)
    pairs = [pair for folder in settings.pairs for pair in read_authored(written / folder)]
    found = {code: sets.texts(code) for code in CODES}
    for pair in pairs:
        if pair.lang in found:
            found[pair.lang] += [pair.toxic, *pair.neutral]
    langs: list[str] = []
    texts: list[str] = []
    rows: list[tuple[int, ...]] = []
    for code, given in found.items():
        unique = list(dict.fromkeys(text for text in given if text.strip()))
        random.Random(f"{seed}-{code}").shuffle(unique)
        ids = _until(unique, encode, settings)
        langs += [code] * len(ids)
        texts += unique[: len(ids)]
        rows += ids
    evaluation = evaluation_texts(data, written / "authored_pairs")
    leaking = {leak.training for leak in find_leaks(texts, evaluation)}
    kept = [number for number in range(len(rows)) if number not in leaking]
    random.Random(seed).shuffle(kept)
    if settings.shards is not None:
        read = cut([rows[number] for number in kept])[: settings.shards]
        kept = kept[: sum(map(len, read))]
    tokens = dict.fromkeys(found, 0)
    for number in kept:
        tokens[langs[number]] += len(rows[number])
    counts = Counter(langs[number] for number in kept)
    return Corpus([rows[number] for number in kept], tokens, dict(counts), len(leaking))


def _until(texts: Sequence[str], encode: Encode, settings: TextSettings) -> list[tuple[int, ...]]:
    """The first texts, cut where they are too long, until there are tokens enough."""
    found: list[tuple[int, ...]] = []
    room = settings.tokens_per_language
    for start in range(0, len(texts), _ENCODED_TOGETHER):
        for row in encode(texts[start : start + _ENCODED_TOGETHER]):
            if room <= 0:
                return found
            found.append(row[: settings.longest])
            room -= len(found[-1])
    return found
