"""The parts of a text that are judged and rewritten one by one: sentences, long ones cut again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from civilly.detect.protected import blanked
from civilly.detect.sentences import Bounds, sentences
from civilly.languages import says_something

LONGEST_PART = 400
"""Letters of an alphabet, nearly all training sentences are shorter; of scripts and signs with more
tokens per character fewer (`WORTH`)."""

WORTH = ((0x1200, 1), (0x1380, 2), (0x1E00, 3), (0x2070, 1), (0x10000, 3), (0x110000, 4))
"""What a character below each code point is worth: by and large, thirds of a token. Alphabets and
the scripts of India 1, Ethiopic 2, Chinese and Japanese characters and symbols 3, emoji 4."""
_DEAR = chr(WORTH[0][0])
"""The first character that is worth more than 1."""

_REMEMBERED = 1_000
"""Longer texts are cut anew each time, so that memory stays bounded."""
_PAUSE = re.compile(r"[ ，、；：]")
"""Where a sentence that is too long may be cut: after one of these."""


def parts(text: str, lang: str, longest: int = LONGEST_PART) -> list[Bounds]:
    """Where the parts of a text begin and end; together they are the text, in order.

    A part is a sentence with the blanks after it. What holds neither letters nor digits, such as an
    emoji behind the end mark, belongs to the sentence before it on its line. A sentence that is
    worth more than ``longest`` is cut at spaces or commas, and a word longer than that anywhere.

    Args:
        text: Any text.
        lang: Language code.
        longest: See `LONGEST_PART`.
    """
    if len(text) <= _REMEMBERED:
        return list(_short_parts(text, lang, longest))
    return _parts(text, lang, longest)


def core(text: str, start: int, end: int) -> Bounds:
    """Where a part stands without the blanks around it; nothing at its end if it is all blanks."""
    piece = text[start:end]
    inner = piece.strip()
    first = start + len(piece) - len(piece.lstrip())
    return first, first + len(inner)


@lru_cache(maxsize=4_096)
def _short_parts(text: str, lang: str, longest: int) -> tuple[Bounds, ...]:
    """The same, remembered: a text is cut when it is judged, rewritten and judged again."""
    return tuple(_parts(text, lang, longest))


def _parts(text: str, lang: str, longest: int) -> list[Bounds]:
    whole: list[Bounds] = []
    for start, end in sentences(text, lang):
        silent = not says_something(text[start:end])
        if whole and silent and text[start - 1] not in "\r\n":
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return [
        (start + first, start + last)
        for start, end in whole
        for first, last in _cut(text[start:end], longest)
    ]


def size(text: str) -> int:
    """What a text is worth (`WORTH`)."""
    return len(text) if max(text, default="") < _DEAR else sum(map(_worth, text))


def _worth(character: str) -> int:
    code = ord(character)
    return next(worth for limit, worth in WORTH if code < limit)


def _cut(sentence: str, longest: int) -> Iterator[Bounds]:
    """The parts of one sentence; what is protected stays whole where there are other pauses."""
    start = 0
    if len(sentence) * WORTH[-1][1] > longest < size(sentence):
        glued = blanked(sentence, "_")
        while (room := _fitting(sentence, start, longest)) < len(sentence) - start:
            pauses = [m.end() for m in _PAUSE.finditer(glued, start + room // 2 + 1, start + room)]
            cut = pauses[-1] if pauses else start + room
            yield start, cut
            start = cut
    yield start, len(sentence)


def _fitting(sentence: str, start: int, longest: int) -> int:
    """How many characters from ``start`` on are worth at most ``longest``; one at least."""
    spent = 0
    for place in range(start, len(sentence)):
        spent += _worth(sentence[place])
        if spent > longest:
            return max(place - start, 1)
    return len(sentence) - start
