"""Counts which frequent words never stand side by side in civil text (`civilly.select.seams`)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from civilly.data.corpus.build import build_corpus
from civilly.data.files import write_bytes
from civilly.data.pairs import Pair, read_authored, read_pairs
from civilly.data.split import dev_part
from civilly.select.seams import strangers_of, words

SMOOTHING = 0.5
"""Added to the observed and the expected number of meetings."""
THRESHOLDS = (2.0, 2.5, 3.0, 3.5, 4.0)
"""Candidates for the least log ratio of expected to observed meetings."""
FALSE_ALARMS = 0.02
"""The share of human rewrites that may have a pair of strangers where the input has none."""


def train_seams(content: Mapping[str, Any], data: Path, out: Path) -> dict[str, tuple[int, float]]:
    """Writes the table of pairs that never meet.

    Two words are strangers if ``log((o + ½) / (e + ½))`` is below minus a threshold, where ``o`` is
    how often the one follows the other and ``e`` how often it would by chance. Each language takes
    the lowest threshold at which at most `FALSE_ALARMS` of other rewrites (dev and authored pairs,
    without their ``eval`` part) have strangers that their toxic sides have not.

    Args:
        content: A recipe whose ``[corpus]`` gives civil text: the civil sides are counted.
            The dev pairs and the authored ones, in the folder ``authored``, must not be among them.
        data: The data folder.
        out: The file to write.

    Returns:
        Per language the number of pairs and the threshold.

    Raises:
        DataError: If a source is missing.
    """
    texts: dict[str, list[str]] = {}
    for pair in build_corpus(content, data).train:
        texts.setdefault(pair.lang, []).extend(pair.neutral)
    judged = _other_rewrites(data, Path(content["authored"]))
    table, summary = {}, {}
    for lang in sorted(texts):
        counted = count(texts[lang])
        for threshold in THRESHOLDS:
            strangers = find_strangers(*counted, threshold)
            if false_alarms(strangers, judged.get(lang, [])) <= FALSE_ALARMS:
                break
        table[lang] = {left: " ".join(sorted(rights)) for left, rights in strangers.items()}
        summary[lang] = (sum(map(len, strangers.values())), threshold)
    text = json.dumps({"strangers": table}, ensure_ascii=False, indent=0, sort_keys=True)
    write_bytes(out, (text + "\n").encode())
    return summary


def count(texts: Iterable[str]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How often each word and each pair of neighbours occurs."""
    single: Counter[str] = Counter()
    double: Counter[tuple[str, str]] = Counter()
    for text in texts:
        row = words(text)
        single.update(row)
        double.update(pairwise(row))
    return single, double


def find_strangers(
    single: Counter[str], double: Counter[tuple[str, str]], threshold: float
) -> dict[str, set[str]]:
    """For each word those that hardly ever follow it, though both are frequent.

    Args:
        single: Counts of words.
        double: Counts of neighbours.
        threshold: Least natural logarithm of expected over observed, more than 0.
    """
    total = single.total()
    ranked = single.most_common()
    found: dict[str, set[str]] = {}
    for left, often in ranked:
        for right, as_often in ranked:
            expected = often * as_often / total
            if math.log((expected + SMOOTHING) / SMOOTHING) < threshold:
                break  # not even a pair that never meets would count; nor would any rarer one
            observed = double[left, right]
            strange = math.log((expected + SMOOTHING) / (observed + SMOOTHING)) >= threshold
            if strange and left != right:
                found.setdefault(left, set()).add(right)
    return found


def false_alarms(strangers: Mapping[str, set[str]], pairs: Iterable[Pair]) -> float:
    """The share of human rewrites with strangers that are not in the toxic side, in [0, 1]."""
    flags = [
        strangers_of(strangers, pair.toxic, reference) > 0
        for pair in pairs
        for reference in pair.neutral
    ]
    return sum(flags) / len(flags) if flags else 0.0


def _other_rewrites(data: Path, authored: Path) -> dict[str, list[Pair]]:
    pairs = read_pairs(data / "parallel" / "multiparadetox_dev.jsonl.gz") + read_authored(authored)
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        if dev_part(pair.id) != "eval":
            found.setdefault(pair.lang, []).append(pair)
    return found
