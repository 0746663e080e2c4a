"""Picks the candidate that the other civil ones agree with most (minimum Bayes risk)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from civilly.select.rerank import RerankSelector, admissible, levenshtein_similarity
from civilly.select.strength import read_strength
from civilly.types import Candidate, Detection, Scores, Text, Tools

CIVIL = 0.5
"""From this civility on a candidate has a vote, and may be chosen."""


OPTIONS = ()
"""The strength is an option of all methods (`civilly.pipeline.Detoxifier`)."""


def create(tools: Tools) -> ConsensusSelector:
    """The selector on the shared detector; the option ``strength`` is in [0, 1].

    Raises:
        CivillyError: If the strength is no such number.
    """
    return ConsensusSelector(tools.detector, read_strength(tools.options))


class ConsensusSelector(RerankSelector):
    """Maximises ``expected utility · similarity^a`` among the civil candidates.

    The expected utility of a candidate is its mean similarity to all civil candidates, itself
    among them, weighted by how probable their model finds them: the decision of minimum Bayes risk
    (Kumar and Byrne 2004) with the candidates for a sample. Utility is the normalised Levenshtein
    similarity; ``a`` follows the strength, and at strength 1 is 0: plain minimum Bayes risk. It
    needs several candidates: with one or two it says little.
    """

    reason = "the others agree with it most"

    def _good_enough(self, scores: Scores) -> bool:
        return scores.civility >= CIVIL

    def _ranked(
        self, text: Text, before: Detection, scored: list[tuple[Candidate, Scores]]
    ) -> list[tuple[Candidate, Scores]]:
        """The candidates with their joint score: 0 for those that have no vote."""
        open_ones = [item for item in scored if admissible(text, before, *item)]
        voters = [item for item in open_ones if item[1].civility >= CIVIL]
        if not voters:  # then the most civil one stands alone
            voters = sorted(open_ones, key=lambda item: -item[1].civility)[:1]
        utilities = expected_utilities(
            [candidate.text for candidate, _ in voters], [scores.fluency for _, scores in voters]
        )
        joint = {
            id(candidate): utility * scores.similarity**self._weight
            for (candidate, scores), utility in zip(voters, utilities, strict=True)
        }
        return [(c, replace(scores, joint=joint.get(id(c), 0.0))) for c, scores in scored]


def expected_utilities(texts: Sequence[str], weights: Sequence[float]) -> list[float]:
    """Weighted mean similarity of each text to all of them, in [0, 1].

    Args:
        texts: The candidates.
        weights: How probable each is, above 0, to any scale.
    """
    total = sum(weights)
    return [
        sum(
            w * levenshtein_similarity(text, other) for other, w in zip(texts, weights, strict=True)
        )
        / total
        for text in texts
    ]
