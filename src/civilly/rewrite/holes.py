"""Holes in a text, and what may fill them: the shapes that the method and its fillers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Gap:
    """One hole of one text, with its surroundings.

    Attributes:
        before: The text left of the hole; earlier holes of the text are filled already. It is
            never stripped.
        cut: What was cut out.
        after: The text right of the hole, without its later holes
            (`civilly.rewrite.delete.delete_spans`).
        lang: Language code.
    """

    before: str
    cut: str
    after: str
    lang: str


@dataclass(frozen=True, slots=True)
class Filling:
    """What may stand in a hole.

    Attributes:
        text: What goes between ``before`` and ``after``, blanks at the boundary included; nothing
            at all is a filling, too.
        logprob: Mean natural log probability per token, where it is known.
    """

    text: str
    logprob: float | None = None


class Filler(Protocol):
    """Writes what may stand in holes."""

    def fill(self, gaps: Sequence[Gap], n: int) -> list[list[Filling]]:
        """Up to ``n`` different fillings per gap (possibly none), best first; in order."""
        ...
