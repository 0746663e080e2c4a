"""Cuts a long text into parts that a model can rewrite one by one, and joins them again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from civilly.detect.protected import blanked
from civilly.detect.sentences import sentences
from civilly.languages import AUTO
from civilly.types import Choice, Detection, Text

LONGEST_PART = 400
"""Letters of an alphabet, nearly all training sentences are shorter; of scripts and signs with more
tokens per character fewer (`WORTH`)."""

WORTH = ((0x1200, 1), (0x1380, 2), (0x1E00, 3), (0x2070, 1), (0x10000, 3), (0x110000, 4))
"""What a character below each code point is worth: by and large, thirds of a token. Alphabets and
the scripts of India 1, Ethiopic 2, Chinese and Japanese characters and symbols 3, emoji 4."""

MOST_GROWTH, GROWTH_ROOM = 2, 24
"""An output has at most so many characters per character of its text, and so many more."""

LEAST_ASKED = 1_600
"""The model is asked for parts that are worth so much, or as many letters as the text has
characters; in the others toxic words are only cut. Real texts of alphabets have none such."""

TOO_LONG = "the text has too many tokens, so only its rudest parts were given to the model"
"""The reason that is added to those of such a text."""

LOOKED = 3
"""Parts of one text that may get a second look, which costs as much as the first."""

_PAUSE = re.compile(r"[ ，、；：]")
"""Where a sentence that is too long may be cut: after one of these."""


def split_parts(text: str, longest: int = LONGEST_PART, lang: str = AUTO) -> list[str]:
    """Parts whose concatenation is ``text``, byte for byte.

    Line breaks between sentences always separate. Otherwise sentences are collected up to
    ``longest``; a sentence longer than that is cut at spaces or commas outside of what is
    protected, and a word longer than that anywhere.
    """
    parts: list[str] = []
    room = 0
    for start, end in sentences(text, lang):
        sentence = text[start:end]
        size = _size(sentence)
        if parts and size <= room and "\n" not in parts[-1]:
            parts[-1] += sentence
            room -= size
        else:
            parts += _cut(sentence, longest)
            room = longest - _size(parts[-1])
    return parts


def bloats(text: str, output: str) -> bool:
    """Whether an output is too long to be a rewrite of the text: three times, say."""
    return len(output) > MOST_GROWTH * len(text) + GROWTH_ROOM


def _size(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_worth, text))


def _worth(character: str) -> int:
    code = ord(character)
    return next(worth for limit, worth in WORTH if code < limit)


def _cut(sentence: str, longest: int) -> Iterator[str]:
    start = 0
    glued = blanked(sentence, "_")
    while (room := _fitting(sentence, start, longest)) < len(sentence) - start:
        pauses = [m.end() for m in _PAUSE.finditer(glued, start + room // 2 + 1, start + room)]
        cut = pauses[-1] if pauses else start + room
        yield sentence[start:cut]
        start = cut
    yield sentence[start:]


def _fitting(sentence: str, start: int, longest: int) -> int:
    """How many characters from ``start`` on are worth at most ``longest``; one at least."""
    spent = 0
    for place in range(start, len(sentence)):
        spent += _worth(sentence[place])
        if spent > longest:
            return max(place - start, 1)
    return len(sentence) - start


@dataclass(frozen=True)
class Part:
    """A stretch of an input that is rewritten on its own: ``left + core + right``."""

    row: int
    left: str
    core: str
    right: str


def parts_of(row: int, text: str, lang: str = AUTO) -> list[Part]:
    """The parts of one input that hold at least one letter; blanks stay outside the core."""
    parts = []
    for piece in split_parts(text, lang=lang):
        core = piece.strip()
        if not any(unicodedata.category(c)[0] == "L" for c in core):
            parts.append(Part(row, piece, "", ""))
            continue
        start = piece.index(core)
        parts.append(Part(row, piece[:start], core, piece[start + len(core) :]))
    return parts


def rows_with_one_part(parts: Sequence[Part]) -> set[int]:
    """Rows with exactly one part that holds letters."""
    counts: dict[int, int] = {}
    for part in parts:
        if part.core:
            counts[part.row] = counts.get(part.row, 0) + 1
    return {row for row, count in counts.items() if count == 1}


class Effort(IntEnum):
    """What a part is worth: cutting only, an answer of the model, or a second look, too."""

    CUT, ASK, LOOK_AGAIN = range(3)


def efforts(
    parts: Sequence[Part], inputs: Sequence[Text], found: Sequence[Detection], tried: Sequence[int]
) -> dict[int, Effort]:
    """The effort for each part that is tried, so that no text takes more time than others.

    Of a text that has more tokens than its length promises, the model is asked for the most toxic
    parts (`LEAST_ASKED`); of those, the first `LOOKED` different ones may get a second look.

    Args:
        parts: All parts.
        inputs: Their cores.
        found: What the detector says of them.
        tried: Numbers of those that are rewritten.
    """
    rows: dict[int, list[int]] = {}
    for i in tried:
        rows.setdefault(parts[i].row, []).append(i)
    made: dict[int, Effort] = {}
    for row in rows.values():
        room = max(LEAST_ASKED, sum(len(inputs[i].text) for i in row))
        asked: set[Text] = set()
        for i in sorted(row, key=lambda i: (-found[i].p_toxic, i)):
            size = 0 if inputs[i] in asked else _size(inputs[i].text)
            if size <= room:
                room -= size
                asked.add(inputs[i])
        looked = list(dict.fromkeys(inputs[i] for i in row if inputs[i] in asked))[:LOOKED]
        for i in row:
            made[i] = Effort((inputs[i] in asked) + (inputs[i] in looked))
    return made


def told(
    parts: Sequence[Part], effort: Mapping[int, Effort], choices: Mapping[int, Choice]
) -> dict[int, Choice]:
    """The choices, saying so where a text was too long for the model to be asked for all of it."""
    short = {parts[i].row for i, spent in effort.items() if spent is Effort.CUT}
    made = dict(choices)
    for i, choice in choices.items():
        if parts[i].row in short:
            made[i] = replace(choice, reason=f"{choice.reason}; {TOO_LONG}")
    return made


def joined(texts: Sequence[str], parts: Sequence[Part], choices: Mapping[int, Choice]) -> list[str]:
    """Each text from its parts, as they were or as they were rewritten."""
    rows: list[list[str]] = [[] for _ in texts]
    for i, part in enumerate(parts):
        chosen = choices[i].candidate if i in choices else None
        rows[part.row].append(part.left + (chosen.text if chosen else part.core) + part.right)
    return ["".join(row) if row else text for row, text in zip(rows, texts, strict=True)]
