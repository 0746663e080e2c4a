"""Pairs of quotation marks and brackets of every kind."""

from __future__ import annotations

import re
from collections import deque

from civilly.languages import in_word

Bounds = tuple[int, int]

LONGEST = 300
"""From an opening mark on, so many characters and no line break may come before the closing one."""

_CLOSED_BY = {
    "(": ")", "[": "]", "{": "}", "（": "）", "［": "］", "｛": "｝", "【": "】", "〔": "〕",
    "「": "」", "『": "』", "《": "》", "〈": "〉", "｢": "｣", "‹": "›",
    "‚": "‘’", "„": "“”", "“": "”", "‘": "’", "«": "»", "»": "«", '"': '"', "'": "'", "〝": "〞〟",
}  # fmt: skip
_CLOSING = frozenset("".join(_CLOSED_BY.values()))
_MARK = re.compile(
    f"[{re.escape(''.join(_CLOSED_BY))}{re.escape(''.join(_CLOSING))}\n\r\v\f\x85\u2028\u2029]"
)
_SMILING = ":;=-^"
"""Before a round bracket they make it a mouth."""


def quotations(text: str) -> list[Bounds]:
    """Quotations and what stands in brackets, marks included, each pair, by its closing mark.

    An opening mark without its closing one nearby (`LONGEST`) opens nothing.
    """
    found: list[Bounds] = []
    opened: deque[tuple[int, str]] = deque()
    for mark in _MARK.finditer(text):
        at, character = mark.start(), mark[0]
        if character not in _CLOSED_BY and character not in _CLOSING:
            opened.clear()
            continue
        while opened and at - opened[0][0] > LONGEST:
            opened.popleft()
        if character in "()" and at and text[at - 1] in _SMILING:
            continue
        partner = _partner(text, at, opened) if character in _CLOSING else None
        if partner is not None:
            while opened.pop()[0] != partner:
                pass
            found.append((partner, at + 1))
        elif character in _CLOSED_BY and _may_open(text, at):
            opened.append((at, _CLOSED_BY[character]))
    return found


def _partner(text: str, at: int, opened: deque[tuple[int, str]]) -> int | None:
    """The opening mark that is closed here."""
    if text[at] in "\"'’" and in_word(text[at + 1 : at + 2] or " "):
        return None  # an apostrophe, or an abbreviation of Hebrew
    if text[at] in "\"'" and (at == 0 or text[at - 1].isspace()):
        return None
    return next((start for start, closing in reversed(opened) if text[at] in closing), None)


def _may_open(text: str, at: int) -> bool:
    """Whether marks that look alike at both ends stand at the beginning of something."""
    if text[at] not in "\"'»":
        return True
    following = text[at + 1 : at + 2]
    return bool(following.strip()) and not (at and in_word(text[at - 1]))
