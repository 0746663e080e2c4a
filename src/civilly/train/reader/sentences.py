"""What the detector learns from: cases, written pairs, and the n-gram detector's published sets."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from civilly.data.io import read_utf8
from civilly.data.kept_apart import case_kept_apart
from civilly.data.readings import Case
from civilly.detect.words import Bounds
from civilly.errors import DataError
from civilly.languages import CODES, language
from civilly.train.detector_data import Example as SetExample
from civilly.train.detector_data import TrainingData
from civilly.train.fim.differences import tokens
from civilly.train.reader.recipe import SetLimits

UNKNOWN = math.nan
"""A label that nobody gave."""
MOST_REPLACED = 0.6
"""Where a civil version replaces more of a text, its differences are no spans."""
_WITHOUT_SPANS = ("threat", "group", "contempt")
"""Kinds of written pairs whose whole sentence is the fault."""
_PAIR_WEIGHT, _CIVIL_SIDE_WEIGHT = 0.7, 0.6
_WEAK_TWIN = 0.4
_LEAST_WEIGHT = 0.25
_LISTED = 0.3
"""Weight up to which a toxic text of two words or fewer is a listed term."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text with what is known of it.

    Attributes:
        lang: Language code.
        text: The text.
        toxic: 1 toxic, 0 civil.
        threat: 1 a threat, 0 none, or `UNKNOWN`.
        self_harm: 1 of harm to oneself, 0 not, or `UNKNOWN`.
        spans: What insults; None: not known.
        weight: How much it counts.
        unseen: Whether the n-gram model was not trained on it, so that its scores mean something.
        case: Number of its group of twins if it is a detection case, else None.
    """

    lang: str
    text: str
    toxic: float
    threat: float = 0.0
    self_harm: float = 0.0
    spans: tuple[Bounds, ...] | None = ()
    weight: float = 1.0
    unseen: bool = True
    case: int | None = None


def of_case(case: Case) -> Sentence:
    """A case as a sentence."""
    return Sentence(
        case.lang,
        case.text,
        float(case.label in ("toxic", "threat")),
        float(case.label == "threat"),
        float(case.label == "selfharm"),
        case.spans,
        case=case.pair,
    )


def from_cases(cases: Sequence[Case]) -> list[Sentence]:
    """Those that are not kept apart."""
    return [of_case(case) for case in cases if not case_kept_apart(case)]


def from_pairs(
    folders: Sequence[Path], share: float, rng: random.Random, *, spans: bool = True
) -> list[Sentence]:
    """Sides of written pairs; equal sides are civil texts that sound rude, and are read all.

    Args:
        folders: With a file per language, perhaps in folders; a row may have a ``kind``.
        share: Share of the sides that is read.
        rng: Chooses them.
        spans: Whether what the civil side replaces is said to be the insult.

    Raises:
        DataError: Naming file, row and column, if a side is missing or no string.
        UnknownNameError: If a file is not named by one of the 15 languages.
    """
    found: list[Sentence] = []
    for path in (path for folder in folders for path in sorted(folder.rglob("*.jsonl"))):
        lang = language(path.stem).code
        for number, row in enumerate(read_utf8(path).rows, start=1):
            toxic, civil = (_side(row, name, path, number) for name in ("toxic", "neutral"))
            kind = row.get("kind")
            if toxic == civil:
                found.append(Sentence(lang, toxic, 0.0))
                continue
            if rng.random() < share:
                threat = float(kind == "threat") if kind else UNKNOWN
                known = spans and kind not in _WITHOUT_SPANS
                marks = replaced(toxic, civil, lang) if known else None
                found.append(Sentence(lang, toxic, 1.0, threat, spans=marks, weight=_PAIR_WEIGHT))
            if rng.random() < share:
                found.append(Sentence(lang, civil, 0.0, weight=_CIVIL_SIDE_WEIGHT))
    return found


def _side(row: Mapping[str, Any], name: str, path: Path, number: int) -> str:
    if not isinstance(row.get(name), str):
        raise DataError(f"{path}, row {number}: {name!r} is missing or no string.")
    return str(row[name])


def from_sets(data: TrainingData, limits: SetLimits, rng: random.Random) -> list[Sentence]:
    """Examples of the published sets, which the n-gram model was trained on, too.

    Args:
        data: Reads them.
        limits: How many of each kind per language.
        rng: Chooses them.
    """
    found: list[Sentence] = []
    most = limits.model_dump()
    for lang in CODES:
        examples = data.examples(lang)
        rng.shuffle(examples)
        taken = dict.fromkeys(most, 0)
        for example in examples:
            kind = _kind(example)
            if taken[kind] < most[kind]:
                taken[kind] += 1
                found += _sentences(example, kind, lang)
    return found


def _kind(example: SetExample) -> str:
    """A field of `SetLimits`."""
    if example.twin:
        return "core" if example.core else "twins"
    if not example.toxic:
        return "benign" if example.core else "clean"
    listed = len(example.text.split()) <= 2 and example.weight <= _LISTED
    return "terms" if listed else "toxic"


def _sentences(example: SetExample, kind: str, lang: str) -> Iterator[Sentence]:
    weight = min(1.0, max(_LEAST_WEIGHT, example.weight))
    text, twin = example.text, example.twin
    if twin:
        weight = weight if example.core else _WEAK_TWIN
        spans = replaced(text, twin, lang)
        yield Sentence(lang, text, 1.0, UNKNOWN, spans=spans, weight=weight, unseen=False)
        yield Sentence(lang, twin, 0.0, weight=weight, unseen=False)
    elif example.toxic:
        whole = ((0, len(text)),) if kind == "terms" else None
        yield Sentence(lang, text, 1.0, UNKNOWN, spans=whole, weight=weight, unseen=False)
    else:
        harm = 0.0 if kind == "clean" else UNKNOWN
        yield Sentence(lang, text, 0.0, 0.0, harm, weight=weight, unseen=False)


def replaced(text: str, civil: str, lang: str) -> tuple[Bounds, ...] | None:
    """The stretches of words that a civil version replaces or leaves out.

    Args:
        text: A toxic text.
        civil: The same, made civil.
        lang: Language code.

    Returns:
        None where that is more than `MOST_REPLACED` of the text: then it says little.
    """
    old, new = ([t for t in tokens(side, lang) if t.word] for side in (text, civil))
    matcher = SequenceMatcher(
        None, [t.text.lower() for t in old], [t.text.lower() for t in new], autojunk=False
    )
    spans = tuple(
        (old[a].start, old[b - 1].end)
        for kind, a, b, _, _ in matcher.get_opcodes()
        if kind in ("replace", "delete")
    )
    long = sum(end - start for start, end in spans) >= MOST_REPLACED * max(1, len(text))
    return None if long else spans
