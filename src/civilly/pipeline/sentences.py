"""Station 1: a text is cut into the sentences that are found, written and chosen one by one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from civilly.detect.parts import core, parts
from civilly.types import Text


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence of a text, or a part of one that is too long: ``left + core + right``.

    Attributes:
        row: Which text of the batch.
        start: Where the core begins in it.
        left: Blanks before the core.
        core: What is judged and rewritten; nothing in a stretch of blanks.
        right: Blanks after it.
    """

    row: int
    start: int
    left: str
    core: str
    right: str

    @property
    def spoken(self) -> bool:
        """Whether it holds a letter; what holds none is never rewritten."""
        return any(unicodedata.category(character)[0] == "L" for character in self.core)

    @property
    def place(self) -> tuple[int, int]:
        """Start and end of the core in the text."""
        return self.start, self.start + len(self.core)


def parts_of(texts: Sequence[Text]) -> list[Part]:
    """The parts of all texts in order; those of a text together are the text, byte for byte."""
    found = []
    for row, text in enumerate(texts):
        for start, end in parts(text.text, text.lang):
            first, past = core(text.text, start, end)
            left, right = text.text[start:first], text.text[past:end]
            found.append(Part(row, first, left, text.text[first:past], right))
    return found
