"""Tags of pages and forums around words: a model sees the words alone.

``You are a <b>stupid</b> person`` is asked as ``You are a stupid person``; in its answer the tags
come back around what became of the words that they stood at. Asked with its tags, the model drops
or doubles them (docs/decisions.md).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from civilly.detect.protected import tags
from civilly.languages import UNSPACED
from civilly.pipeline.substitution import substituted
from civilly.types import Detection, Text

_TOKEN = re.compile(rf"[^\W{UNSPACED}]+|\s+|.", re.DOTALL)
_CLOSES = ("</", "[/")


@dataclass(frozen=True, slots=True)
class Untagged:
    """A text without its tags.

    Attributes:
        text: The text without them.
        detection: What was found in it, at the places where it now is.
        tags: Each of them with the place in ``text`` before which it stood, in order.
    """

    text: Text
    detection: Detection
    tags: tuple[tuple[int, str], ...] = ()

    def given(self, proposal: str) -> str:
        """A proposal of somebody who saw the tags, as the model would write it."""
        for _, tag in self.tags:
            proposal = proposal.replace(tag, "", 1)
        return proposal

    def told(self, answer: str) -> str:
        """An answer of the model with the tags around what became of their words."""
        if not self.tags:
            return answer
        pieces, last = [], 0
        places = _placed(self.text.text, answer, self.tags)
        for place, (_, tag) in zip(places, self.tags, strict=True):
            pieces += [answer[last:place], tag]
            last = place
        return "".join((*pieces, answer[last:]))


def untagged(text: Text, detection: Detection) -> Untagged:
    """A text without the tags of pages and forums.

    A tag between two words without a blank stays: without it they would be one.

    Args:
        text: Any text.
        detection: What was found in it.
    """
    found = tags(text.text)
    if not found:
        return Untagged(text, detection)
    places, taken = [], 0
    for each in found:
        places.append((each.start - taken, text.text[each.start : each.end]))
        taken += each.end - each.start
    bare = substituted(text, detection, [(each.start, each.end, "") for each in found])
    return Untagged(*bare, tuple(places))


def _placed(source: str, answer: str, wanted: Sequence[tuple[int, str]]) -> list[int]:
    """Before which character of the answer each tag stands, never falling."""
    if answer == source:
        return [place for place, _ in wanted]
    old, new = ([m.span() for m in _TOKEN.finditer(side)] for side in (source, answer))
    matcher = SequenceMatcher(
        None, [source[a:b] for a, b in old], [answer[a:b] for a, b in new], autojunk=False
    )
    blocks = [block[1:] for block in matcher.get_opcodes()]
    starts, ends = [a for a, _ in old], [b for _, b in old]
    places: list[int] = []
    for at, tag in wanted:
        if tag.startswith(_CLOSES):
            number = bisect_right(ends, at)  # tokens that end before the tag
            token = _counterpart(number, blocks, last=True)
            place = new[token - 1][1] if token else 0
        else:
            number = bisect_left(starts, at)
            token = _counterpart(number, blocks, last=False)
            place = new[token][0] if token < len(new) else len(answer)
        places.append(max(place, places[-1] if places else 0))
    return places


def _counterpart(number: int, blocks: Sequence[tuple[int, int, int, int]], *, last: bool) -> int:
    """How many tokens of the answer correspond to the first ``number`` tokens of the text.

    Args:
        number: Tokens of the text before a tag.
        blocks: Stretches of tokens that correspond: [start, end) in the text and in the answer.
        last: Whether the tag closes, so that of a reworded stretch it stands behind all.
    """
    for a0, a1, b0, b1 in blocks:
        if a0 <= number <= a1 and (number > a0 if last else number < a1):
            if a1 - a0 == b1 - b0:
                return b0 + number - a0
            return b1 if last else b0
    return blocks[-1][3] if blocks and number else 0
