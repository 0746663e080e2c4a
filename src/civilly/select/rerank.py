"""Picks the best product of civility, similarity and fluency, or keeps the text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from civilly.select.facts import changed_facts
from civilly.select.seams import Seams
from civilly.types import Candidate, Choice, Detection, Detector, Scores, Text, Tools

# Chosen on the "tune" part of the dev pairs (docs/decisions.md): the mean product of civility,
# similarity to the reference and fluency was flat around these weights.
CIVIL_ENOUGH = 0.05
"""Below this p(toxic) a text is left alone."""
SIMILARITY_WEIGHT = 0.5
FLUENCY_WEIGHT = 1 / 3
LEAST_GAIN = 0.02
"""A rewrite must lower p(toxic) by this much of what there is."""
LEAST_LOGPROB = -2.5
"""A candidate that its model finds less likely than this per token is rubble: better no rewrite."""
GOOD_ENOUGH = 0.5
"""From this joint score on, no further candidates are looked for."""
UNSCORED_FLUENCY = 0.75
"""Fluency of a candidate that no model has scored."""
BROKEN_FLUENCY = 0.2
"""A candidate with a broken seam (`civilly.select.seams`) keeps this share of its fluency."""
CHANGED_SIMILARITY = 0.5
"""One that loses or invents a number, a name or a link keeps this share of its similarity."""


def create(tools: Tools) -> RerankSelector:
    """The selector on the shared detector."""
    return RerankSelector(tools.detector)


class RerankSelector:
    """Maximises ``civility · similarity^a · fluency^b``.

    Similarity is the normalised Levenshtein similarity of input and output, the cheap number that
    agrees best with people on content, less where facts changed; fluency is the geometric mean
    probability of the candidate's tokens under the model that wrote it, less where a cut left a
    hole.

    Args:
        detector: Scores inputs and candidates.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._seams = Seams()

    def worth_trying(self, detection: Detection) -> bool:
        """Whether p(toxic) reaches `CIVIL_ENOUGH`."""
        return detection.p_toxic >= CIVIL_ENOUGH

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
        flat = [Text(c.text, t.lang) for t, row in zip(texts, candidates, strict=True) for c in row]
        after = iter(self._detector.detect(flat))
        choices = []
        for text, before, row in zip(texts, detections, candidates, strict=True):
            scored = [(c, score(text, before, c, next(after), self._seams)) for c in row]
            choices.append(_choose(text, before, scored))
        return choices


def score(
    source: Text, before: Detection, candidate: Candidate, after: Detection, seams: Seams
) -> Scores:
    """Scores of one candidate, each in [0, 1]."""
    civility = 1.0 - after.p_toxic
    similarity = levenshtein_similarity(source.text, candidate.text)
    if changed_facts(source.text, before, candidate.text):
        similarity *= CHANGED_SIMILARITY
    known = candidate.logprob is not None
    fluency = math.exp(min(0.0, candidate.logprob or 0.0)) if known else UNSCORED_FLUENCY
    if seams.broken(source.text, candidate.text, source.lang):
        fluency *= BROKEN_FLUENCY
    joint = civility * similarity**SIMILARITY_WEIGHT * fluency**FLUENCY_WEIGHT
    return Scores(civility, similarity, fluency, joint)


def levenshtein_similarity(left: str, right: str) -> float:
    """1 - edit distance / length of the longer text, in [0, 1]."""
    return float(Levenshtein.normalized_similarity(left, right))


def _choose(text: Text, before: Detection, scored: list[tuple[Candidate, Scores]]) -> Choice:
    ranked = tuple(sorted(scored, key=lambda item: -item[1].joint))
    most_toxic = before.p_toxic * (1.0 - LEAST_GAIN)
    for candidate, scores in ranked:
        readable = candidate.logprob is None or candidate.logprob >= LEAST_LOGPROB
        if candidate.text != text.text and 1.0 - scores.civility <= most_toxic and readable:
            return Choice(candidate, "best product of civility, similarity and fluency", ranked)
    reason = (
        "no readable candidate is less toxic than the text" if ranked else "no candidate was found"
    )
    return Choice(None, reason, ranked)
