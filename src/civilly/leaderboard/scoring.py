"""Scores submissions while the leaderboard is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from civilly import registry
from civilly.data.pairs import Pair
from civilly.errors import CivillyError
from civilly.leaderboard.runs import Row, Runs, Sentence, Submission, System
from civilly.score.joint import COMPONENTS, JOINT, joint
from civilly.types import Suite, Text, Tools

ROWS_AT_A_TIME = 256
References = Mapping[tuple[str, str], tuple[str, ...]]
"""What people wrote, by language and toxic sentence."""


def open_suite(name: str, tools: Tools) -> Suite:
    """Creates a suite by its name.

    Raises:
        UnknownNameError: If there is no such metric.
        CivillyError: If it is a metric without components.
    """
    suite: Any = registry.create("score", name, tools)
    if not isinstance(suite, Suite):
        raise CivillyError(
            f"{name!r} is a metric, not a suite: it has no {', '.join(COMPONENTS)}.",
            mend="--suite with a suite of: civilly ls metrics",
        )
    return suite


def chosen_suite(runs: Runs, default: str) -> str:
    """The one suite of a board: that of the files of scores, or the default where there are none.

    Raises:
        CivillyError: If there are scores by several suites: they cannot be compared.
    """
    names = sorted({system.suite for system in runs.systems})
    if len(names) > 1:
        raise CivillyError(
            f"The runs were scored by {len(names)} suites: {', '.join(names)}.",
            mend=f"choose one, for example --suite {names[0]}",
        )
    return names[0] if names else default


def references_of(pairs: Iterable[Pair]) -> dict[tuple[str, str], tuple[str, ...]]:
    """References of pairs by language and toxic sentence."""
    return {(pair.lang, pair.toxic): pair.neutral for pair in pairs}


def score_submission(
    submission: Submission,
    name: str,
    suite: Suite,
    references: References | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> System:
    """Scores every row of a submission.

    References are used only if every row has one: scores with and without them are two scales.

    Args:
        submission: The outputs.
        name: The suite's name.
        suite: The suite.
        references: What people wrote.
        advance: Is told how many more rows are done.

    Raises:
        CivillyError: If the suite needs references that are missing.
    """
    sentences = list(submission.outputs)
    known = [(references or {}).get((s.lang, s.text), ()) for s in sentences]
    usable = all(known)
    rows: dict[Sentence, Row] = {}
    for begin in range(0, len(sentences), ROWS_AT_A_TIME):
        batch = sentences[begin : begin + ROWS_AT_A_TIME]
        outputs = [submission.outputs[sentence] for sentence in batch]
        refs = known[begin : begin + ROWS_AT_A_TIME]
        scored = _score(suite, batch, outputs, refs if usable else None)
        for sentence, output, reference, scores in zip(batch, outputs, refs, scored, strict=True):
            rows[sentence] = Row(output, reference, scores)
        advance(len(batch))
    return System(submission.name, name, suite.signature, rows)


def _score(
    suite: Suite,
    sentences: Sequence[Sentence],
    outputs: Sequence[str],
    references: Sequence[Sequence[str]] | None,
) -> list[dict[str, float]]:
    texts = [Text(sentence.text, sentence.lang) for sentence in sentences]
    found = suite.components(texts, outputs, references)
    columns = {JOINT: joint(found), **found}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
