"""Where words begin and end, in every script; a stretch of a text that is cut holds whole words.

Between spaces, a word is a run of letters, digits and marks, with what ties its parts together
(``l'idiot``, ``porte-parole``, ``צה"ל``) and what masks its letters (``f**k``). Chinese and
Japanese write no spaces: BudouX (Google, Apache 2.0; a linear model of 100 kB per language) cuts
phrases, and a change of script cuts them further, so that katakana, Latin letters and digits stay
whole words whatever the model says.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

from civilly.languages import language

Bounds = tuple[int, int]
"""Start of a word and one past its end."""

_TIES = "'’ʼ‘`´\"-‐‑־׳״"
"""What ties parts of a word together, one at a time between two letters."""
_ABBREVIATED = re.compile('[\u05d0-\u05ea]"[\u05d0-\u05ea]')
"""Only Hebrew has it inside words; elsewhere it ends a quotation."""
_PASSED = frozenset(
    "_\u200b\u200e\u200f\u061c\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""What belongs to a word between two of its letters, any number of them, and never at its end: what
masks, or is invisible and turns the direction of the text around it."""
_MASKS = "*@$#%€£"
_EMPHASIS = re.compile(
    r"(?<![\w*$])(\*{1,3}|\$)(?=[^\s*$])(?:[^*$\n]|(?<=\w)[*$]+(?=\w)){1,300}?(?<=[^\s*$])(\1)(?![\w*$])"
)
"""Words between a pair of marks that make them bold: the marks mask no letters."""
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f]")
_HIRAGANA = re.compile("[\u3041-\u309f]")
_HAN = re.compile("[\u3005\u3400-\u4dbf\u4e00-\u9fff]")
_PARTICLES = re.compile("(?:は|が|を|に|の|と|も|で|や|へ|から|まで|より)+$")
_LONGEST_PARSED = 1_000
"""Characters that BudouX is given at once, so that its time stays linear in the length."""

_Kind = Literal["letter", "katakana", "hiragana", "han", "mark", "other"]


def words(text: str, lang: str) -> list[Bounds]:
    """The words of a text, in order, not overlapping; marks and blanks lie between them.

    Args:
        text: Any text.
        lang: A code of `civilly.languages`.

    Raises:
        UnknownNameError: If the language is not one of the 15.
    """
    if language(lang).spaces:
        return list(_spaced(text))
    return list(_unspaced(text, lang))


def whole_words(start: int, end: int, bounds: Sequence[Bounds]) -> Bounds:
    """The stretch, grown so that it cuts no word.

    Args:
        start: First character.
        end: One past the last character.
        bounds: The text's words.
    """
    first = bisect_right(bounds, start, key=lambda word: word[1])
    if first < len(bounds) and bounds[first][0] < end:
        start = min(start, bounds[first][0])
    last = bisect_left(bounds, end, key=lambda word: word[0]) - 1
    if last >= 0 and bounds[last][1] > start:
        end = max(end, bounds[last][1])
    return start, end


@lru_cache(maxsize=20_000)
def _kind(character: str) -> _Kind:
    for kind, pattern in (("katakana", _KATAKANA), ("hiragana", _HIRAGANA), ("han", _HAN)):
        if pattern.match(character):
            return kind  # type: ignore[return-value]
    category = unicodedata.category(character)
    if category[0] in "LN":
        return "letter"
    # Accents, vowel signs and viramas; joiners, and whatever else is not to be seen.
    return "mark" if category[0] == "M" or category == "Cf" else "other"


def _spaced(text: str) -> Iterator[Bounds]:
    apart = _emphasised(text)
    start: int | None = None
    end = 0
    for at, character in enumerate(text):
        # What belongs to the letter before it begins no word: an emoji has such marks, too.
        inside = _is_letter(character) and (start is not None or _kind(character) != "mark")
        if (inside and at not in apart) and character not in _PASSED:
            start = at if start is None else start
            end = at + 1
        elif start is not None and not _continues(text, at, apart):
            yield start, end
            start = None
    if start is not None:
        yield start, end


def _emphasised(text: str) -> set[int]:
    """Where marks of emphasis stand."""
    return {
        at
        for found in _EMPHASIS.finditer(text)
        for group in (1, 2)
        for at in range(*found.span(group))
    }


def _continues(text: str, at: int, apart: set[int]) -> bool:
    """Whether a word may go on behind something that is no letter."""
    if text[at] in _PASSED:
        return True
    if text[at] not in _TIES or at + 1 >= len(text) or at + 1 in apart:
        return False
    if text[at] == '"':
        return bool(_ABBREVIATED.fullmatch(text, at - 1, at + 2))
    return _is_letter(text[at - 1]) and _is_letter(text[at + 1])


def _is_letter(character: str) -> bool:
    return _kind(character) != "other" or character in _MASKS


def _unspaced(text: str, lang: str) -> Iterator[Bounds]:
    cuts = set(_phrase_starts(text, lang))
    start = 0
    before: _Kind = "other"
    for at, character in enumerate(text):
        kind = _kind(character)
        if kind == "mark":
            kind = before  # it belongs to what it follows
        if kind == before == "other":
            continue
        if at and _cut_between(before, kind, phrase=at in cuts):
            if before != "other":
                yield from _without_particles(text, start, at)
            start = at
        before = kind
    if before != "other":
        yield from _without_particles(text, start, len(text))


def _cut_between(left: _Kind, right: _Kind, *, phrase: bool) -> bool:
    if left != right:
        return phrase or (left, right) != ("han", "hiragana")
    return phrase and left in ("han", "hiragana")


def _without_particles(text: str, start: int, end: int) -> Iterator[Bounds]:
    """A word, and the particles after it as another; of kana alone nobody could tell."""
    while end > start and text[end - 1] in _PASSED:
        end -= 1
    found = _PARTICLES.search(text, start, end)
    if found and found.start() > start and _kind(text[found.start() - 1]) == "han":
        yield start, found.start()
        yield found.start(), end
    else:
        yield start, end


def _phrase_starts(text: str, lang: str) -> Iterator[int]:
    parser = _parser(lang)
    for begin in range(0, len(text), _LONGEST_PARSED):
        at = begin
        for phrase in parser.parse(text[begin : begin + _LONGEST_PARSED]):
            yield at
            at += len(phrase)


@cache
def _parser(lang: str) -> Any:
    import budoux

    if lang == "ja":
        return budoux.load_default_japanese_parser()
    return budoux.load_default_simplified_chinese_parser()
