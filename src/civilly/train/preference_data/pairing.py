"""Makes pairs of a text's outputs, and says why the others are none."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from civilly.data.leaks import normalise
from civilly.train.preference_data.confirm import CONTRADICTED
from civilly.train.preference_data.rated import Rated, RatedText
from civilly.train.preference_data.recipe import Filters

REASONS = {
    "equal_sides": "the sides differ in case, punctuation and links alone",
    "near_equal_sides": "the sides are more alike than the recipe allows",
    "margin": "the chosen side is not worth enough more",
    "length": "one side is much longer than the other",
    "copy": "a side is the text itself, where the recipe allows none",
    "empty": "one side says nothing",
    "limit": "the text has enough pairs",
    CONTRADICTED: "the language model prefers the rejected side, in both orders",
}
"""Why two outputs make no pair."""


@dataclass(frozen=True, slots=True)
class Preference:
    """One output chosen over another.

    Attributes:
        chosen: The better one.
        rejected: The worse one.
    """

    chosen: Rated
    rejected: Rated

    @property
    def margin(self) -> float:
        """By how much the chosen one is worth more."""
        return self.chosen.worth - self.rejected.worth


def preferences_of(text: RatedText, filters: Filters, refused: Counter[str]) -> list[Preference]:
    """The pairs of a text: rejected outputs of different faults first, then by margin.

    Args:
        text: The text with its outputs.
        filters: What the recipe allows.
        refused: Counts pairs that are not made, by the reason (`REASONS`).
    """
    kept = []
    for pair in _all_pairs(text.outputs):
        reason = _refusal(text.text, pair, filters)
        if reason:
            refused[reason] += 1
        else:
            kept.append(pair)
    chosen = list(_varied(kept))[: filters.pairs_per_text]
    refused["limit"] += len(kept) - len(chosen)
    return chosen


def labelled_of(text: RatedText, filters: Filters) -> list[Rated]:
    """The outputs of a text that are clearly good or bad, at most so many of each."""
    usable = [
        each
        for each in text.outputs
        if each.label is not None
        and normalise(each.output)
        and not _refused_copy(text.text, each, filters)
    ]
    good = sorted((each for each in usable if each.label), key=lambda each: -each.worth)
    bad = _faults_in_turn([each for each in usable if not each.label])
    return [*good[: filters.pairs_per_text], *bad[: filters.pairs_per_text]]


def _faults_in_turn(outputs: Sequence[Rated]) -> list[Rated]:
    """First one output of each fault, then the second ones, and so on."""
    seen: Counter[str] = Counter()
    turns = []
    for each in outputs:
        turns.append(seen[each.fault])
        seen[each.fault] += 1
    order = sorted(range(len(outputs)), key=lambda number: turns[number])
    return [outputs[number] for number in order]


def _all_pairs(outputs: Sequence[Rated]) -> Iterator[Preference]:
    for chosen in outputs:
        for rejected in outputs:
            if chosen.label is True and rejected.label is False:
                yield Preference(chosen, rejected)


def _refusal(text: str, pair: Preference, filters: Filters) -> str | None:
    """Why a pair is not made, a key of `REASONS`, or None."""
    chosen, rejected = pair.chosen.output, pair.rejected.output
    sizes = sorted((len(chosen.strip()), len(rejected.strip())))
    if not normalise(chosen) or not normalise(rejected):
        return "empty"
    if any(_refused_copy(text, side, filters) for side in (pair.chosen, pair.rejected)):
        return "copy"
    if normalise(chosen) == normalise(rejected):
        return "equal_sides"
    if pair.margin < filters.least_margin:
        return "margin"
    if sizes[1] > filters.length_ratio * sizes[0]:
        return "length"
    if _alike(chosen, rejected) > filters.most_alike:
        return "near_equal_sides"
    return None


def _refused_copy(text: str, rated: Rated, filters: Filters) -> bool:
    if normalise(rated.output) != normalise(text) or filters.copies == "both":
        return False
    return bool(rated.label) or filters.copies == "nowhere"


def _alike(one: str, other: str) -> float:
    """Ratcliff-Obershelp similarity, in [0, 1]."""
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _varied(pairs: Sequence[Preference]) -> Iterator[Preference]:
    """All pairs, so that the first ones have different faults and different sides.

    Of what is left, always the pair whose fault, then whose sides came up least, then the one whose
    rejected side the model would write most likely, as there is most to unlearn; where that is not
    known, that of the largest margin; then the first.
    """
    left = list(pairs)
    seen: Counter[str] = Counter()
    while left:
        best = min(
            left,
            key=lambda pair: (
                seen["fault:" + pair.rejected.fault],
                seen["rejected:" + pair.rejected.output],
                seen["chosen:" + pair.chosen.output],
                -pair.margin if pair.rejected.logprob is None else -pair.rejected.logprob,
            ),
        )
        left.remove(best)
        seen["fault:" + best.rejected.fault] += 1
        seen["rejected:" + best.rejected.output] += 1
        seen["chosen:" + best.chosen.output] += 1
        yield best
