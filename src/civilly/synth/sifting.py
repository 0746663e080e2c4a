"""Puts candidates through the filters: what is accepted, and what speaks against the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from civilly.synth.filters import Filter, Sample

NO_ANSWER, UNFINISHED, NOT_CHOSEN = "no answer", "unfinished", "not chosen"
NOT_AS_ASKED = "not as asked"
REASONS = {
    NO_ANSWER: "the engine refused this text",
    UNFINISHED: "the answer was cut off at the limit of tokens",
    NOT_CHOSEN: "another candidate of the same text is better",
    NOT_AS_ASKED: "the answer, or a comment in it, has not the form that was asked for",
}
"""Why a row is not accepted, besides the filters."""
QUALITY = ("reading", "similarity")
"""The filters whose values choose among the candidates of a text; the first that knows one."""


@dataclass(slots=True)
class Verdict:
    """What became of one candidate.

    Attributes:
        text: Number of the text, from 0.
        candidate: Number among the candidates of its text, from 0.
        sample: The candidate beside its text.
        values: What the filters found, by name; one that compares rows found nothing of what
            others had taken out.
        comment: Of an invented thread: its number among those of its answer.
        told: What its row says besides.
        against: Filters that took it out, or `REASONS`, the first one decides; none: accepted.
    """

    text: int
    candidate: int
    sample: Sample
    values: dict[str, float | None] = field(default_factory=dict)
    against: list[str] = field(default_factory=list)
    comment: int = 0
    told: dict[str, Any] = field(default_factory=dict)


def sift(verdicts: Sequence[Verdict], filters: Sequence[Filter], *, one_each: bool = True) -> None:
    """Fills in the verdicts on candidates.

    Args:
        verdicts: All candidates of all texts, in order; changed in place.
        filters: In the order in which the first to take a row out is named.
        one_each: Whether of each text one at most is accepted.
    """
    unread = {NO_ANSWER, NOT_AS_ASKED}
    for each in (one for one in filters if not one.among_kept):
        _apply(each, [v for v in verdicts if unread.isdisjoint(v.against)])
    if one_each:
        choose(verdicts)
    for each in (one for one in filters if one.among_kept):
        _apply(each, [verdict for verdict in verdicts if not verdict.against])


def _apply(each: Filter, verdicts: Sequence[Verdict]) -> None:
    values = each.measure([verdict.sample for verdict in verdicts])
    for verdict, value in zip(verdicts, values, strict=True):
        verdict.values[each.name] = None if value is None else round(value, 4)
        if not each.keeps(verdict.values[each.name]):
            verdict.against.append(each.name)


def choose(verdicts: Sequence[Verdict]) -> None:
    """Leaves the best candidate of each text, by `QUALITY`, the first of equal ones."""
    best: dict[int, Verdict] = {}
    for verdict in (each for each in verdicts if not each.against):
        known = best.get(verdict.text)
        if known is None:
            best[verdict.text] = verdict
        elif _quality(verdict) > _quality(known):
            known.against.append(NOT_CHOSEN)
            best[verdict.text] = verdict
        else:
            verdict.against.append(NOT_CHOSEN)


def _quality(verdict: Verdict) -> float:
    return next((v for name in QUALITY if (v := verdict.values.get(name)) is not None), 0.0)


def texts_left(
    rows: Sequence[tuple[int, dict[str, float | None]]],
    thresholds: dict[str, float],
) -> int:
    """How many texts have a candidate that passes all of some thresholds.

    Args:
        rows: Number of the text and values of each candidate that was read.
        thresholds: By filter.
    """
    return len({
        text
        for text, values in rows
        if all(
            (value := values.get(name)) is None or value >= least
            for name, least in thresholds.items()
        )
    })  # fmt: skip
