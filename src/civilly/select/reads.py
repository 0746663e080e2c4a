"""Picks the candidate that a careful reader would find most usable, or keeps the text.

What it maximises is the judge's opinion (`civilly.score.reader`), not a product of proxies: a
deletion is taken only where it reads well, a fluent sentence that says something else is not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from civilly.detect import THREAT
from civilly.score.reader import Opinion, RewriteJudge, load
from civilly.select.rerank import Seen, kept, looked_at
from civilly.select.strength import USUAL, read_strength
from civilly.types import Candidate, Choice, Detection, Detector, Scores, Text, Tools

TOXIC = 0.5
"""From this p(toxic) on a text is rewritten."""
TIMID, BOLD = 0.3, 0.012
"""The least value of a rewrite, in [0, 1], at strength 0 and at strength 1."""
EARLIER = 0.85
"""What a place further back among a text's candidates costs: a method puts those first that it
finds likelier, and of two that the judge likes alike readers prefer the first."""
OF_THREAT = 0.05
"""The least value at most of a threat: its anger in other words always says something else."""
GOOD_ENOUGH = 0.6
"""From this value on, no further candidates are looked for."""
LEAST_GAIN = 0.1
"""A rewrite must lower p(toxic) by this share of what there is."""

OPTIONS = ()
"""The strength is an option of all methods (`civilly.pipeline.Detoxifier`)."""


def create(tools: Tools) -> ReadsSelector:
    """The selector with the shipped judge; the option ``strength`` is in [0, 1].

    Raises:
        CivillyError: If the strength is no such number.
        ModelError: If this copy of Civilly brings no judge.
    """
    return ReadsSelector(tools.detector, load(), read_strength(tools.options))


def least_value(strength: float) -> float:
    """The least value of a rewrite that is taken at a strength: the bolder, the less.

    In equal ratios: most values of rewrites that are no good lie near 0.
    """
    return float(TIMID ** (1 - strength) * BOLD**strength)


class ReadsSelector:
    """Maximises the judge's value times the square root of civility, the earlier the better.

    What `civilly.select.guards` refuses is never taken, nor what is hardly less toxic than the
    text.

    Args:
        detector: Judges the candidates' civility.
        judge: Says how they read.
        strength: How bold it is: see `least_value`.
    """

    def __init__(self, detector: Detector, judge: RewriteJudge, strength: float = USUAL) -> None:
        self._detector = detector
        self._judge = judge
        self._least = least_value(strength)
        judge.prepare()

    def worth_trying(self, detection: Detection) -> bool:
        """Whether p(toxic) reaches `TOXIC`, or it is a threat, which may do without a rude word."""
        return detection.p_toxic >= TOXIC or THREAT in detection.flags

    def satisfied(self, choice: Choice) -> bool:
        """Whether the chosen candidate reaches `GOOD_ENOUGH`."""
        return any(
            candidate is choice.candidate and scores.joint >= GOOD_ENOUGH
            for candidate, scores in choice.scored
        )

    def select(
        self,
        texts: Sequence[Text],
        detections: Sequence[Detection],
        candidates: Sequence[Sequence[Candidate]],
    ) -> list[Choice]:
        """One choice per text; see `civilly.types.Selector`."""
        rows = looked_at(self._detector, texts, candidates)
        pairs = [
            (t.text, seen.candidate.text)
            for t, row in zip(texts, rows, strict=True)
            for seen in row
        ]
        opinions = iter(self._judge.opinions([t for t, _ in pairs], [made for _, made in pairs]))
        return [
            self._decide(
                text,
                before,
                [(seen, scores_of(next(opinions), seen, place)) for place, seen in enumerate(row)],
            )
            for text, before, row in zip(texts, detections, rows, strict=True)
        ]

    def _decide(self, text: Text, before: Detection, scored: list[tuple[Seen, Scores]]) -> Choice:
        scored = sorted(scored, key=lambda item: -item[1].joint)
        ranked = tuple((seen.candidate, scores) for seen, scores in scored)
        threat = THREAT in before.flags
        least = min(self._least, OF_THREAT) if threat else self._least
        for seen, scores in scored:
            if scores.refused is not None or _said(seen.candidate.text) == _said(text.text):
                continue
            if threat and THREAT in seen.after.flags:
                continue
            less_toxic = seen.after.p_toxic <= before.p_toxic * (1 - LEAST_GAIN)
            if less_toxic and scores.joint >= least:
                chance = f"chance that a reader finds no fault: {scores.faults['good']:.0%}"
                return Choice(seen.candidate, f"reads best; {chance}", ranked)
        return kept(text, before, ranked)


def _said(text: str) -> str:
    """What a text says: another case, other blanks or marks make no rewrite of it."""
    return "".join(
        c for c in text.casefold() if not c.isspace() and unicodedata.category(c)[0] != "P"
    )


def scores_of(opinion: Opinion, seen: Seen, place: int) -> Scores:
    """The scores of one candidate; its joint score is what `ReadsSelector` maximises.

    Args:
        opinion: What the judge says of it.
        seen: It, with what the detector finds in it.
        place: How many candidates of its text stand before it.
    """
    civility = 1.0 - seen.after.p_toxic
    changed = opinion.faults["meaning"] + opinion.faults["overcut"]
    return Scores(
        civility=civility,
        similarity=1.0 - changed,
        fluency=1.0 - opinion.faults["gap"] - opinion.faults["other"],
        joint=opinion.value * civility**0.5 * EARLIER**place,
        refused=seen.refused,
        faults=opinion.faults,
    )
