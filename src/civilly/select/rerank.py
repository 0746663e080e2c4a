"""Picks the best product of civility, similarity and fluency, or keeps the text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from civilly.select.guards import refusals
from civilly.select.seams import Seams
from civilly.select.strength import USUAL, read_strength, similarity_weight
from civilly.types import Candidate, Choice, Detection, Detector, Scores, Text, Tools

# Chosen on the "tune" part of the dev pairs (docs/decisions.md): the mean product of civility,
# similarity to the reference and fluency was flat around these weights.
CIVIL_ENOUGH = 0.05
"""Below this p(toxic) a text is left alone."""
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


OPTIONS = ()
"""The strength is an option of all methods (`civilly.pipeline.Detoxifier`)."""


def create(tools: Tools) -> RerankSelector:
    """The selector on the shared detector; the option ``strength`` is in [0, 1].

    Raises:
        CivillyError: If the strength is no such number.
    """
    return RerankSelector(tools.detector, read_strength(tools.options))


class RerankSelector:
    """Maximises ``civility · similarity^a · fluency^b``.

    Similarity is the normalised Levenshtein similarity of input and output, the cheap number that
    agrees best with people on content; fluency is the geometric mean probability of the candidate's
    tokens under the model that wrote it, less where a cut left a hole. What `civilly.select.guards`
    refuses is never taken.

    Args:
        detector: Scores inputs and candidates.
        strength: From the candidate nearest to the input (0) to one that need not be near it (1);
            it decides the exponent a (`civilly.select.strength.similarity_weight`).
    """

    reason = "best product of civility, similarity and fluency"

    def __init__(self, detector: Detector, strength: float = USUAL) -> None:
        self._detector = detector
        self._weight = similarity_weight(strength)
        self._seams = Seams()

    def worth_trying(self, detection: Detection) -> bool:
        """Whether p(toxic) reaches `CIVIL_ENOUGH`."""
        return detection.p_toxic >= CIVIL_ENOUGH

    def satisfied(self, choice: Choice) -> bool:
        """Whether the chosen candidate reaches `GOOD_ENOUGH`."""
        return any(
            candidate is choice.candidate and self._good_enough(scores)
            for candidate, scores in choice.scored
        )

    def _good_enough(self, scores: Scores) -> bool:
        return scores.joint >= GOOD_ENOUGH

    def select(
        self,
        texts: Sequence[Text],
        detections: Sequence[Detection],
        candidates: Sequence[Sequence[Candidate]],
    ) -> list[Choice]:
        """One choice per text; see `civilly.types.Selector`."""
        rows = zip(texts, detections, self._scored(texts, detections, candidates), strict=True)
        return [
            decide(text, before, self._ranked(text, before, scored), self.reason)
            for text, before, scored in rows
        ]

    def _ranked(
        self, text: Text, before: Detection, scored: list[tuple[Candidate, Scores]]
    ) -> list[tuple[Candidate, Scores]]:
        """The candidates with the joint scores that decide."""
        return scored

    def _scored(
        self,
        texts: Sequence[Text],
        detections: Sequence[Detection],
        candidates: Sequence[Sequence[Candidate]],
    ) -> list[list[tuple[Candidate, Scores]]]:
        """The candidates of each text with their scores, in order."""

        def of_candidate(text: Text, seen: Seen) -> Scores:
            made = score(text, seen.candidate, seen.after, self._seams, self._weight)
            return replace(made, refused=seen.refused)

        rows = zip(texts, looked_at(self._detector, texts, candidates), strict=True)
        return [[(seen.candidate, of_candidate(text, seen)) for seen in row] for text, row in rows]


@dataclass(frozen=True, slots=True)
class Seen:
    """A candidate with what is found in it.

    Attributes:
        candidate: The proposal.
        after: What the detector says of it.
        refused: Why it may not be taken at all (`civilly.select.guards`), or None.
    """

    candidate: Candidate
    after: Detection
    refused: str | None


def looked_at(
    detector: Detector, texts: Sequence[Text], candidates: Sequence[Sequence[Candidate]]
) -> list[list[Seen]]:
    """The candidates of each text with what is found in them; all are looked at together."""
    pairs = [(t, c) for t, row in zip(texts, candidates, strict=True) for c in row]
    after = detector.detect([Text(c.text, t.lang) for t, c in pairs])
    refused = refusals([t for t, _ in pairs], [c.text for _, c in pairs])
    found = zip(pairs, after, refused, strict=True)
    seen = (Seen(candidate, what, why) for (_, candidate), what, why in found)
    return [[next(seen) for _ in row] for row in candidates]


def score(
    source: Text,
    candidate: Candidate,
    after: Detection,
    seams: Seams,
    weight: float = similarity_weight(USUAL),
) -> Scores:
    """Scores of one candidate, each in [0, 1].

    Args:
        source: The input.
        candidate: A proposal.
        after: What the detector says of it.
        seams: Which words never meet.
        weight: Exponent of similarity in the product.
    """
    civility = 1.0 - after.p_toxic
    similarity = levenshtein_similarity(source.text, candidate.text)
    known = candidate.logprob is not None
    fluency = math.exp(min(0.0, candidate.logprob or 0.0)) if known else UNSCORED_FLUENCY
    if seams.broken(source.text, candidate.text, source.lang):
        fluency *= BROKEN_FLUENCY
    joint = civility * similarity**weight * fluency**FLUENCY_WEIGHT
    return Scores(civility, similarity, fluency, joint)


def levenshtein_similarity(left: str, right: str) -> float:
    """1 - edit distance / length of the longer text, in [0, 1]."""
    return float(Levenshtein.normalized_similarity(left, right))


def admissible(text: Text, before: Detection, candidate: Candidate, scores: Scores) -> bool:
    """Whether a candidate may be taken at all: new, less toxic, readable and not refused."""
    readable = candidate.logprob is None or candidate.logprob >= LEAST_LOGPROB
    less_toxic = 1.0 - scores.civility <= before.p_toxic * (1.0 - LEAST_GAIN)
    return scores.refused is None and candidate.text != text.text and less_toxic and readable


def decide(
    text: Text, before: Detection, scored: Sequence[tuple[Candidate, Scores]], why: str
) -> Choice:
    """The admissible candidate with the best joint score, or none.

    Args:
        text: The input.
        before: What the detector says of it.
        scored: Its candidates.
        why: The reason to give for one that is taken.
    """
    ranked = tuple(sorted(scored, key=lambda item: -item[1].joint))
    for candidate, scores in ranked:
        if admissible(text, before, candidate, scores):
            return Choice(candidate, why, ranked)
    return kept(text, before, ranked)


def kept(text: Text, before: Detection, ranked: tuple[tuple[Candidate, Scores], ...]) -> Choice:
    """The choice of none of the candidates, with the reason."""
    refused = next((scores.refused for _, scores in ranked if scores.refused), None)
    reason = nothing_found(text, before)
    if refused:
        reason += f"; one was refused: {refused}"
    return Choice(None, reason, ranked)


def nothing_found(text: Text, before: Detection) -> str:
    """The reason to keep a text that is toxic, with the words that make it so."""
    words = dict.fromkeys(" ".join(text.text[s.start : s.end].split()) for s in before.spans)
    told = f"; the toxic words are: {', '.join(words)}" if words else ""
    return f"no wording was found that reads well{told}"
