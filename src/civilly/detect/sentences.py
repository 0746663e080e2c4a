"""Where sentences end, in 15 languages: a text as pieces that tile it exactly.

A sentence ends at its mark (``. ! ? …`` and those of the other scripts) or at a line break, and
owns the blanks behind. Full stops of abbreviations, initials, ordinals, numbers and letters that
stand apart end nothing, and neither does any mark inside something protected, a quotation or
brackets: a quotation and the sentence around it are one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from civilly.detect.abbreviations import ORDINALS, has_ended, stays_open
from civilly.detect.numerals import letters_apart
from civilly.detect.protected import protected
from civilly.detect.quotations import quotations
from civilly.languages import AUTO, UNSPACED_LETTER, language

Bounds = tuple[int, int]
"""Start of a sentence and one past its end, which is the start of the next one."""

_BREAKS = "\n\r\v\f\x85\u2028\u2029"
_CLOSING = re.escape("\"'»”’“«)]}」』）】》〉］｝›*_~")
_END = re.compile(rf"(?P<mark>[.!?…‼⁇⁈⁉‽．。！？｡।॥؟۔።፧]+|፡፡+)(?P<shut>[{_CLOSING}]*)|[{_BREAKS}]")
_ALWAYS = "。！？｡．।॥؟۔።፧፡"
"""What ends a sentence even where no blank follows."""
_BLANKS = re.compile(r"\s*")
_LAST_WORD = re.compile(r"[^\s(\[{«„“\"'‘]*$")
_LONGEST_WORD = 24


def sentences(text: str, lang: str = AUTO) -> list[Bounds]:
    """The sentences of a text; together they are the whole text.

    Args:
        text: Any text.
        lang: A code of `civilly.languages`, or ``"auto"``: the abbreviations of all of them.

    Returns:
        None for the empty text. Blanks before the first sentence belong to it.

    Raises:
        UnknownNameError: If the language is neither ``"auto"`` nor one of the 15.
    """
    if lang != AUTO:
        language(lang)
    ends = [*_ends(text, lang), len(text)]
    starts = [0, *ends[:-1]]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _ends(text: str, lang: str) -> Iterator[int]:
    """Where sentences end, with the blanks behind them; not always the end of the text."""
    whole = _wholes(text)
    first = _after_blanks(text, 0)
    for found in _END.finditer(text):
        if found.start() < first:
            continue
        end = _end_at(text, found, whole, first, lang)
        if end is not None:
            end = _after_blanks(text, end)
            yield end
            first = end


def _end_at(
    text: str, found: re.Match[str], whole: Sequence[Bounds], first: int, lang: str
) -> int | None:
    """One past the sentence that ends with this mark or line break, without blanks; None: none."""
    at, end = found.span()
    around = _around(at, whole)
    if not found["mark"]:
        return None if around else at
    if around:
        closed = found.start("shut") < around[1] <= end
        return end if closed and _goes_on_anew(text, end) else None
    end = _shut_end(text, found, whole)
    if found["mark"][-1] in _ALWAYS:
        return end
    following = text[end : end + 1]
    if not _is_blank(following):
        unspaced = UNSPACED_LETTER.match(following) and found["mark"] != "."
        return end if unspaced else None
    if not set(found["mark"]) - {".", "…"} and _is_open(text, found, end, first, lang):
        return None
    return end


def _shut_end(text: str, found: re.Match[str], whole: Sequence[Bounds]) -> int:
    """One past the marks behind an end mark that close something, as far as one can tell."""
    at, end = found.span("shut")
    last = _is_blank(text[end : end + 1])
    while at < end and not _around(at, whole):
        if text[at] in "“«" or (text[at] in "\"'*_~" and not last):
            break  # it opens something, or would if it were closed
        at += 1
    return at


def _is_blank(character: str) -> bool:
    return not character or character.isspace()


def _goes_on_anew(text: str, end: int) -> bool:
    """Whether after a quoted sentence nothing follows, or, behind a blank, a capital letter."""
    following = _next(text, end)
    return following == "" or (text[end].isspace() and following.isupper())


def _is_open(text: str, found: re.Match[str], end: int, first: int, lang: str) -> bool:
    """Whether a full stop, or a row of them, ends no sentence."""
    at, following = found.start(), _next(text, end)
    if found["mark"] != ".":
        return following.islower()
    before = text[max(first, at - _LONGEST_WORD) : at]
    word = _LAST_WORD.search(before)
    last = word[0] if word else ""
    if last.isdigit():  # the number of an item, or an ordinal
        return at - len(last) == first or (lang in ORDINALS and len(last) <= 2)
    letter = last.rpartition(".")[2]
    if has_ended(before, lang):
        return not following.isupper()
    return stays_open(before, letter, following, lang)


def _next(text: str, end: int) -> str:
    """The next character behind blanks on the same line; nothing at its end."""
    at = _after_blanks(text, end)
    if any(mark in _BREAKS for mark in text[end:at]):
        return ""
    return text[at : at + 1]


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _wholes(text: str) -> list[Bounds]:
    """Stretches in which no sentence ends, in order, those that overlap joined."""
    parts = [(each.start, each.end) for each in protected(text)]
    parts += [*quotations(text), *letters_apart(text)]
    joined: list[Bounds] = []
    for start, end in sorted(parts):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _around(at: int, whole: Sequence[Bounds]) -> Bounds | None:
    number = bisect_right(whole, at, key=lambda stretch: stretch[0]) - 1
    return whole[number] if number >= 0 and at < whole[number][1] else None
