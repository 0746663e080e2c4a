"""Other ways on at a toxic span: the model rewrites the span alone, the rest is copied.

At a span, the answer so far is the text before it. From there the model takes several turns, each
for a few tokens, until it says again what the text says after the span; what follows is the text's
own. So only a few tokens are decoded where a whole answer would be a copy but for one word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from civilly.languages import UNSPACED_LETTER
from civilly.methods.delete import delete_spans, merge_spans
from civilly.types import Span

MOST_FORKS = 2
"""Spans of one text that are rewritten, each in a proposal of its own; the others are cut."""
LEAST_MEETING = 3
"""Letters (in scripts without spaces: two) in which text and continuation must agree to meet."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A place in a text where another way on is looked for.

    Attributes:
        before: The text up to the span, without blanks at its end and without other spans.
        after: The text from the end of the span on, without other spans.
    """

    before: str
    after: str

    def joined(self, continuation: str, finished: bool) -> str | None:
        """The whole proposal, or None if the continuation never comes back to the text.

        Args:
            continuation: What the model says after ``before``.
            finished: Whether it ended there by itself.
        """
        if finished:
            return self.before + continuation
        back = rejoin(continuation, self.after)
        return None if back is None else self.before + back


def forks(text: str, spans: Sequence[Span]) -> list[Fork]:
    """Where to branch off: at the first `MOST_FORKS` spans of a text, in order.

    Args:
        text: Any text.
        spans: Its toxic stretches.
    """
    cuts = merge_spans(text, spans)
    found = []
    for start, end in cuts[:MOST_FORKS]:
        earlier = [Span(s, e) for s, e in cuts if e <= start]
        later = [Span(s - end, e - end) for s, e in cuts if s >= end]
        before = delete_spans(text[:start], earlier).rstrip()
        found.append(Fork(before, delete_spans(text[end:], later)))
    return found


def rejoin(continuation: str, rest: str) -> str | None:
    """The continuation up to where it says what ``rest`` begins with, and then ``rest``.

    Args:
        continuation: A few words, the last perhaps cut off.
        rest: What the text says after the place where the continuation begins.

    Returns:
        None where the two do not meet.
    """
    target = rest.lstrip()
    for end in _word_ends(continuation):
        said = continuation[:end]
        for start in _word_starts(said):
            tail = said[start:]
            if len(tail) >= _least_meeting(tail) and target.startswith(tail):
                return said + target[len(tail) :]
    return None


def _least_meeting(tail: str) -> int:
    return LEAST_MEETING if tail[:1].isascii() or " " in tail else LEAST_MEETING - 1


def _word_starts(text: str) -> Iterator[int]:
    """Where a word or, in scripts without spaces, a character begins; from the left."""
    for i, character in enumerate(text):
        if character.isspace():
            continue
        if i == 0 or text[i - 1].isspace() or UNSPACED_LETTER.match(character):
            yield i


def _word_ends(text: str) -> Iterator[int]:
    """Where a word may end, from the right; first of all the end of the text."""
    yield len(text)
    for i in range(len(text) - 1, 0, -1):
        if text[i].isspace() or UNSPACED_LETTER.match(text[i]):
            yield i
