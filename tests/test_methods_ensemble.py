"""Several methods side by side: who judges does not depend on their order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest

from civilly.methods.ensemble import UNKNOWN_LOGPROB, Ensemble, Member
from civilly.methods.infill import InfillRewriter
from civilly.types import Candidate, Detection, Text

TEXTS = [Text("a stupid text", "en")]
FOUND = [Detection(0.9)]


class Proposes:
    """Proposes one text, and cannot score any."""

    def __init__(self, proposal: str, logprob: float | None = -9.0) -> None:
        self.candidate = Candidate(proposal, "stub", logprob)

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        return [[self.candidate] for _ in texts]


class Judges(Proposes):
    """Scores by length."""

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        return [-float(len(proposal)) for proposal in proposals]


class Nominal(Proposes):
    """Scores everything alike."""

    judges = False

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        return [-0.75] * len(proposals)


def ensemble(*rewriters: Proposes) -> Ensemble:
    return Ensemble([Member(each, 1) for each in rewriters])


def scores(method: Ensemble) -> dict[str, float | None]:
    (row,) = method.rewrite(TEXTS, FOUND)
    return {candidate.text: candidate.logprob for candidate in row}


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_who_scores_without_looking_judges_nobody(order: Sequence[int]) -> None:
    methods = [Nominal("four"), Judges("seven..", -7.0), Proposes("eleven.....")]
    method = ensemble(*(methods[number] for number in order))
    assert scores(method) == {"four": -4.0, "seven..": -7.0, "eleven.....": -11.0}
    assert method.score(TEXTS, ["ten......."]) == [-10.0]


@pytest.mark.parametrize("turned", [False, True])
def test_without_a_judge_candidates_keep_their_scores(turned: bool) -> None:
    methods = [Nominal("four", -0.5), Proposes("other", None)]
    method = ensemble(*(methods[::-1] if turned else methods))
    assert scores(method) == {"four": -0.5, "other": None}
    assert method.score(TEXTS, ["deleted"]) == [-0.75]
    assert ensemble(Proposes("other")).score(TEXTS, ["deleted"]) == [UNKNOWN_LOGPROB]


def test_infill_judges_nobody() -> None:
    assert not InfillRewriter.judges
