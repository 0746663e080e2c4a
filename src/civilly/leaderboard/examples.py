"""Example rows for the page: every sentence with every system's output, and what went wrong."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from civilly.data.values import as_json
from civilly.languages import CODES
from civilly.leaderboard.runs import MEASURES, Row, Sentence, System

LOW = 0.5
"""A component below this is a failure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A way in which a rewrite can fail.

    Attributes:
        name: For the page's form.
        label: What people read.
        measure: The component that is low then; "" if it is not a component.
    """

    name: str
    label: str
    measure: str


FAILURES = (
    Failure("toxic", "still toxic", "STA"),
    Failure("copied", "copied", ""),
    Failure("lost", "meaning lost", "SIM"),
    Failure("broken", "broken", "FL"),
)


def copied(sentence: Sentence, row: Row) -> bool:
    """Whether the output is the input but for case, spaces and compatible characters (NFKC)."""
    return _plain(sentence.text) == _plain(row.output)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def _thousandths(score: float) -> int:
    """A score as the page shows and filters it, so that both count the same rows."""
    return round(1000 * score)


def failure_shares(system: System) -> list[float]:
    """Share of a system's rows with each of `FAILURES`, in their order; a row may have several."""

    def fails(failure: Failure) -> Callable[[Sentence, Row], bool]:
        if not failure.measure:
            return copied
        return lambda sentence, row: _thousandths(row.scores[failure.measure]) < 1000 * LOW

    checks = [fails(failure) for failure in FAILURES]
    rows = system.rows.items()
    return [sum(check(sentence, row) for sentence, row in rows) / len(rows) for check in checks]


def example_data(systems: Sequence[System]) -> bytes:
    """All rows of all systems, as gzip of JSON; the same bytes for the same rows.

    A list per sentence: language, input, references, different outputs, and a list per system that
    has the sentence: its index, the index of its output, J, STA, SIM and FL in thousandths, and 1
    if it copied the input. Sentences are in the order of the languages, then those of most systems
    first, then in the order of the first system.
    """
    wanted: dict[Sentence, list[int]] = {}
    for index, system in enumerate(systems):
        for sentence in system.rows:
            wanted.setdefault(sentence, []).append(index)
    order = sorted(wanted, key=lambda s: (CODES.index(s.lang), -len(wanted[s])))
    packed = [_packed(sentence, wanted[sentence], systems) for sentence in order]
    return gzip.compress(as_json(packed).encode(), mtime=0)


def _packed(sentence: Sentence, indices: Sequence[int], systems: Sequence[System]) -> list[Any]:
    references: dict[str, None] = {}
    outputs: dict[str, int] = {}
    rows = []
    for index in indices:
        row = systems[index].rows[sentence]
        references |= dict.fromkeys(row.references)
        place = outputs.setdefault(row.output, len(outputs))
        scores = [_thousandths(row.scores[measure]) for measure in MEASURES]
        rows.append([index, place, *scores, int(copied(sentence, row))])
    return [sentence.lang, sentence.text, list(references), list(outputs), rows]
