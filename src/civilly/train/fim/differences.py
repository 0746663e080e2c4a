"""What one side of a pair has where the other has something else, word by word."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from civilly.detect.words import Bounds, words
from civilly.languages import UNSPACED_LETTER, language, says_something
from civilly.methods.delete import BLANKS

_COMMAS = frozenset(",،、，؛；：፣፤፥;:")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or a mark by itself, in a text.

    Attributes:
        start: First character.
        end: One past the last character.
        text: What stands there; never a blank.
        word: Whether it has a letter or a digit.
    """

    start: int
    end: int
    text: str
    word: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of tokens of two texts that correspond but differ.

    Attributes:
        old_start: Its first token in the old text; there is always at least one.
        old_end: One past its last.
        new_start: Its first token in the new text.
        new_end: One past its last; ``new_start`` if the new text has nothing there.
    """

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def tokens(text: str, lang: str) -> list[Token]:
    """The words and marks of a text in order; what lies between them is blank.

    Where nothing separates words each character is by itself: which phrases the rest of a sentence
    falls into depends on what was changed before it.

    Args:
        text: Any text.
        lang: Language code; it says what a word is (`civilly.detect.words`).
    """
    row: list[Bounds] = []
    place = 0
    for start, end in [*words(text, lang), (len(text), len(text))]:
        row += [(at, at + 1) for at in range(place, start) if text[at] not in BLANKS]
        if UNSPACED_LETTER.match(text[start:end]) and not language(lang).spaces:
            row += [(at, at + 1) for at in range(start, end)]
        elif start < end:
            row.append((start, end))
        place = end
    return [Token(a, b, text[a:b], says_something(text[a:b])) for a, b in row]


def changes(old: list[Token], new: list[Token]) -> list[Change]:
    """Where two texts differ, in order (Ratcliff-Obershelp on tokens).

    Stretches with only commas, or one character of a script without spaces, between them are one:
    such an agreement is chance. A pure insertion takes a neighbouring token in, so that there is
    something to put it in the place of.

    Args:
        old: Tokens of the one text.
        new: Tokens of the other.
    """
    matcher = SequenceMatcher(None, [t.text for t in old], [t.text for t in new], autojunk=False)
    found: list[Change] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            change = _with_neighbour(Change(a, b, c, d), old)
            between = old[found[-1].old_end : change.old_start] if found else []
            if found and _is_chance(between):
                first = found.pop()
                change = Change(first.old_start, change.old_end, first.new_start, change.new_end)
            found.append(change)
    return [change for change in found if change.old_start < change.old_end]


def _with_neighbour(change: Change, old: list[Token]) -> Change:
    a, b, c, d = change.old_start, change.old_end, change.new_start, change.new_end
    if a < b:
        return change
    if b < len(old) and (old[b].word or a == 0):
        return Change(a, b + 1, c, d + 1)
    return Change(a - 1, b, c - 1, d) if a else change


def _is_chance(between: list[Token]) -> bool:
    if len(between) == 1 and UNSPACED_LETTER.match(between[0].text):
        return True
    return all(token.text in _COMMAS for token in between)
