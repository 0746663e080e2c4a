"""Scores submissions while the leaderboard is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from civilly.data.submission import ReferenceRow
from civilly.errors import CivillyError
from civilly.leaderboard.runs import Submission
from civilly.score.joint import COMPONENTS
from civilly.score.scores_file import SystemScores
from civilly.score.scoring import score_rows
from civilly.types import Metric, Suite

References = Mapping[tuple[str, str], tuple[str, ...]]
"""What people wrote, by language and toxic sentence, white space made equal."""


def references_by_sentence(rows: Iterable[ReferenceRow]) -> dict[tuple[str, str], tuple[str, ...]]:
    """References by language and toxic sentence; several rows of one sentence give several."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in rows:
        key = (row.lang, " ".join(row.toxic.split()))
        found[key] = (*found.get(key, ()), *row.references)
    return found


def score_submission(
    submission: Submission,
    name: str,
    suite: Metric,
    references: References | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> SystemScores:
    """Scores every row of a submission; a missing rewrite scores 0.

    Args:
        submission: The outputs.
        name: The suite's name.
        suite: The suite.
        references: What people wrote; None: score without.
        advance: Is told how many more rows are done.

    Raises:
        CivillyError: If it is a metric and no suite, or some rows have no reference: scores with
            and without references are two scales.
    """
    if not isinstance(suite, Suite):
        raise CivillyError(
            f"{name!r} is a metric, not a suite: it has no {', '.join(COMPONENTS)}.",
            mend="--suite with a suite of: civilly ls metrics",
        )
    rows = submission.rows
    if references is not None:
        known = [references.get((row.lang, " ".join(row.toxic.split())), ()) for row in rows]
        if not all(known):
            raise CivillyError(
                f"{known.count(())} of {len(rows)} rows of {submission.name!r} have no reference.",
                mend="complete the references, leave out --reference, or hand over scores made "
                "with: civilly score --output",
            )
        rows = [replace(row, references=refs) for row, refs in zip(rows, known, strict=True)]
    values = score_rows(suite, name, rows, advance)
    return SystemScores(submission.name, name, suite.signature, rows, values)
