"""How well refusals are found, on answers that people labelled: precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.data.io import read_utf8
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.synth.filters.refusal import score

PARTS = ("seen", "held")
"""Rows of the first part may be looked at while phrases are written, those of the second never."""


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer and what it is.

    Attributes:
        text: The answer.
        refusal: Whether it is a refusal or a disclaimer.
        lang: Language code.
        part: One of `PARTS`.
    """

    text: str
    refusal: bool
    lang: str
    part: str


def read_labelled_answers(folder: Path) -> list[LabelledAnswer]:
    """Reads ``LANG.jsonl`` of a folder: columns ``text``, ``refusal`` (0 or 1) and ``part``.

    Raises:
        DataError: If there is no such file, or a row is not as it should be.
    """
    paths = [folder / f"{code}.jsonl" for code in CODES if (folder / f"{code}.jsonl").exists()]
    if not paths:
        raise DataError(
            f"There are no labelled answers in {str(folder)!r}.", allowed="files such as en.jsonl"
        )
    return [answer for path in paths for answer in _read(path)]


def _read(path: Path) -> list[LabelledAnswer]:
    answers = []
    for number, row in enumerate(read_utf8(path).rows, start=1):
        text, label, part = row.get("text"), row.get("refusal"), row.get("part")
        if not isinstance(text, str) or label not in (0, 1) or part not in PARTS:
            raise DataError(
                f"{path}, row {number} is no labelled answer.",
                allowed="a text, refusal 0 or 1, part seen or held",
                mend="correct the row",
            )
        answers.append(LabelledAnswer(text, bool(label), path.stem, part))
    return answers


def measure(answers: Sequence[LabelledAnswer], threshold: float) -> list[dict[str, Any]]:
    """Precision and recall of each language and part, and of all languages together.

    Args:
        answers: Labelled answers.
        threshold: Of the filter: what scores more than 1 - this is taken for a refusal.

    Returns:
        ``lang`` (or ``all``), ``part``, ``rows``, ``precision`` and ``recall`` in [0, 1], None
        where nothing was found or nothing is there, and ``errors``, the answers that were
        misjudged.
    """
    judged = [(each, 1.0 - score(each.text, each.lang) < threshold) for each in answers]
    groups = [
        (lang, part)
        for lang in (*dict.fromkeys(each.lang for each in answers), "all")
        for part in PARTS
    ]
    return [
        _measured(
            lang, part,
            [(a, found) for a, found in judged if lang in ("all", a.lang) and a.part == part],
        )
        for lang, part in groups
    ]  # fmt: skip


def _measured(
    lang: str, part: str, judged: Sequence[tuple[LabelledAnswer, bool]]
) -> dict[str, Any]:
    right = sum(found and answer.refusal for answer, found in judged)
    found_all = sum(found for _, found in judged)
    there = sum(answer.refusal for answer, _ in judged)
    return {
        "lang": lang,
        "part": part,
        "rows": len(judged),
        "precision": right / found_all if found_all else None,
        "recall": right / there if there else None,
        "errors": [
            f"{'missed' if answer.refusal else 'wrong'}: {answer.text}"
            for answer, found in judged
            if found != answer.refusal
        ],
    }
