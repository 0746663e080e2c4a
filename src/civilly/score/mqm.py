"""The arithmetic of XCOMET: error spans from token tags, MQM from spans, the weighted sum.

Guerreiro et al. 2024, https://arxiv.org/abs/2310.10482, with the weights of unbabel-comet 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TAGS = ("none", "minor", "major", "critical")
"""What the classes of the tagging head stand for."""
PENALTY = {"minor": 1, "major": 5, "critical": 10}
MOST = 25
"""A sentence is never charged more than this."""
SENTENCE_WEIGHTS = (0.12, 0.33, 0.33)
"""Weights of the regression scores of (mt;src), (mt;ref) and (mt;src;ref)."""
MQM_WEIGHT = 0.22
TAG_WEIGHTS = (0.1667, 0.3333, 0.5)
"""Weights of the tag probabilities of the same three inputs."""


@dataclass(frozen=True, slots=True)
class ErrorSpan:
    """A stretch of an output that the model holds for an error.

    Attributes:
        start: First character, in Python string offsets of the output.
        end: One past the last character; both are 0 if only the mark before the text is tagged.
        severity: ``minor``, ``major`` or ``critical``.
        confidence: Mean probability of the tags in the span, in [0, 1].
    """

    start: int
    end: int
    severity: str
    confidence: float


def error_spans(
    probabilities: Sequence[Sequence[float]], offsets: Sequence[tuple[int, int]]
) -> list[ErrorSpan]:
    """Runs of tokens whose most likely tag is not ``none``.

    As in unbabel-comet, a run has the severity of its first token whatever follows, the two special
    tokens around the sentence are tagged too, and a run that reaches the last token is dropped.

    Args:
        probabilities: ``[tokens][4]``, of `TAGS`, for the output with its special tokens.
        offsets: ``(start, end)`` of each token in the output; special tokens have (0, 0).
    """
    spans: list[ErrorSpan] = []
    run: list[int] = []
    tags = [max(range(len(TAGS)), key=row.__getitem__) for row in probabilities]
    for token, tag in enumerate(tags):
        if tag:
            run.append(token)
        elif run:
            sure = [probabilities[each][tags[each]] for each in run]
            start, end = offsets[run[0]][0], offsets[run[-1]][1]
            spans.append(ErrorSpan(start, end, TAGS[tags[run[0]]], sum(sure) / len(sure)))
            run = []
    return spans


def mqm(severities: Iterable[str]) -> float:
    """``(25 - min(25, sum of penalties)) / 25``, in [0, 1]."""
    return (MOST - min(MOST, sum(PENALTY[each] for each in severities))) / MOST


def combined(scores: Sequence[float], quality: float) -> float:
    """XCOMET of one sentence; at most 1, and not clipped below.

    Args:
        scores: Regression scores of (mt;src), (mt;ref), (mt;src;ref), or of (mt;src) alone, which
            then carries the weight of all three. Each counts for at most 1.
        quality: Its `mqm`.
    """
    weights = SENTENCE_WEIGHTS if len(scores) == 3 else (sum(SENTENCE_WEIGHTS),)
    regression = sum(
        weight * min(1.0, score) for weight, score in zip(weights, scores, strict=True)
    )
    return regression + MQM_WEIGHT * quality
