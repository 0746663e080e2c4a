"""How unlike each other invented rows are, what of the grid they cover, how like real texts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from civilly.data.io import read_utf8
from civilly.data.leaks import normalise
from civilly.synth.alike import Known

REAL_TEXTS = 3_000
"""Real texts of a language that are compared with."""
ALIKE = 0.3
"""The Jaccard similarity from which an invented text counts as like a real one."""


def diversity_of(
    asked: Sequence[Mapping[str, Any]],
    accepted: Sequence[Mapping[str, Any]],
    real: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Measures of the accepted rows of each language.

    Args:
        asked: Rows of answers, each with its ``cell`` and ``lang``.
        accepted: The rows; the measures are of their toxic sides.
        real: Real texts by language.

    Returns:
        By language: ``rows``; ``distinct_1`` and ``distinct_2``, different words and pairs of
        words by all of them (Li et al. 2016); ``self_similarity``, the mean of each row's largest
        similarity to another; ``names`` and ``pairs``, the part of the asked grid's names, and of
        pairs of names on two axes, that has a row; ``like_real``, the part that is like a real
        text (`ALIKE`), and ``most_real``, the largest similarity to one. None: not known.
    """
    found = {}
    for lang in dict.fromkeys(row["lang"] for row in asked):
        own = [row for row in accepted if row["lang"] == lang]
        cells = [row["cell"] for row in asked if row["lang"] == lang]
        texts = [row["toxic"] for row in own]
        near = _near(texts, (real or {}).get(lang, ()))
        found[lang] = {
            "lang": lang,
            "rows": len(own),
            "distinct_1": distinct(texts, lang, 1),
            "distinct_2": distinct(texts, lang, 2),
            "self_similarity": self_similarity(texts),
            "names": _covered([row["cell"] for row in own], cells, 1),
            "pairs": _covered([row["cell"] for row in own], cells, 2),
            "like_real": fmean(value >= ALIKE for value in near) if near else None,
            "most_real": max(near, default=None),
        }
    return found


def distinct(texts: Sequence[str], lang: str, n: int) -> float | None:
    """Different n-grams of words by all of them, in (0, 1]; None if there are none."""
    from civilly.detect.words import words

    grams = [
        tuple(cut[start : start + n])
        for text in texts
        for cut in [[text[a:b].casefold() for a, b in words(text, lang)]]
        for start in range(len(cut) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else None


def self_similarity(texts: Sequence[str]) -> float | None:
    """The mean over texts of the largest similarity to another; None for fewer than two."""
    plain, known = [normalise(text) for text in texts], Known()
    for text in plain:
        known.add(text)
    if len(plain) < 2:
        return None
    return fmean(known.most_alike(text, besides=place) for place, text in enumerate(plain))


def _covered(
    have: Sequence[Mapping[str, str]], asked: Sequence[Mapping[str, str]], axes: int
) -> float | None:
    def names(cells: Sequence[Mapping[str, str]]) -> set[Any]:
        return {chosen for cell in cells for chosen in combinations(sorted(cell.items()), axes)}

    return len(names(have)) / len(names(asked)) if asked else None


def _near(texts: Sequence[str], real: Sequence[str]) -> list[float]:
    if not real:
        return []
    known = Known()
    for text in real:
        known.add(normalise(text))
    return [known.most_alike(normalise(text)) for text in texts]


def real_texts(data: Path, langs: Sequence[str]) -> dict[str, list[str]]:
    """Toxic texts of the data folder, up to `REAL_TEXTS` of each language, always the same."""
    found: dict[str, list[str]] = {lang: [] for lang in langs}
    for lang, text in _toxic(data):
        if lang in found:
            found[lang].append(text)
    chance = random.Random(0)
    return {
        lang: chance.sample(texts, min(REAL_TEXTS, len(texts))) for lang, texts in found.items()
    }


def _toxic(data: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((data / "toxicity").glob("*.jsonl.gz")):
        for row in read_utf8(path).rows:
            if row.get("label") == 1:
                yield str(row["lang"]), str(row["text"])
