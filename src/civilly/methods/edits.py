"""What a rewrite changed, edit by edit, so that a person can take or leave each of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from civilly.detect.words import words
from civilly.types import Detection, Detector, Text

MOST_COMPARED = 250_000
"""Tokens of one side times those of the other: comparing takes up to cubic time where tokens are
repeated. What differs in longer texts, from the first token to the last, is one edit."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One place where the output differs from the input.

    Attributes:
        start: First character of what was cut out, in the input.
        end: One past its last character; ``start`` if something was only put in.
        cut: What was cut out.
        put: What was put in instead.
        score: How toxic the detector finds the worst stretch of what was cut, in [0, 1]; None if
            it marked none there.
        p_toxic: p(toxic) of the input with this edit alone; None if nobody asked.
    """

    start: int
    end: int
    cut: str
    put: str
    score: float | None = None
    p_toxic: float | None = None


def edits(before: str, after: str, lang: str) -> list[Edit]:
    """The edits that lead from one text to the other, in whole words.

    Args:
        before: The input.
        after: The output.
        lang: Language code; it says what a word is.

    Returns:
        In order, with something unchanged between each two; `apply` with all of them gives
        ``after``. Neighbours with only blanks between them are one.
    """
    old, new = _tokens(before, lang), _tokens(after, lang)
    starts = _starts(old)
    found: list[Edit] = []
    for a, b, c, d in _changes(old, new):
        edit = Edit(starts[a], starts[b], "".join(old[a:b]), "".join(new[c:d]))
        between = before[found[-1].end : edit.start] if found else ""
        if found and not between.strip():
            last = found.pop()
            cut, put = last.cut + between + edit.cut, last.put + between + edit.put
            edit = Edit(last.start, edit.end, cut, put)
        found.append(edit)
    return found


def _changes(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Where two rows of tokens differ: start and end in the one, and in the other; in order."""
    first, last_old, last_new = 0, len(old), len(new)
    if last_old * last_new > MOST_COMPARED:
        first = _alike(old, new)
        behind = _alike(old[first:][::-1], new[first:][::-1])
        last_old, last_new = last_old - behind, last_new - behind
    left, right = old[first:last_old], new[first:last_new]
    if len(left) * len(right) > MOST_COMPARED:
        return [(first, last_old, first, last_new)]
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    return [
        (first + a, first + b, first + c, first + d)
        for kind, a, b, c, d in blocks
        if kind != "equal"
    ]


def _alike(left: Sequence[str], right: Sequence[str]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))


def apply(text: str, chosen: Sequence[Edit]) -> str:
    """The text after some of its edits.

    Args:
        text: The input that the edits were made for.
        chosen: Any of them, in order.
    """
    pieces, place = [], 0
    for edit in chosen:
        pieces += [text[place : edit.start], edit.put]
        place = edit.end
    return "".join(pieces) + text[place:]


def explained(
    texts: Sequence[Text],
    outputs: Sequence[str],
    detections: Sequence[Detection],
    detector: Detector,
) -> list[list[Edit]]:
    """The edits of each output, with the reasons for them.

    Args:
        texts: The inputs.
        outputs: One output per input.
        detections: What the detector says of the inputs.
        detector: Judges each edit alone.
    """
    rows = [
        [_with_score(edit, detection) for edit in edits(text.text, output, text.lang)]
        for text, output, detection in zip(texts, outputs, detections, strict=True)
    ]
    alone = [
        Text(apply(text.text, [edit]), text.lang)
        for text, row in zip(texts, rows, strict=True)
        for edit in row
    ]
    found = iter(detector.detect(alone))
    return [[replace(edit, p_toxic=next(found).p_toxic) for edit in row] for row in rows]


def _with_score(edit: Edit, detection: Detection) -> Edit:
    cut = [span for span in detection.spans if span.start < edit.end and edit.start < span.end]
    return replace(edit, score=max((span.score for span in cut), default=None))


def _tokens(text: str, lang: str) -> list[str]:
    """Words, runs of blanks, and every other character by itself with its marks."""
    found: list[str] = []
    place = 0
    for start, end in [*words(text, lang), (len(text), len(text))]:
        for character in text[place:start]:
            blank = character.isspace()
            if found and ((blank and found[-1].isspace()) or unicodedata.combining(character)):
                found[-1] += character
            else:
                found.append(character)
        if start < end:
            found.append(text[start:end])
        place = end
    return found


def _starts(tokens: Sequence[str]) -> list[int]:
    """Where each token starts, and where the last one ends."""
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token))
    return starts
