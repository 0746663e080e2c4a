"""What no rewrite may touch: links, addresses, names, tags, code, paths, markup and numbers."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from civilly.detect.forms import FINDERS, SPACED
from civilly.detect.numerals import NUMBER_FINDERS

_TRIGGER = re.compile(r"[\d@＠#＃`<&%{$\\/:\[]|\w\.\w|--|(?<!\S)-\w|\+\+")
"""No form is without one of these."""
_TAG = re.compile(r"[<\[]/?[A-Za-z][^<>]*[>\]]")
_ONE_WORD = re.compile(SPACED * 2)
_FINDERS = (*FINDERS, *(("number", finder) for finder in NUMBER_FINDERS))


@dataclass(frozen=True, slots=True)
class Protected:
    """A stretch of a text that comes back as it is.

    Attributes:
        start: First character.
        end: One past the last.
        kind: ``"link"``, ``"address"``, ``"name"``, ``"tag"``, ``"emoji"``, ``"code"``,
            ``"path"``, ``"flag"``, ``"markup"``, ``"template"`` or ``"number"``.
    """

    start: int
    end: int
    kind: str


def protected(text: str) -> list[Protected]:
    """What is protected in a text, in order, not overlapping; linear in its length.

    A ``#tag`` and an ``@name`` of plain letters, digits and underscores are protected whatever they
    say; disguised words never are (`civilly.detect.forms`, `civilly.detect.numerals`).

    Args:
        text: Any text in any language.
    """
    if not _TRIGGER.search(text):
        return []
    found: list[Protected] = []
    rest = text
    for kind, finder in _FINDERS:
        new = [Protected(start, end, kind) for start, end in finder(rest)]
        if new:
            found += new
            rest = _without(rest, new)
    return sorted(found, key=lambda each: each.start)


def tags(text: str) -> list[Protected]:
    """The tags of pages and forums among what is protected, such as ``<b>`` and ``[/quote]``.

    A tag between two words without a blank is none: without it they would be one.
    """
    return [each for each in protected(text) if _is_tag(text, each)]


def unmarked(text: str) -> str:
    """The text as its readers see it: without tags, and with what HTML's entities stand for."""
    found = tags(text)
    bare = _without(text, found, "") if found else text
    return html.unescape(bare) if "&" in bare else bare


def _is_tag(text: str, each: Protected) -> bool:
    if each.kind != "markup" or not _TAG.fullmatch(text[each.start : each.end]):
        return False
    beside = text[each.start - 1 : each.start] + text[each.end : each.end + 1]
    return not _ONE_WORD.fullmatch(beside)


def blanked(text: str, blank: str = " ") -> str:
    """The text with blanks in place of what is protected: what detectors read.

    It has the same length, so that places in the one are places in the other.

    Args:
        text: Any text.
        blank: The character that stands for each of what is protected.
    """
    return _without(text, protected(text), blank)


def keeps_protected(source: str, output: str) -> bool:
    """Whether all that is protected comes back, byte for byte and in order, and nothing is new.

    Args:
        source: A text.
        output: A proposal for a rewrite.
    """
    return source == output or _things(source) == _things(output)


def _things(text: str) -> list[str]:
    return [text[each.start : each.end] for each in protected(text)]


def _without(text: str, stretches: list[Protected], blank: str = " ") -> str:
    pieces: list[str] = []
    last = 0
    for each in sorted(stretches, key=lambda each: each.start):
        pieces += [text[last : each.start], blank * (each.end - each.start)]
        last = each.end
    return "".join((*pieces, text[last:]))
