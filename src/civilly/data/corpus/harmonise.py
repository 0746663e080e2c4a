"""Gives a reference the writing habits of its toxic side.

Annotators re-capitalise, add full stops, drop emoji; corpora lower-case and space punctuation. A
rewriter should keep what the user wrote, so these differences are taken out of the pairs before
training: only the civility differs. `harmonise` mends the ends of a reference, which suits any
corpus; `match_writing` also what lies between, for corpora that are known to rewrite it.
"""

from __future__ import annotations

import re

SHOUTED = 4
"""Cased letters that a text in upper case has at least; fewer may be an abbreviation."""

_NO_SPACE_BEFORE = re.compile(r"\s+([.,!?;:%)\]}…。！？]+)(?=\s|$)")
_NO_SPACE_AFTER = re.compile(r"([(\[{])\s+")
_CONTRACTION = re.compile(r"\b(\w+) ?(n't|n ' t)\b|(\w) ('(?:s|re|ve|ll|d|m))\b", re.IGNORECASE)
_QUOTES = re.compile(r"(``|'')")
_TAIL = re.compile(r"[\s.!?…。！？]*$")
_EMOJI_TAIL = re.compile(
    "[\\s\u2600-\u27bf\ufe0f\u200d\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]+$"
)
_SPLIT_CONTRACTION = re.compile(r"(\wn) ('t)\b", re.IGNORECASE)
_SPACED_MARK = re.compile(r"(?<=\w)\s+([,.!?;:])(?=\s|\w|$)")
_WORD = re.compile(r"\w+")
_SENTENCE_START = re.compile(r"(?:^|[.!?…。！？]\s*)\W*$")


def detokenise(text: str) -> str:
    """Undoes Penn-Treebank spacing: ``do n't go , please .`` becomes ``don't go, please.``."""
    text = _QUOTES.sub('"', text)
    text = _CONTRACTION.sub(lambda m: (m[1] or m[3]) + (m[2] or m[4]).replace(" ", ""), text)
    text = _NO_SPACE_BEFORE.sub(r"\1", text)
    return _NO_SPACE_AFTER.sub(r"\1", text).strip()


def _match_initial(model: str, text: str) -> str:
    """Gives ``text`` the case of the first letter of ``model``."""
    first, other = model[:1], text[:1]
    if not (first.isalpha() and other.isalpha()) or text[:2] in ("I ", "I'"):
        return text
    if first.islower() and other.isupper() and not text[1:2].isupper():
        return other.lower() + text[1:]
    if first.isupper() and other.islower():
        return other.upper() + text[1:]
    return text


def _match_tail(model: str, text: str) -> str:
    """Gives ``text`` the final punctuation and emoji of ``model``, if it has a body left."""
    emoji = _EMOJI_TAIL.search(model)
    emoji_tail = emoji[0] if emoji and emoji[0].strip() else ""
    model = model[: len(model) - len(emoji_tail)] if emoji_tail else model
    own = _EMOJI_TAIL.search(text)
    if own and own[0].strip():
        text = text[: own.start()]
    body = _TAIL.sub("", text)
    wanted = _TAIL.search(model)
    tail = wanted[0] if wanted else ""
    had = text[len(body) :]
    if "?" in had and "?" not in tail:  # the rewrite turned into a question: keep its mark
        tail = had
    return (body + tail + emoji_tail) if body else text


def harmonise(toxic: str, neutral: str) -> str:
    """The neutral side with the toxic side's initial case, final punctuation and emoji."""
    return _match_tail(toxic, _match_initial(toxic, neutral.strip()))


def match_writing(toxic: str, neutral: str) -> str:
    """The neutral side with the toxic side's capitals and spacing of punctuation.

    A toxic side all in lower (or upper) case gives a neutral side in lower (upper) case. A word
    that the toxic side writes small inside its sentences is small inside those of the neutral side,
    so that ``i`` does not become ``I``. Where the toxic side never has a space before punctuation,
    the neutral side has none, and ``don 't`` becomes ``don't``. Only case and spaces change.
    """
    if not _SPACED_MARK.search(toxic):
        neutral = _SPACED_MARK.sub(_close_up, neutral)
    if not _SPLIT_CONTRACTION.search(toxic):
        neutral = _SPLIT_CONTRACTION.sub(r"\1\2", neutral)
    letters = [c for c in toxic if c.lower() != c.upper()]
    if letters and all(c.islower() for c in letters):
        return neutral.lower()
    if len(letters) >= SHOUTED and all(c.isupper() for c in letters):
        return neutral.upper()
    inside = {m[0] for m in _WORD.finditer(toxic) if not _SENTENCE_START.search(toxic[: m.start()])}

    def small(match: re.Match[str]) -> str:
        word = match[0]
        starts = _SENTENCE_START.search(neutral[: match.start()])
        return word if starts or word in inside or word.lower() not in inside else word.lower()

    return _WORD.sub(small, neutral)


def _close_up(match: re.Match[str]) -> str:
    """A mark without the space before it; between two words the space goes behind it."""
    follows = match.string[match.end() : match.end() + 1]
    return match[1] + (" " if follows and not follows.isspace() else "")
