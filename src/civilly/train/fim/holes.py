"""Holes to train on: cut out of pairs where their sides differ, or out of civil text anywhere.

Every hole is a `Gap` with the middle that belongs there. A prompt shows what stands before and
after without the blanks at the hole; the middle carries them, so that stripped before + middle +
stripped after is civil text again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from civilly.data.pairs import Pair
from civilly.languages import language
from civilly.methods.delete import BLANKS, delete_spans, first_blanks
from civilly.methods.holes import Gap
from civilly.train.fim.differences import Change, Token, changes, tokens
from civilly.types import Span

MOST_CUT_WORDS = 5
"""Longest stretch of words that is cut out of civil text."""
CHARACTERS_PER_WORD = 2
"""So many characters count as a word where nothing separates words."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole and what belongs into it.

    Attributes:
        gap: The hole.
        middle: What belongs there, with the blanks at both ends.
        until_next: What stands between it and the next hole of the text, or the text's end.
    """

    gap: Gap
    middle: str
    until_next: str = ""

    def preceded_by(self, before: str) -> Hole:
        """The same hole after other fillings of those before it."""
        return replace(self, gap=replace(self.gap, before=before))


class Sides:
    """The two sides of a pair in tokens.

    Args:
        pair: With one reference.

    Attributes:
        changes: Where they differ, in order.
    """

    def __init__(self, pair: Pair) -> None:
        self._lang, self._old, self._new = pair.lang, pair.toxic, pair.neutral[0]
        self._old_tokens, self._new_tokens = (tokens(t, pair.lang) for t in (self._old, self._new))
        self.changes: list[Change] = changes(self._old_tokens, self._new_tokens)

    @property
    def changed_share(self) -> float:
        """How much of the tokens of either side differs, the larger share, in [0, 1]."""
        old = sum(change.old_end - change.old_start for change in self.changes)
        new = sum(change.new_end - change.new_start for change in self.changes)
        return max(old / max(1, len(self._old_tokens)), new / max(1, len(self._new_tokens)))

    def cuts_words(self, change: Change) -> bool:
        """Whether words are cut, and not marks alone, which no detector finds."""
        return any(token.word for token in self._old_tokens[change.old_start : change.old_end])

    def widened(self, change: Change, rng: random.Random) -> Change:
        """The stretch with an equal word beside it, if there is one, as detectors cut too much."""
        before, after = self._equal_beside(change)
        if after and (not before or rng.random() < 0.5):
            return replace(change, old_end=change.old_end + 1, new_end=change.new_end + 1)
        if before:
            return replace(change, old_start=change.old_start - 1, new_start=change.new_start - 1)
        return change

    def _equal_beside(self, change: Change) -> tuple[bool, bool]:
        """Whether the two tokens on each side belong to no change, and the nearer is a word."""
        at = self.changes.index(change)
        start = self.changes[at - 1].old_end if at else 0
        rest = self.changes[at + 1 :]
        end = rest[0].old_start if rest else len(self._old_tokens)
        before, after = change.old_start - start >= 2, end - change.old_end >= 2
        return (
            before and self._old_tokens[change.old_start - 1].word,
            after and self._old_tokens[change.old_end].word,
        )

    def harmless(self, rng: random.Random) -> Change | None:
        """One or two words somewhere that both sides have, not beside a change; None: no such."""
        equal, i, j = [], 0, 0
        for change in [*self.changes, _end(self._old_tokens, self._new_tokens)]:
            inner = range(
                i + (i > 0), change.old_start - (change.old_start < len(self._old_tokens))
            )
            equal += [(at, j + at - i) for at in inner if self._old_tokens[at].word]
            i, j = change.old_end, change.new_end
        if not equal:
            return None
        at, beside = rng.choice(equal)
        size = rng.choice((1, 1, 2))
        if not language(self._lang).spaces:
            size *= CHARACTERS_PER_WORD
        known = set(equal)
        while (at + size - 1, beside + size - 1) not in known:
            size -= 1
        return Change(at, at + size, beside, beside + size)

    def holes(self, picked: Sequence[Change]) -> list[Hole]:
        """A hole for each stretch, left to right, as they are filled when a text is rewritten.

        Earlier stretches hold what the civil side has; later ones are deleted from what follows.
        What differs outside the stretches is as on the civil side.

        Args:
            picked: Stretches to cut, in order, with a token between each two.
        """
        kept, old, new = [], [], []
        place = 0
        for change in picked:
            start, end = _bounds(self._new_tokens, change.new_start, change.new_end, self._new)
            kept.append(self._new[place:start])
            new.append(self._new[start:end])
            place = end
            start, end = _bounds(self._old_tokens, change.old_start, change.old_end, self._old)
            old.append(self._old[start:end])
        kept.append(self._new[place:])
        made, before = [], ""
        for at, (cut, middle) in enumerate(zip(old, new, strict=True)):
            before += kept[at]
            bare = cut.strip(BLANKS)
            lead = first_blanks(cut)
            after = _deleted(
                cut[len(lead) + len(bare) :] + kept[at + 1], old[at + 1 :], kept[at + 2 :]
            )
            made.append(Hole(Gap(before + lead, bare, after, self._lang), middle, kept[at + 1]))
            before += middle
        return made


def _end(old: Sequence[Token], new: Sequence[Token]) -> Change:
    return Change(len(old), len(old), len(new), len(new))


def _bounds(row: Sequence[Token], start: int, end: int, text: str) -> tuple[int, int]:
    """The characters of tokens ``start`` to ``end`` with the blanks around them."""
    return (
        row[start - 1].end if start else 0,
        row[end].start if end < len(row) else len(text),
    )


def _deleted(first: str, cuts: Sequence[str], kept: Sequence[str]) -> str:
    """The text ``first``, cut, kept, cut, kept …, without its cuts."""
    text, spans = first, []
    for cut, after in zip(cuts, kept, strict=True):
        bare = cut.strip(BLANKS)
        start = len(text) + len(first_blanks(cut))
        spans.append(Span(start, start + len(bare)))
        text += cut + after
    return delete_spans(text, spans)


def hole_at(text: str, start: int, end: int, lang: str) -> Hole:
    """The hole between two characters of a civil text; its cut is not known."""
    before, after = text[:start], text[end:]
    left, right = len(before.rstrip(BLANKS)), len(text) - len(after.lstrip(BLANKS))
    return Hole(Gap(before, "", after, lang), text[left:right], text[right:])


def cut_words(text: str, lang: str, rng: random.Random) -> Hole | None:
    """A hole of a few whole words anywhere in a civil text; None if it has but one."""
    row = tokens(text, lang)
    if len(row) < 2:
        return None
    most = MOST_CUT_WORDS * (1 if language(lang).spaces else CHARACTERS_PER_WORD)
    size = rng.randint(1, min(most, len(row) - 1))
    first = rng.randrange(len(row) - size + 1)
    return hole_at(text, row[first].start, row[first + size - 1].end, lang)


def cut_characters(text: str, lang: str, rng: random.Random) -> Hole | None:
    """A hole between two places drawn uniformly (Bavarian et al. 2022); None in an empty text."""
    if not text.strip():
        return None
    start, end = sorted(rng.sample(range(len(text) + 1), 2))
    return hole_at(text, start, end, lang)
