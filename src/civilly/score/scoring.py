"""Scores the rewrites of a system with one metric or suite, text by text, and sums them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from civilly.data.alignment import AlignedRow
from civilly.errors import CivillyError
from civilly.languages import CODES, NEW_CODES, PARALLEL_CODES
from civilly.score.intervals import (
    CONFIDENCE,
    RESAMPLES,
    SEED,
    Interval,
    bootstrap_average,
    bootstrap_mean,
)
from civilly.score.joint import COMPONENTS, JOINT, LOST, SHARES, FaultFinder, joint, shares
from civilly.types import Metric, Suite, Text

AVERAGES = {"AvgP": PARALLEL_CODES, "AvgNP": NEW_CODES}
"""The averages of the shared task: languages with and without parallel data."""

ROWS_AT_ONCE = 512


@runtime_checkable
class Paced(Protocol):
    """A slow metric that says how many rows to give it at once, so that progress shows."""

    rows_at_once: int


def columns_of(metric: Metric, name: str) -> tuple[str, ...]:
    """What a metric gives per text.

    A suite gives STA, SIM, FL and J, and the `SHARES` where it knows them; another metric one
    column.
    """
    if not isinstance(metric, Suite):
        return (name,)
    return (*COMPONENTS, JOINT, *(SHARES if isinstance(metric, FaultFinder) else ()))


def score_rows(
    metric: Metric,
    name: str,
    rows: Sequence[AlignedRow],
    advance: Callable[[int], None] = lambda rows: None,
) -> list[dict[str, float]]:
    """Scores of each row by column, in order.

    Where there is no rewrite they are 0, but for the share `LOST`, which is 1.

    Args:
        metric: The metric or suite.
        name: Its name: the column of a metric that is no suite.
        rows: Sentences with their rewrites; either all have references or none.
        advance: Is told how many more rows are done.

    Raises:
        CivillyError: If the metric gives another number of scores than there are texts, or
            refuses, for instance for want of references.
    """
    columns = columns_of(metric, name)
    scored = [{column: float(column == LOST) for column in columns} for _ in rows]
    present = [number for number, row in enumerate(rows) if row.output is not None]
    advance(len(rows) - len(present))
    for chosen in steps(metric, present, ROWS_AT_ONCE):
        some = [rows[number] for number in chosen]
        values = score_texts(
            metric,
            name,
            [Text(row.toxic, row.lang) for row in some],
            [row.output or "" for row in some],
            [row.references for row in some] if some[0].references else None,
        )
        for column in columns:
            for number, value in zip(chosen, values[column], strict=True):
                scored[number][column] = float(value)
        advance(len(chosen))
    return scored


def steps(metric: Metric, rows: Sequence[int], usual: int) -> Iterator[Sequence[int]]:
    """The rows in parts that a metric is given at once: as many as it wants (`Paced`), or usual."""
    step = metric.rows_at_once if isinstance(metric, Paced) else max(1, usual)
    return (rows[start : start + step] for start in range(0, len(rows), step))


def score_texts(
    metric: Metric,
    name: str,
    texts: Sequence[Text],
    outputs: Sequence[str],
    references: Sequence[Sequence[str]] | None = None,
) -> dict[str, list[float]]:
    """Scores by column (`columns_of`), each with one number per text, in order.

    Args:
        metric: The metric or suite.
        name: Its name: the column of a metric that is no suite.
        texts: The inputs.
        outputs: Their rewrites; same length.
        references: What people wrote, per input; None: score without.

    Raises:
        CivillyError: If the metric gives another number of scores than there are texts, or
            refuses, for instance for want of references.
    """
    if isinstance(metric, Suite):
        components = metric.components(texts, outputs, references)
        values = {**components, JOINT: joint(components)}
        if isinstance(metric, FaultFinder):
            values |= shares(metric.faults(texts, outputs))
    else:
        values = {name: metric.score(texts, outputs, references)}
    for column, given in values.items():
        if len(given) != len(texts):
            raise CivillyError(
                f"The metric {name!r} gave {len(given)} {column} scores for {len(texts)} texts.",
                mend="report it to whoever wrote the metric: it must give one for each text",
            )
    return values


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean scores of a system.

    Attributes:
        languages: Interval by language and column, in the order of `civilly.languages`.
        averages: Interval by average (`AVERAGES`) and column; only averages of which at least two
            languages were scored.
        averaged: The languages that each average is made of; fewer than in `AVERAGES` if the
            others were not scored.
    """

    languages: dict[str, dict[str, Interval]]
    averages: dict[str, dict[str, Interval]]
    averaged: dict[str, tuple[str, ...]]


def summarize_scores(
    langs: Sequence[str],
    scores: Sequence[Mapping[str, float]],
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Summary:
    """Means per language and the averages of the shared task, with bootstrap intervals.

    Args:
        langs: Language code per row.
        scores: Scores by column per row, the same columns in all rows.
        resamples: How often to resample.
        confidence: Of the intervals, in (0, 1).
        seed: Seed of the resampling.
    """
    by_language = {
        code: [row for lang, row in zip(langs, scores, strict=True) if lang == code]
        for code in present_languages(langs)
    }
    columns = list(scores[0]) if scores else []
    options = (resamples, confidence, seed)
    averaged = {name: codes for name, codes in averages_over(by_language).items() if len(codes) > 1}
    return Summary(
        {
            code: {c: bootstrap_mean([row[c] for row in rows], *options) for c in columns}
            for code, rows in by_language.items()
        },
        {
            name: {
                c: bootstrap_average([[row[c] for row in by_language[k]] for k in codes], *options)
                for c in columns
            }
            for name, codes in averaged.items()
        },
        averaged,
    )


def present_languages(langs: Iterable[str]) -> list[str]:
    """The languages that occur, in the order of `civilly.languages`."""
    present = set(langs)
    return [code for code in CODES if code in present]


def averages_over(langs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The scored languages of each average of the shared task."""
    present = set(langs)
    return {
        name: tuple(code for code in codes if code in present) for name, codes in AVERAGES.items()
    }
