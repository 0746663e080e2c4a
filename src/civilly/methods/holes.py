"""Holes in a text: where they are, what is around them, and what may fill them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from civilly.detect.protected import blanked
from civilly.detect.words import Bounds, whole_words, words
from civilly.languages import UNSPACED_LETTER, in_word
from civilly.methods.delete import BLANKS, delete_spans, merge_spans
from civilly.types import Span

NEAR = 2
"""Holes with so many letters or fewer between them are one."""
LEAST_LEFT = 3
"""With fewer letters than this outside of its holes, a text is one hole."""
LONGEST, LONGEST_MORE = 2.0, 12
"""A filling of more characters than ``LONGEST · hole + LONGEST_MORE`` is not about the hole."""
MARKS = ",.;:!?…،؛؟۔।॥።፣፤，；：、。！？"
"""What ends a clause or a sentence; a blank never stands before it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One hole of one text, with its surroundings.

    Attributes:
        before: The text left of the hole; earlier holes of the text are filled already. It is
            never stripped.
        cut: What was cut out.
        after: The text right of the hole, without its later holes
            (`civilly.methods.delete.delete_spans`).
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


@dataclass(frozen=True, slots=True)
class Broken:
    """A text with all its holes.

    Attributes:
        kept: What stands before, between and after them; one more than there are holes.
        cuts: What was cut out, at least one.
        lang: Language code.
    """

    kept: tuple[str, ...]
    cuts: tuple[str, ...]
    lang: str


@runtime_checkable
class JointFiller(Protocol):
    """A filler that can fill all holes of a text together."""

    def fill_texts(self, texts: Sequence[Broken], n: int) -> list[list[tuple[Filling, ...]]]:
        """Up to ``n`` different ways (possibly none) to fill each text, best first; in order.

        Each way has one filling per hole, whose ``text`` fits between what was kept.
        """
        ...


def broken_at(text: str, holes: Sequence[Bounds], lang: str) -> Broken:
    """A text with its holes, which are in order and do not overlap."""
    ends = [0, *(end for _, end in holes)]
    starts = [*(start for start, _ in holes), len(text)]
    kept = tuple(text[end:start] for end, start in zip(ends, starts, strict=True))
    return Broken(kept, tuple(text[start:end] for start, end in holes), lang)


def holes_of(text: str, spans: Sequence[Span], lang: str) -> list[Bounds]:
    """Where to cut a text: whole words, in order, with something between each two.

    Spans are grown to whole words; those with only blanks, commas or one very short word between
    them are one. Where little of the text would be left, and
    nothing that is protected, all its words are one hole.

    Args:
        text: Any text.
        spans: Its toxic stretches, of any detector.
        lang: Language code.

    Returns:
        Start and end of each hole; none without spans, and none in a text of blanks.
    """
    if not text.strip():
        return []
    read = blanked(text)
    bounds = words(read, lang)
    grown = [Span(*whole_words(span.start, span.end, bounds)) for span in spans]
    found: list[Bounds] = []
    for start, end in merge_spans(text, grown):
        last = found[-1][1] if found else 0
        if found and text[last:start] == read[last:start] and _is_near(text[last:start]):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    left = _letters(text) - sum(_letters(text[a:b]) for a, b in found)
    return (
        [_sentence(text, bounds, found)] if found and left < LEAST_LEFT and text == read else found
    )


def _sentence(text: str, bounds: Sequence[Bounds], found: Sequence[Bounds]) -> Bounds:
    """From the first word to the last and its end mark; quotes, brackets and emoji stay around."""
    start = min(start for start, _ in (*bounds[:1], *found[:1]))
    end = max(end for _, end in (*bounds[-1:], *found[-1:]))
    return start, end + len(text[end:]) - len(text[end:].lstrip(MARKS))


def _is_near(between: str) -> bool:
    return _letters(between) <= NEAR and all(map(in_word, between.strip(BLANKS)))


def _letters(text: str) -> int:
    """Letters and digits without their marks; an unspaced one is worth a short word."""
    return sum(NEAR if UNSPACED_LETTER.match(c) else 1 for c in text if c.isalnum())


def gap_at(text: str, holes: Sequence[Bounds], number: int, made: Sequence[str], lang: str) -> Gap:
    """One hole of a text with its surroundings.

    Args:
        text: The text.
        holes: All its holes.
        number: Which of them is meant.
        made: What the holes before it are filled with.
        lang: Language code.
    """
    start, end = holes[number]
    before = filled(text[:start], holes[:number], made)
    later = [Span(a - end, b - end) for a, b in holes[number + 1 :]]
    return Gap(before, text[start:end], delete_spans(text[end:], later), lang)


def filled(text: str, holes: Sequence[Bounds], made: Sequence[str]) -> str:
    """The text with its holes filled; every character outside of them stays as it is.

    A hole that is filled with nothing is deleted, and the seam mended
    (`civilly.methods.delete.delete_spans`).

    Args:
        text: The text.
        holes: In order, not overlapping.
        made: One filling per hole.
    """
    pieces, cuts, place, length = [], [], 0, 0
    for (start, end), filling in zip(holes, made, strict=True):
        length += start - place
        put = filling or text[start:end]
        if not filling:
            cuts.append(Span(length, length + end - start))
        pieces += [text[place:start], put]
        length += len(put)
        place = end
    pieces.append(text[place:])
    return delete_spans("".join(pieces), cuts)


def fits(gap: Gap, text: str) -> bool:
    """Whether a filling is about as long as its hole, and reads on at both seams.

    It has no control or replacement character. It may not begin with a mark after a blank, nor end
    with one before another, nor say the word before or after it again.
    """
    if any(char == "\ufffd" or unicodedata.category(char) == "Cc" for char in text if char != "\n"):
        return False
    after = gap.after.lstrip()
    if text and gap.before[-1:].isspace() and text[0] in MARKS:
        return False
    if text and after and text[-1] in MARKS and after[0] in MARKS:
        return False
    own, left, right = text.casefold().split(), gap.before.split(), after.split()
    for word, neighbour in ((own[:1], left[-1:]), (own[-1:], right[:1])):
        if word and word == [each.casefold() for each in neighbour]:
            return False
    return len(text) <= LONGEST * len(gap.cut) + LONGEST_MORE
