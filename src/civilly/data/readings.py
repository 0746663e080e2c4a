"""Readings: what careful readers say of rewrites, and of words in context.

Two kinds of JSON lines, a file per language (`recipes/readings` says how they were made):

- pairs: ``id, lang, text, source, rewrite, systems, fault, use, note, sheet``;
- cases: ``lang, pair, kind, label, text, spans``, where spans are what insults here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from civilly.errors import DataError

FAULTS = ("good", "gap", "insult", "meaning", "overcut", "kept", "other")
"""The worst fault of a rewrite: none; a hole or seam; an insult stays; another meaning; too much
content lost; returned rude; broken otherwise."""
LABELS = ("civil", "toxic", "threat", "selfharm")
"""What a text is: nothing to change, insulting, threatening, or of harm to oneself."""

Row = TypeVar("Row", "Reading", "Case")


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's label of one rewrite.

    Attributes:
        id: Of the text.
        lang: Language code.
        text: The text.
        source: The data set that it is from.
        rewrite: What became of it.
        systems: Who wrote that; the reader did not know.
        fault: One of `FAULTS`.
        use: 2 as it is, 1 after a small edit, 0 not usable.
        note: A few words where it is not good.
        sheet: On which sheet it was read: ``LANG-N``; of two sheets, another reader's.
    """

    id: str
    lang: str
    text: str
    source: str
    rewrite: str
    systems: tuple[str, ...]
    fault: str
    use: int
    note: str
    sheet: str


@dataclass(frozen=True, slots=True)
class Case:
    """A text with the words that insult here; texts of one ``pair`` use a word differently.

    Attributes:
        lang: Language code.
        pair: Number of its group of twins in this language.
        kind: What it is about: names, places, negation, quotation, …
        label: One of `LABELS`.
        text: The text.
        spans: Stretches ``(start, end)`` that insult or threaten; none in civil texts.
    """

    lang: str
    pair: int
    kind: str
    label: str
    text: str
    spans: tuple[tuple[int, int], ...]


def read_readings(folder: Path) -> list[Reading]:
    """All readings of a folder, file by file, or of one file.

    Raises:
        DataError: If a line is no reading.
    """
    return list(_rows(folder, _reading))


def read_cases(folder: Path) -> list[Case]:
    """All detection cases of a folder, file by file, or of one file.

    Raises:
        DataError: If a line is no case.
    """
    return list(_rows(folder, _case))


def as_line(row: Reading | Case) -> str:
    """A row as it stands in its file."""
    return json.dumps(asdict(row), ensure_ascii=False) + "\n"


def _rows(folder: Path, read: Any) -> Iterator[Any]:
    for path in [folder] if folder.is_file() else sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            try:
                yield read(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    f"{path}, line {number} is not understood: {error}.",
                    allowed="see `civilly.data.readings`",
                    mend="mend the line, or take it out",
                ) from error


def _reading(row: dict[str, Any]) -> Reading:
    made = Reading(**{**row, "systems": tuple(row["systems"])})
    if made.fault not in FAULTS or made.use not in (0, 1, 2):
        raise ValueError(f"fault {made.fault!r}, use {made.use!r}")
    return made


def _case(row: dict[str, Any]) -> Case:
    made = Case(**{**row, "spans": tuple((start, end) for start, end in row["spans"])})
    if made.label not in LABELS:
        raise ValueError(f"label {made.label!r}")
    if bool(made.spans) != (made.label in ("toxic", "threat")):
        raise ValueError("toxic and threatening texts have spans, others none")
    ends = [0, *(place for span in made.spans for place in span), len(made.text)]
    if ends != sorted(ends) or any(start == end for start, end in made.spans):
        raise ValueError(f"the spans {made.spans} do not fit the text")
    return made
