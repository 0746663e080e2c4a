"""Words that were cut out of a text and may not come back into it, disguised or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import groupby

from civilly.detect.normalise import MASK, normalise
from civilly.languages import UNSPACED_LETTER, in_word
from civilly.types import Span, Text

LEAST_INSIDE = 4
"""A cut word of at least so many characters may not stand inside a longer word either."""


class BannedWords:
    """What may not come back into one text.

    Args:
        text: The text.
        spans: Its toxic stretches.
    """

    def __init__(self, text: Text, spans: Sequence[Span]) -> None:
        self._text = text
        self._spans = spans

    def found_in(self, filling: str) -> bool:
        """Whether a filling has a word of a toxic stretch, as `normalise` reads both of them.

        ``1d10t`` and ``i d i o t`` are ``idiot``; ``idiotic`` holds it.
        """
        made = _words(filling, self._text.lang)
        joined = "".join(made)
        return any(
            cut in made or (_is_long(cut) and cut in joined) or _unmasks(cut, made)
            for cut in self._cut
        )

    @cached_property
    def _cut(self) -> frozenset[str]:
        found = [
            word
            for span in self._spans
            for word in _words(self._text.text[span.start : span.end], self._text.lang)
        ]
        return frozenset(found)


def _words(text: str, lang: str) -> list[str]:
    runs = groupby(normalise(text, lang).text, lambda each: each == MASK or in_word(each))
    return ["".join(run) for inside, run in runs if inside]


def _is_long(word: str) -> bool:
    return len(word) >= LEAST_INSIDE or (len(word) > 1 and bool(UNSPACED_LETTER.search(word)))


def _unmasks(cut: str, made: Sequence[str]) -> bool:
    """Whether one is the other with letters masked: ``f*k`` and ``fuck``."""
    return any(
        _fits_mask(masked, plain)
        for word in made
        for masked, plain in ((cut, word), (word, cut))
        if MASK in masked and MASK not in plain
    )


def _fits_mask(masked: str, plain: str) -> bool:
    letters = masked.replace(MASK, "")
    pattern = ".{1,4}".join(map(re.escape, masked.split(MASK)))
    return bool(letters) and re.fullmatch(pattern, plain) is not None
