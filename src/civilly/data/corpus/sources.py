"""What each kind of source of a corpus gives: pairs to train on, and pairs kept apart."""

from __future__ import annotations

import difflib
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from civilly.data.corpus.folder_reader import read_built
from civilly.data.corpus.harmonise import detokenise, harmonise, match_writing
from civilly.data.corpus.hub import read_hub
from civilly.data.corpus.made_pairs import copies, insertions
from civilly.data.corpus.recipe import (
    AuthoredSource,
    BuiltSource,
    DistilledSource,
    HubSource,
    PairsSource,
    Source,
    SyntheticSource,
)
from civilly.data.corpus.synthetic_reader import read_synthetic
from civilly.data.pairs import Pair, read_authored, read_pairs
from civilly.data.split import dev_part
from civilly.languages import language_code


@dataclass(slots=True)
class Read:
    """What came of a source.

    Attributes:
        train: Pairs to train on; several references of a pair are all to be used.
        dev: Pairs of the ``tune`` part, as people wrote them.
        dropped: Texts left out, by the reason.
    """

    train: list[Pair] = field(default_factory=list)
    dev: list[Pair] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def read_source(
    source: Source, data: Path, rng: random.Random, languages: Collection[str] | None = None
) -> Read:
    """Reads a source.

    Args:
        source: What the recipe says about it.
        data: The data folder.
        rng: Where chance comes from.
        languages: Of which languages; None: all.

    Raises:
        DataError: If its files are missing or not as they should be.
        MissingExtraError: If it needs a package that is not installed.
    """
    if isinstance(source, (PairsSource, HubSource)):
        return _parallel(source, data, rng, languages)
    read = _READERS[source.kind](source, data, rng)
    if languages is None:
        return read
    train = [pair for pair in read.train if pair.lang in languages]
    return Read(train, [pair for pair in read.dev if pair.lang in languages], read.dropped)


def _parallel(
    source: PairsSource | HubSource,
    data: Path,
    rng: random.Random,
    languages: Collection[str] | None,
) -> Read:
    """Human pairs, harmonised; pairs whose sides share too little are left out as noise."""
    if isinstance(source, HubSource):
        rows = read_hub(source, data)
    else:
        rows = read_pairs(data / source.path, source.columns.model_dump(), source.lang)
    read = Read()
    for row in rows:
        lang = language_code(row.lang)
        part = dev_part(row.id) if source.dev_split else "train"
        if lang is None:
            read.dropped["other_language"] += 1
        elif languages is not None and lang not in languages:
            continue
        elif row.split.startswith("overlap"):
            read.dropped["overlap"] += 1
        elif part == "eval":
            read.dropped["held_out"] += 1
        elif part == "tune" and any(row.neutral):
            read.dev.append(replace(row, lang=lang, source=source.name))
        else:
            _take(replace(row, lang=lang), source, rng, read)
    return read


def _take(row: Pair, source: PairsSource | HubSource, rng: random.Random, read: Read) -> None:
    toxic, references = row.toxic, list(row.neutral)
    if source.detokenise:
        toxic, references = detokenise(toxic), [detokenise(r) for r in references]
        if rng.random() < 0.5:
            toxic = toxic[:1].upper() + toxic[1:]
    if source.references == "closest" and references:
        references = [_closest(toxic, references)]
    written = [harmonise(toxic, reference) for reference in references]
    if source.writing == "all":
        written = [match_writing(toxic, reference) for reference in written]
    changed = [text for text in written if text not in ("", toxic)]
    alike = [text for text in changed if _overlap(toxic, text) >= source.least_overlap]
    if alike:
        neutral = tuple(dict.fromkeys(alike))
        read.train.append(Pair(row.id, row.lang, toxic, neutral, source.name))
    else:
        read.dropped["noise" if changed else "unchanged"] += 1


def _overlap(one: str, other: str) -> float:
    """Ratcliff-Obershelp similarity, in [0, 1]."""
    return difflib.SequenceMatcher(None, one, other).ratio()


def _closest(toxic: str, references: Sequence[str]) -> str:
    """The reference that edits least: people reward rewrites that keep the text."""
    if len(references) == 1:
        return references[0]
    return max(references, key=lambda ref: _overlap(toxic, ref))


def _authored(source: AuthoredSource, data: Path, rng: random.Random) -> Read:
    """Pairs written for this project; the ``eval`` part by hash is held out."""
    read = Read()
    for pair in read_authored(Path(source.path)):
        part = dev_part(pair.id)
        named = replace(pair, source=source.name)
        if part == "eval":
            read.dropped["held_out"] += 1
        elif part == "tune" and source.dev_split:
            read.dev.append(named)
        else:
            read.train.append(named)
    return read


def _distilled(source: DistilledSource, data: Path, rng: random.Random) -> Read:
    """Pairs that a large language model wrote for training; nothing of them is held out."""
    pairs = read_authored(Path(source.path), source.name)
    wanted = source.languages
    return Read([pair for pair in pairs if wanted is None or pair.lang in wanted])


def _built(source: BuiltSource, data: Path, rng: random.Random) -> Read:
    """The pairs of a folder that was built before, as they are."""
    train, dev = read_built(Path(source.path))
    return Read(train, dev)


def _synthetic(source: SyntheticSource, data: Path, rng: random.Random) -> Read:
    """Pairs whose civil sides a model wrote; nothing of them is held out."""
    wanted = source.languages
    return Read(
        [
            replace(pair, source=source.name)
            for pair in read_synthetic(Path(source.path))
            if wanted is None or pair.lang in wanted
        ]
    )


_READERS: Mapping[str, Callable[[Any, Path, random.Random], Read]] = {
    "authored": _authored,
    "distilled": _distilled,
    "built": _built,
    "synthetic": _synthetic,
    "insertions": lambda source, data, rng: Read(insertions(source, data, rng)),
    "copies": lambda source, data, rng: Read(copies(source, data, rng)),
}
