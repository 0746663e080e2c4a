"""Cuts a long text into parts that a model can rewrite one by one, and joins them again."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_PART = 400
"""Characters; nearly all training sentences are shorter."""

_SENTENCE_END = re.compile(r"(?:[.!?…]+[\"'»”)\]]*\s+|[。！？።؟।]+[\"'»”」』）\]]*\s*|\n+)")


def split_parts(text: str, longest: int = LONGEST_PART) -> list[str]:
    """Parts whose concatenation is ``text``, byte for byte.

    Line breaks always separate. Otherwise sentences are collected up to ``longest`` characters; a
    sentence longer than that is cut at spaces, and a word longer than that anywhere.
    """
    parts: list[str] = []
    for sentence in _sentences(text):
        room = parts and len(parts[-1]) + len(sentence) <= longest and "\n" not in parts[-1]
        if room:
            parts[-1] += sentence
        else:
            parts += _cut(sentence, longest)
    return parts


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _SENTENCE_END.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def _cut(sentence: str, longest: int) -> Iterator[str]:
    while len(sentence) > longest:
        space = sentence.rfind(" ", 1, longest)
        cut = space + 1 if space > longest // 2 else longest
        yield sentence[:cut]
        sentence = sentence[cut:]
    yield sentence
