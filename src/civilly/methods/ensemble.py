"""An ensemble of methods, side by side: one selection among the candidates of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from civilly.errors import CivillyError, UnknownNameError
from civilly.types import Candidate, CandidateScorer, Detection, Rewriter, SecondLook, Text

PLUS = "+"
"""Between the names of methods: ``tuned+infill``."""
UNKNOWN_LOGPROB = -0.3
"""Stands for the score of a proposal where no method can score any."""


def names_of(method: str) -> list[str]:
    """The methods that a name means, in order.

    Raises:
        CivillyError: If one is named twice.
    """
    names = [name.strip() for name in method.split(PLUS)]
    if len(set(names)) < len(names):
        raise CivillyError(f"{method!r} names a method twice.", mend="name each once")
    return names


def options_of(options: Mapping[str, Any], name: str, names: Sequence[str]) -> dict[str, Any]:
    """The options of one method among several: those of all, and its own, ``infill.filler=plain``.

    Args:
        options: As the user gave them.
        name: The method.
        names: All methods.

    Raises:
        UnknownNameError: If an option's own method is none of them.
        CivillyError: If one adapter is given to several methods.
    """
    if options.get("adapter") and len(names) > 1:
        raise CivillyError(
            "One adapter cannot serve several methods.",
            mend=f"--option {names[0]}.adapter=FOLDER",
        )
    common, own = {}, {}
    for key, value in options.items():
        owner, dot, option = key.partition(".")
        if not dot:
            common[key] = value
        elif owner == name:
            own[option] = value
        elif owner not in names:
            raise UnknownNameError("method of an option", owner, names)
    return common | own


@dataclass(frozen=True, slots=True)
class Member:
    """One of the methods.

    Attributes:
        rewriter: It.
        candidates: How many candidates per text it is asked for.
    """

    rewriter: Rewriter
    candidates: int


class Ensemble:
    """The candidates of several methods, all scored by the first of them that judges texts.

    So their fluency is on one scale. That method also takes the second look, if it has one. A
    method whose scores say nothing of a text (``judges = False``) judges none of the others; at
    most, if nobody else does, the proposals that come from outside.

    Args:
        members: The methods, at least one.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        rewriters = [member.rewriter for member in members]
        self.generates = any(getattr(each, "generates", True) for each in rewriters)
        scorers = [each for each in rewriters if isinstance(each, CandidateScorer)]
        self._judge = next((each for each in scorers if getattr(each, "judges", True)), None)
        self._nominal = next(iter(scorers), None)

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """Every different candidate per text, those of the first method first.

        Each method makes as many as it was given; ``n`` changes nothing.
        """
        rows: list[dict[str, Candidate]] = [{} for _ in texts]
        for member in self._members:
            made = member.rewriter.rewrite(texts, detections, member.candidates)
            if member.rewriter is not self._judge:
                made = self._scored(texts, rows, made)
            for row, candidates in zip(rows, made, strict=True):
                for candidate in candidates:
                    row.setdefault(candidate.text, candidate)
        return [list(row.values()) for row in rows]

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        """See `civilly.types.CandidateScorer`; `UNKNOWN_LOGPROB` where no method can."""
        scorer = self._judge or self._nominal
        if scorer is None:
            return [UNKNOWN_LOGPROB] * len(proposals)
        return scorer.score(texts, proposals)

    def look_again(
        self, texts: Sequence[Text], detections: Sequence[Detection]
    ) -> list[list[Candidate]]:
        """See `civilly.types.SecondLook`; none where the judging method has none."""
        if not isinstance(self._judge, SecondLook):
            return [[] for _ in texts]
        return self._judge.look_again(texts, detections)

    def _scored(
        self,
        texts: Sequence[Text],
        known: Sequence[Mapping[str, Candidate]],
        made: Sequence[Sequence[Candidate]],
    ) -> list[list[Candidate]]:
        """Candidates that are new, with the judge's score for their own."""
        new = [
            [candidate for candidate in row if candidate.text not in before]
            for before, row in zip(known, made, strict=True)
        ]
        if self._judge is None:
            return new
        flat = [(text, c) for text, row in zip(texts, new, strict=True) for c in row]
        scores = iter(self.score([text for text, _ in flat], [c.text for _, c in flat]))
        return [[replace(candidate, logprob=next(scores)) for candidate in row] for row in new]
