"""Sentences whose toxic words are known: detection cases and written pairs, none of them held out.

===========  ======================================================================================
choose       cases and pairs that the shipped detectors learn from, too: latents are chosen by them
calibrate    cases that set thresholds (`civilly.data.kept_apart.case_calibrates`)
test         cases that nothing else sees
===========  ======================================================================================
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from civilly.data.kept_apart import case_calibrates, case_kept_apart
from civilly.data.readings import Case, read_cases
from civilly.detect.context import as_read
from civilly.detect.words import Bounds
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.train.reader.sentences import Sentence, from_pairs, of_case
from civilly.types import Text

Part = Literal["choose", "calibrate", "test"]
PARTS: tuple[Part, ...] = ("choose", "calibrate", "test")


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence.

    Attributes:
        part: What it is for.
        lang: Language code.
        text: As detectors read it: with blanks for what is protected.
        toxic: Whether it insults or threatens.
        spans: The words that do.
    """

    part: Part
    lang: str
    text: str
    toxic: bool
    spans: tuple[Bounds, ...]


def read_examples(
    cases: Path, pairs: Sequence[Path], per_language: int, seed: int
) -> list[Example]:
    """All examples, language by language.

    Args:
        cases: Folder of detection cases.
        pairs: Folders of written pairs; may be none.
        per_language: The most of each part and source, drawn at random; 0: all.
        seed: Draws them.

    Raises:
        DataError: If a file cannot be read, or a part has no toxic or no civil sentence.
    """
    rng = random.Random(seed)
    rows: dict[tuple[Part, str, str], list[Sentence]] = {}
    for case in read_cases(cases):
        rows.setdefault((_part_of(case), "cases", case.lang), []).append(of_case(case))
    for sentence in from_pairs(pairs, 1.0, rng) if pairs else []:
        if sentence.spans is not None and not _kept(sentence):
            rows.setdefault(("choose", "pairs", sentence.lang), []).append(sentence)
    made = []
    for part in PARTS:
        for lang in CODES:
            for source in ("cases", "pairs"):
                found = rows.get((part, source, lang), [])
                if per_language:
                    rng.shuffle(found)
                    found = found[:per_language]
                made += list(_examples(part, found))
    for part in PARTS:
        if {each.toxic for each in made if each.part == part} != {True, False}:
            raise DataError(
                f"The part {part!r} of {str(cases)!r} has no toxic or no civil sentences.",
                mend="more cases: see civilly.data.kept_apart, by which parts are told",
            )
    return made


def _part_of(case: Case) -> Part:
    if not case_kept_apart(case):
        return "choose"
    return "calibrate" if case_calibrates(case) else "test"


def _kept(sentence: Sentence) -> bool:
    """Whether a pair's toxic sentence has nothing marked: it would teach that insults are civil."""
    return bool(sentence.toxic) and not sentence.spans


def _examples(part: Part, sentences: Sequence[Sentence]) -> Iterator[Example]:
    read = as_read([Text(each.text, each.lang) for each in sentences])
    for sentence, seen in zip(sentences, read, strict=True):
        spans = sentence.spans or ()
        yield Example(part, sentence.lang, seen.text, bool(sentence.toxic), tuple(spans))
