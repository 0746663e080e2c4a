"""Proposes the input itself: the task's baseline, and what every gain is measured against."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.types import Candidate, Detection, Text, Tools


class DuplicateRewriter:
    """Changes nothing."""

    generates = False
    """A baseline: the pipeline adds no candidates to its own."""

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """One candidate per text, equal to the text; ``detections`` and ``n`` change nothing."""
        return [[Candidate(each.text, "duplicate")] for each in texts]


OPTIONS = ()


def create(tools: Tools) -> DuplicateRewriter:
    """The rewriter; it has no options and needs no tools."""
    return DuplicateRewriter()
