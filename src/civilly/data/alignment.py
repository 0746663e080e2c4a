"""Lays a submission beside its references, as the official scorers do.

What the official scorers do (TextDetox 2025, ``evaluate.py``; 2024 is as strict, joining on ids):
both files must be complete, that is without NaN (pandas also reads an empty field and words such as
``NA``, ``null`` or ``None`` as NaN) and with equally many rows; then the references are joined with
the submission on (toxic_sentence, lang), equal character by character, *left*: the rows and their
order are those of the references, the order of the submission does not matter, a sentence that
occurs several times gives every combination of its rows. A sentence without a rewrite does not
become 0: the scorer stops. So whenever it gives a number, `align` gives the same rows. Where it
would stop, `align` reports the rows and

* pairs sentences one to one in order, also those that are equal but for white space (published
  outputs are often stripped); one that occurs more often in the references takes its last rewrite
  again;
* refuses the rest, or as the caller says: counts what is missing or empty as 0, or leaves it out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from civilly.data.submission import ReferenceRow, SubmittedRow
from civilly.data.table import name_rows
from civilly.errors import DataError

Mismatch = Literal["refuse", "zero", "skip"]
MISMATCHES: tuple[Mismatch, ...] = ("refuse", "zero", "skip")
"""What to do where the official scorer stops; see `align`."""


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """A sentence to score.

    Attributes:
        lang: Language code.
        toxic: The toxic sentence, as the references have it.
        output: The rewrite, None if it is missing or empty: scores 0.
        references: As in `ReferenceRow`.
    """

    lang: str
    toxic: str
    output: str | None
    references: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What did not match, as row numbers (from 1) of the file that is named.

    Attributes:
        missing: Rows of the references without a row in the submission.
        empty: Rows of the submission whose rewrite is empty or NaN.
        extra: Rows of the submission that no row of the references asks for.
        duplicated: Rows of the submission that repeat an earlier sentence.
        repeated: Rows of the references that repeat an earlier sentence.
        reordered: Rows of the submission that stand after one that belongs behind them.
        whitespace: Rows of the submission whose sentence has other white space.
    """

    missing: list[int] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    duplicated: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    reordered: list[int] = field(default_factory=list)
    whitespace: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, list[int]]:
        """The row numbers of each kind that occurs."""
        return {kind.name: rows for kind in fields(self) if (rows := getattr(self, kind.name))}

    def refusals(self) -> list[str]:
        """One sentence for each thing at which the official scorer stops."""
        return _sentences(
            (self.missing, "missing in the submission", _REFERENCES),
            (self.empty, "with an empty or NaN rewrite", _SUBMISSION),
            (self.extra, "that the references do not ask for", _SUBMISSION),
        )

    def notes(self) -> list[str]:
        """One sentence for each thing that is odd and was dealt with."""
        return _sentences(
            (self.whitespace, "joined although white space in the sentence differs", _SUBMISSION),
            (self.duplicated, "with the sentence of an earlier row", _SUBMISSION),
            (self.repeated, "with the sentence of an earlier row", _REFERENCES),
            (self.reordered, "not in the order of the references", _SUBMISSION),
        )


_REFERENCES = "references"
_SUBMISSION = "submission"


def _sentences(*found: tuple[list[int], str, str]) -> list[str]:
    return [f"{len(rows)} {what} ({file}, {name_rows(rows)})" for rows, what, file in found if rows]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A submission beside its references.

    Attributes:
        rows: What to score, in the order of the references.
        report: What did not match.
    """

    rows: list[AlignedRow]
    report: Report


def align(
    submission: Sequence[SubmittedRow],
    references: Sequence[ReferenceRow],
    mismatch: Mismatch = "refuse",
    name: str = "The submission",
) -> Alignment:
    """Lays a submission beside the references as the official scorer does (see the module).

    Args:
        submission: Rows of the submission.
        references: Rows of the references or inputs.
        mismatch: Where the official scorer stops: ``refuse`` stops too; ``zero`` keeps sentences
            whose rewrite is missing or empty, to be scored 0; ``skip`` leaves them out. With
            either, rows that the references do not ask for are left out.
        name: What to call the submission in messages.

    Returns:
        The rows to score in the order of the references, and the report.

    Raises:
        DataError: With ``refuse``, naming what does not match and where.
    """
    partners = _join(submission, references)
    rows = [
        AlignedRow(reference.lang, reference.toxic, output, reference.references)
        for reference, found in zip(references, partners, strict=True)
        for output in ([row.output for row in found] or [None])
    ]
    return _accepted(rows, _report(submission, references, partners), mismatch, name)


def align_alone(
    submission: Sequence[SubmittedRow],
    mismatch: Mismatch = "refuse",
    name: str = "The submission",
) -> Alignment:
    """A submission without references or inputs: its own rows, in its order.

    Args:
        submission: Rows of the submission.
        mismatch: As in `align`; only empty rewrites matter.
        name: What to call the submission in messages.

    Raises:
        DataError: With ``refuse``, naming the rows with an empty rewrite.
    """
    rows = [AlignedRow(row.lang, row.toxic, row.output, ()) for row in submission]
    empty = [row.number for row in submission if row.output is None]
    report = Report(empty=empty, duplicated=_repeats(submission))
    return _accepted(rows, report, mismatch, name)


def _accepted(
    rows: Sequence[AlignedRow], report: Report, mismatch: Mismatch, name: str
) -> Alignment:
    refusals = report.refusals()
    if mismatch == "refuse" and refusals:
        raise DataError(
            f"{name} is not complete: {'; '.join(refusals)}.",
            allowed="one rewrite for every sentence, as the official scorer demands",
            mend="--mismatch zero (score 0 for what is missing) or --mismatch skip (leave it out)",
        )
    kept = [row for row in rows if row.output is not None or mismatch == "zero"]
    return Alignment(kept, report)


def _join(
    submission: Sequence[SubmittedRow], references: Sequence[ReferenceRow]
) -> list[list[SubmittedRow]]:
    """The rows of the submission that belong to each row of the references."""
    exact: dict[tuple[str, str], list[SubmittedRow]] = {}
    for row in submission:
        exact.setdefault((row.lang, row.toxic), []).append(row)
    complete = all(row.output is not None for row in submission) and all(
        (row.lang, row.toxic) in exact for row in references
    )
    if complete and len(submission) == len(references):
        return [exact[row.lang, row.toxic] for row in references]
    return _pair(submission, references, exact)


def _pair(
    submission: Sequence[SubmittedRow],
    references: Sequence[ReferenceRow],
    exact: dict[tuple[str, str], list[SubmittedRow]],
) -> list[list[SubmittedRow]]:
    """Pairs one to one, in order: equal sentences first, then those equal but for white space.

    A sentence that occurs more often in the references takes its last rewrite again.
    """
    equal = {key: deque(rows) for key, rows in exact.items()}
    partners: list[list[SubmittedRow]] = []
    for reference in references:
        waiting = equal.get((reference.lang, reference.toxic))
        partners.append([waiting.popleft()] if waiting else [])
    used = {row.number for found in partners for row in found}
    groups: dict[tuple[str, str], deque[SubmittedRow]] = {}
    last: dict[tuple[str, str], SubmittedRow] = {}
    for row in submission:
        last[_loose(row)] = row
        if row.number not in used:
            groups.setdefault(_loose(row), deque()).append(row)
    for reference, found in zip(references, partners, strict=True):
        key = _loose(reference)
        if not found and key in last:
            found.append(groups[key].popleft() if groups.get(key) else last[key])
    return partners


def _loose(row: SubmittedRow | ReferenceRow) -> tuple[str, str]:
    return row.lang, " ".join(row.toxic.split())


def _report(
    submission: Sequence[SubmittedRow],
    references: Sequence[ReferenceRow],
    partners: Sequence[Sequence[SubmittedRow]],
) -> Report:
    pairs = list(zip(references, partners, strict=True))
    used = {row.number for found in partners for row in found}
    return Report(
        missing=[reference.number for reference, found in pairs if not found],
        empty=[row.number for row in submission if row.output is None],
        extra=[row.number for row in submission if row.number not in used],
        duplicated=_repeats(submission),
        repeated=_repeats(references),
        reordered=_reordered(submission, partners),
        whitespace=sorted(
            {row.number for ref, found in pairs for row in found if row.toxic != ref.toxic}
        ),
    )


def _reordered(
    submission: Sequence[SubmittedRow], partners: Sequence[Sequence[SubmittedRow]]
) -> list[int]:
    # A row that belongs to several places counts with its first one.
    place: dict[int, int] = {}
    for at, found in enumerate(partners):
        for row in found:
            place.setdefault(row.number, at)
    furthest = -1
    reordered = []
    for row in submission:
        at = place.get(row.number, furthest)
        if at < furthest:
            reordered.append(row.number)
        furthest = max(furthest, at)
    return reordered


def _repeats(rows: Iterable[SubmittedRow | ReferenceRow]) -> list[int]:
    seen: set[tuple[str, str]] = set()
    repeats = []
    for row in rows:
        if (row.lang, row.toxic) in seen:
            repeats.append(row.number)
        seen.add((row.lang, row.toxic))
    return repeats
