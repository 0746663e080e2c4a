"""Station 4: what must not be touched comes back byte for byte, whatever a method or selector does.

A proposal that spells it differently is mended where that is sure, else refused before any selector
sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

from civilly.detect.protected import keeps_protected, protected
from civilly.types import Candidate, Choice, Detection, Scores, Selector, Text

REFUSED = "without what must not be touched, such as a link, a name or a number, or with more of it"


def mended(source: str, proposal: str) -> str:
    """The proposal with what is protected as its text spells it, if they have as many of each kind.

    Args:
        source: The text.
        proposal: What a method made of it.
    """
    if keeps_protected(source, proposal):
        return proposal
    wanted, there = protected(source), protected(proposal)
    if [each.kind for each in wanted] != [each.kind for each in there]:
        return proposal
    pieces, last = [], 0
    for right, wrong in zip(wanted, there, strict=True):
        pieces += [proposal[last : wrong.start], source[right.start : right.end]]
        last = wrong.end
    return "".join((*pieces, proposal[last:]))


class KeepsProtected:
    """A selector that never sees what breaks the law; `civilly.types.Selector`.

    Args:
        selector: Chooses among the other candidates.
    """

    def __init__(self, selector: Selector) -> None:
        self._selector = selector

    def worth_trying(self, detection: Detection) -> bool:
        """See the selector's."""
        return self._selector.worth_trying(detection)

    def satisfied(self, choice: Choice) -> bool:
        """See the selector's."""
        return self._selector.satisfied(choice)

    def select(
        self,
        texts: Sequence[Text],
        detections: Sequence[Detection],
        candidates: Sequence[Sequence[Candidate]],
    ) -> list[Choice]:
        """The selector's choices; what is refused here stands last among their candidates."""
        kept: list[list[Candidate]] = []
        refused: list[list[Candidate]] = []
        for text, row in zip(texts, candidates, strict=True):
            sound = [keeps_protected(text.text, candidate.text) for candidate in row]
            kept.append([c for c, good in zip(row, sound, strict=True) if good])
            refused.append([c for c, good in zip(row, sound, strict=True) if not good])
        choices = self._selector.select(texts, detections, kept)
        return [_with(choice, row) for choice, row in zip(choices, refused, strict=True)]


def _with(choice: Choice, refused: Sequence[Candidate]) -> Choice:
    if not refused:
        return choice
    nothing = Scores(0.0, 0.0, 0.0, 0.0, REFUSED)
    traced = (*choice.scored, *((candidate, nothing) for candidate in refused))
    reason = choice.reason if choice.candidate else f"{choice.reason}; one was refused: {REFUSED}"
    return Choice(choice.candidate, reason, traced)
