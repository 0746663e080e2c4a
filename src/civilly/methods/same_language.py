"""Whether a rewrite has left the language of its text."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.detect.language import probabilities
from civilly.detect.scripts import script_of, scripts_of_language
from civilly.types import Text

SURE, LOST = 0.5, 0.2
"""A text is in its language if that is so probable; a rewrite has left it if it is less so."""


def scripts_for(text: Text) -> frozenset[str]:
    """In which scripts a rewrite may be written: those of its language, and those of its text."""
    return scripts_of_language(text.lang) | scripts_in(text.text)


def scripts_in(text: str) -> frozenset[str]:
    """The scripts of a text's letters."""
    return frozenset(script for character in text if (script := script_of(character)))


def left_language(texts: Sequence[Text], rewrites: Sequence[str]) -> list[bool]:
    """Whether each rewrite has letters of a foreign script, or is in another language.

    A text that is not surely in its language itself is judged by its script alone.

    Args:
        texts: The texts.
        rewrites: One for each.
    """
    said = probabilities([*(text.text for text in texts), *rewrites])
    before, after = said[: len(texts)], said[len(texts) :]
    return [
        not scripts_in(made) <= scripts_for(text)
        or (was[text.lang] >= SURE and now[text.lang] < LOST)
        for text, made, was, now in zip(texts, rewrites, before, after, strict=True)
    ]
