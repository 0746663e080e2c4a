"""What a text has besides words: its blanks and symbols come back as they were."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from civilly.languages import UNSPACED_LETTER, in_word, says_something

LEAST_BESIDE = 3
"""Characters in which text and rewrite must agree beside a run that is put back."""
_STRETCH = re.compile(r"\s+")
_RUN = re.compile(r"\s\s")
_UNUSUAL = re.compile(r"\s\s|[^\S ]")
"""Anything but single spaces."""


def single_blanks(text: str) -> str:
    """The text with a space for each stretch of blanks."""
    return _STRETCH.sub(" ", text)


def restore_blanks_and_symbols(source: str, rewritten: str, cut: Sequence[str] = ()) -> str:
    """A rewrite with the blanks and symbols that its text has at the same places.

    Both texts are aligned character by character, each stretch of blanks being one. A stretch of
    the rewrite becomes the one that it stands for; a run that the rewrite dropped comes back if
    what is before or after it is still there; the longest of several that fell together stays. A
    run that the text has nowhere becomes one blank, unless it breaks the line. Symbols and emoji
    that the rewrite dropped come back, too; those dropped with words, behind what replaced them.

    Args:
        source: The text.
        rewritten: What became of it.
        cut: Stretches of the text that may go: its toxic ones. Their symbols do not come back.
    """
    lost = Counter(filter(_is_symbol, source)) - Counter(rewritten)
    if not (lost or _UNUSUAL.search(source) or _UNUSUAL.search(rewritten)):
        return rewritten
    before, after = _Laid.out(source), _Laid.out(rewritten)
    found = {i: each if "\n" in each else each[:1] for i, each in after.stretches.items()}
    added: dict[int, str] = {}
    blocks = list(_blocks(before.text, after.text))
    for number, block in enumerate(blocks):
        own = [before.stretches[i] for i in range(*block.source) if i in before.stretches]
        places = [i for i in range(*block.output) if i in after.stretches]
        blank = not after.text[slice(*block.output)].strip()
        if blank and _is_symbolic(before.text[slice(*block.source)], cut):
            added[block.output[0]] = before.original(*block.source)
            found.update(dict.fromkeys(places, ""))
            continue
        if not block.equal and (symbols := _dropped(block, before, after, cut)):
            end = _word_end(after.text, block.output[1])
            added[end] = added.get(end, "") + _set_off(symbols, after.text, end)
        if len(own) <= len(places):
            found.update(zip(places, own, strict=False))
            continue
        longest = max(own, key=len)
        if places:
            found.update(zip(places, _longest(own, len(places)), strict=True))
        elif (beside := _blank_beside(block, after)) is not None:
            found[beside] = max(found[beside], longest, key=len)
        elif len(longest) > 1 and (place := _edge(blocks, number, before, longest)) is not None:
            added[place] = added.get(place, "") + longest
    return after.with_stretches(found, added)


def _is_symbol(character: str) -> bool:
    """Whether it is a symbol, an emoji, a number in a shape of its own, or a dash beyond ASCII."""
    kind = unicodedata.category(character)
    return kind[0] == "S" or kind == "No" or (kind == "Pd" and not character.isascii())


def _clusters(stretch: str) -> dict[int, str]:
    """Symbols with what varies or joins them, by where they begin."""
    found: dict[int, str] = {}
    begin = -1
    for i, character in enumerate(stretch):
        joins = unicodedata.category(character) in ("Mn", "Me", "Cf")
        if begin >= 0 and (joins or _is_symbol(character)):
            found[begin] += character
        elif _is_symbol(character):
            begin, found[i] = i, character
        else:
            begin = -1
    return found


def _is_symbolic(stretch: str, cut: Sequence[str]) -> bool:
    """Whether a stretch holds symbols and nothing but what joins them, and none may go."""
    clusters = list(_clusters(stretch).values())
    others = len("".join(stretch.split())) - sum(map(len, clusters))
    joiners = sum(unicodedata.category(c) in ("Mn", "Me", "Cf") for c in stretch)
    return bool(clusters) and others <= joiners and not _may_go(clusters, cut)


def _may_go(clusters: Sequence[str], cut: Sequence[str]) -> bool:
    return any(cluster in stretch for cluster in clusters for stretch in cut)


def _dropped(block: _Block, before: _Laid, after: _Laid, cut: Sequence[str]) -> str:
    """The symbols that a block of the text has, its rewrite has not, and that must not go."""
    start, end = block.source
    kept = "".join(_clusters(after.text[slice(*block.output)]).values())
    lost = [
        cluster
        for i, cluster in _clusters(before.text[start:end]).items()
        if cluster not in kept
        and not _may_go([cluster], cut)
        and not _spells(before.text, start + i, start + i + len(cluster))
    ]
    return " ".join(lost)


def _spells(text: str, start: int, end: int) -> bool:
    """Whether symbols are part of a word or number: ``sh¥t``, ``a$$``, ``$5``."""
    sides = [
        bool(side) and in_word(side) and not UNSPACED_LETTER.match(side)
        for side in (text[:start][-1:], text[end:][:1])
    ]
    return any(sides) if text[start:end].isascii() else all(sides)


def _word_end(text: str, place: int) -> int:
    """The place itself, or the end of the word around it."""
    while _within_word(text, place):
        place += 1
    return place


def _set_off(symbols: str, text: str, place: int) -> str:
    """Symbols with a blank to each side where a word of a script with spaces is beside."""
    left, right = text[:place][-1:], text[place:][:1]
    before = " " if left and in_word(left) and not UNSPACED_LETTER.match(left) else ""
    after = " " if right and in_word(right) and not UNSPACED_LETTER.match(right) else ""
    return before + symbols + after


def fills_blanks(source: str, rewritten: str) -> bool:
    """Whether a rewrite says something where its text has only a run of blanks.

    Args:
        source: The text.
        rewritten: What became of it.
    """
    if not _RUN.search(source):
        return False
    before, after = _Laid.out(source), _Laid.out(rewritten)
    return any(
        _is_run_alone(before, block) and says_something(_own_words(after.text, *block.output))
        for block in _blocks(before.text, after.text)
        if not block.equal
    )


def _own_words(text: str, start: int, end: int) -> str:
    """What begins and ends in a stretch: not the rest of a word that grew from one side."""
    while start < end and _within_word(text, start):
        start += 1
    while start < end and _within_word(text, end):
        end -= 1
    return text[start:end]


def _within_word(text: str, place: int) -> bool:
    """Whether a word of a script with spaces goes on over a place."""
    sides = text[:place][-1:], text[place:][:1]
    return all(side and in_word(side) and not UNSPACED_LETTER.match(side) for side in sides)


def _is_run_alone(laid: _Laid, block: _Block) -> bool:
    """Whether a block of the text holds nothing but blanks, and is or touches a run of them."""
    start, end = block.source
    if laid.text[start:end].strip():
        return False
    return any(len(laid.stretches.get(i, "")) > 1 for i in range(start - 1, end + 1))


@dataclass(frozen=True, slots=True)
class _Laid:
    """A text with one space per stretch of blanks, and what stands there.

    Attributes:
        text: The text with single spaces.
        stretches: The stretch at each position of a space.
    """

    text: str
    stretches: dict[int, str]

    @classmethod
    def out(cls, text: str) -> _Laid:
        stretches, shift = {}, 0
        for match in _STRETCH.finditer(text):
            stretches[match.start() - shift] = match[0]
            shift += len(match[0]) - 1
        return cls(single_blanks(text), stretches)

    def original(self, start: int, end: int) -> str:
        """A part of the text with its stretches as they were."""
        return "".join(self.stretches.get(i, self.text[i]) for i in range(start, end))

    def with_stretches(self, found: dict[int, str], added: dict[int, str]) -> str:
        """The text with other stretches, and some more before the characters at some positions."""
        pieces = [
            added.get(i, "") + found.get(i, character) for i, character in enumerate(self.text)
        ]
        return "".join(pieces) + added.get(len(self.text), "")


@dataclass(frozen=True, slots=True)
class _Block:
    """Where two texts agree, or where they do not: ranges of positions.

    Attributes:
        equal: Whether they agree.
        source: From and to in the text.
        output: From and to in the rewrite.
    """

    equal: bool
    source: tuple[int, int]
    output: tuple[int, int]

    @property
    def length(self) -> int:
        """How much of the rewrite it is, in characters."""
        return self.output[1] - self.output[0]


def _blocks(before: str, after: str) -> Iterator[_Block]:
    """The blocks of both texts in order; equal and other ones take turns."""
    open_block: _Block | None = None
    for each in Levenshtein.opcodes(before, after):
        equal = each.tag == "equal"
        block = _Block(equal, (each.src_start, each.src_end), (each.dest_start, each.dest_end))
        if open_block is not None and open_block.equal == equal:
            block = _Block(
                equal,
                (open_block.source[0], block.source[1]),
                (open_block.output[0], block.output[1]),
            )
        elif open_block is not None:
            yield open_block
        open_block = block
    if open_block is not None:
        yield open_block


def _longest(stretches: Sequence[str], number: int) -> list[str]:
    """The longest ``number`` of them, in order."""
    chosen = sorted(range(len(stretches)), key=lambda i: (-len(stretches[i]), i))[:number]
    return [stretches[i] for i in sorted(chosen)]


def _blank_beside(block: _Block, after: _Laid) -> int | None:
    """The position of a blank of the rewrite that touches a block without one."""
    start, end = block.output
    return next((i for i in (start - 1, end) if i in after.stretches), None)


def _edge(blocks: Sequence[_Block], number: int, laid: _Laid, stretch: str) -> int | None:
    """Where a dropped stretch belongs in the rewrite: at an edge of its block that is sure.

    Args:
        blocks: All blocks.
        number: Which of them dropped the stretch.
        laid: The text.
        stretch: What it dropped.
    """
    start, end = blocks[number].source
    first, last = blocks[number].output
    before, after = blocks[:number][-1:], blocks[number + 1 :][:1]
    sides = [(start, first, before, number == 1), (end - 1, last, after, number == len(blocks) - 2)]
    for position, place, beside, outermost in sides:
        sure = any(outermost or each.length >= LEAST_BESIDE for each in beside)
        # What was cut off together with the end of the text leaves no blanks there.
        inside = (before and after) or first < last
        if sure and inside and laid.stretches.get(position) == stretch:
            return place
    return None
