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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from civilly.data.kept_apart import case_calibrates, case_kept_apart
from civilly.data.readings import Case, read_cases
from civilly.detect.context import as_read
from civilly.detect.words import Bounds
from civilly.errors import DataError
from civilly.languages import CODES
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


class Marked(Protocol):
    """A sentence of a written pair, as `civilly.train.reader.sentences.from_pairs` reads it."""

    @property
    def lang(self) -> str:
        """Language code."""

    @property
    def text(self) -> str:
        """The sentence."""

    @property
    def toxic(self) -> float:
        """1 toxic, 0 civil."""

    @property
    def spans(self) -> tuple[Bounds, ...] | None:
        """What the civil side replaces; None: not known."""


def read_examples(
    cases: Path, written: Sequence[Marked], per_language: int, rng: random.Random
) -> list[Example]:
    """All examples, language by language.

    Args:
        cases: Folder of detection cases.
        written: Sentences of written pairs; may be none.
        per_language: The most of each part and source, drawn at random; 0: all.
        rng: Draws them.

    Raises:
        DataError: If a file cannot be read, or a part has no toxic or no civil sentence.
    """
    rows: dict[tuple[Part, str, str], list[Example]] = {}
    for case in read_cases(cases):
        part = _part_of(case)
        made_of = Example(part, case.lang, case.text, bool(case.spans), case.spans)
        rows.setdefault((part, "cases", case.lang), []).append(made_of)
    for each in written:
        # What is toxic with nothing marked would teach that insults are civil.
        if each.spans or (each.spans is not None and not each.toxic):
            made_of = Example("choose", each.lang, each.text, bool(each.toxic), each.spans)
            rows.setdefault(("choose", "pairs", each.lang), []).append(made_of)
    made = []
    for part in PARTS:
        for lang in CODES:
            for source in ("cases", "pairs"):
                found = rows.get((part, source, lang), [])
                if per_language:
                    rng.shuffle(found)
                    found = found[:per_language]
                made += list(_as_read(found))
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


def _as_read(examples: Sequence[Example]) -> Iterator[Example]:
    read = as_read([Text(each.text, each.lang) for each in examples])
    for each, seen in zip(examples, read, strict=True):
        yield replace(each, text=seen.text)
