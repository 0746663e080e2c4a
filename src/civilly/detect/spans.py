"""From scores of words to the stretches that stand out, in whole words: the edges of all spans."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from civilly.detect.emoji import ALWAYS, AT_TIMES, emoji_end
from civilly.detect.features import Features
from civilly.detect.words import Bounds, whole_words, words
from civilly.languages import in_word, language
from civilly.types import Span

_BLANKS = " \t\u00a0\u3000"
_GAP, _SEPARATORS = 2, "*#~_-·.^|/"
"""Where no blanks are written, so many of these may stand between two characters of a word."""
_MASKS = "*#~_"
_MASK_RUN = re.compile(rf"[{_MASKS}]+(?!\w)")


@dataclass(frozen=True, slots=True)
class Unit:
    """A word as far as the model sees it.

    Attributes:
        start: First character in the original text.
        end: One past the last.
        score: Evidence that it is toxic, as a logit.
        worst: Position of its worst token among those of the batch.
    """

    start: int
    end: int
    score: float
    worst: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A word, a part of one or an emoji, and how much of an insult it is.

    Attributes:
        start: First character in the text.
        end: One past the last.
        score: Evidence that it is an insult; what stands out is decided by it.
        p: In [0, 1]: what a span's score is.
    """

    start: int
    end: int
    score: float
    p: float


def units(
    features: Features,
    text: int,
    bounds: Sequence[Bounds],
    lang: str,
    scores: NDArray[np.float64],
) -> list[Unit]:
    """The words of one text with their scores, in order.

    Where a language writes spaces, tokens are words. Where it does not, tokens are characters, and
    a word's score is the sum of theirs over the square root of their number.

    Args:
        features: Of a batch.
        text: Which text of the batch is meant.
        bounds: The words of that text, as its author wrote it.
        lang: Its language.
        scores: [tokens] of the batch.
    """
    first, past = _tokens_of(features, text)
    tokens = [_original(features, text, token) for token in range(first, past)]
    values = scores[first:past].tolist()
    if language(lang).spaces:
        rows = zip(tokens, values, range(first, past), strict=True)
        return [Unit(start, end, value, token) for (start, end), value, token in rows]
    return list(_by_word(tokens, values, bounds, first))


def _tokens_of(features: Features, text: int) -> tuple[int, int]:
    first, past = np.searchsorted(features.texts, [text, text + 1]).tolist()
    return int(first), int(past)


def _original(features: Features, text: int, token: int) -> Bounds:
    """Where a token stands in the text as its author wrote it."""
    start, end = int(features.starts[token]), int(features.ends[token])
    return features.normalised[text].original_span(start, end)


def _by_word(
    tokens: Sequence[Bounds], values: Sequence[float], bounds: Sequence[Bounds], first: int
) -> Iterator[Unit]:
    groups: dict[int, list[int]] = {}
    word = 0
    for i, (start, _) in enumerate(tokens):
        while word < len(bounds) and bounds[word][1] <= start:
            word += 1
        inside = word < len(bounds) and bounds[word][0] <= start
        groups.setdefault(word if inside else -1 - i, []).append(i)
    for word, members in groups.items():
        own = (tokens[members[0]][0], tokens[members[-1]][1])
        start, end = bounds[word] if word >= 0 else own
        score = sum(values[i] for i in members) / len(members) ** 0.5
        worst = max(members, key=values.__getitem__)
        yield Unit(min(start, own[0]), max(end, own[1]), score, first + worst)


def toxic_spans(
    features: Features,
    text: int,
    source: str,
    read: str,
    lang: str,
    scores: NDArray[np.float64],
    alone: NDArray[np.float64],
    least: float,
) -> tuple[Span, ...]:
    """The words of one text that the n-gram model finds toxic: see `outstanding_spans`.

    Args:
        features: Of a batch.
        text: Which text of the batch is meant.
        source: That text, as its author wrote it.
        read: The same with blanks for what is protected (`civilly.detect.protected.blanked`), which
            the features are of.
        lang: Its language.
        scores: [tokens] of the batch.
        alone: [tokens]; p(toxic) of a text of that token alone: what a span's score is.
        least: The least score of a word inside a span; where no word reaches it, the worst one
            carries the verdict.
    """
    bounds = words(read, lang)
    marks = [
        Mark(unit.start, unit.end, unit.score, float(alone[unit.worst]))
        for unit in units(features, text, bounds, lang, scores)
    ]
    return outstanding_spans(marks, source, read, lang, bounds, least, floor=0.0)


def outstanding_spans(
    marks: Sequence[Mark],
    source: str,
    read: str,
    lang: str,
    bounds: Sequence[Bounds],
    least: float,
    floor: float,
) -> tuple[Span, ...]:
    """What stands out in a text, grown to whole words, joined where only blanks are between them.

    Whatever else stands between two words is in no span: marks, quotes, brackets, line breaks,
    what is protected, and emoji, but for those that are insults (`civilly.detect.emoji`), which
    are spans of their own.

    Args:
        marks: In order, not overlapping.
        source: The text, as its author wrote it.
        read: The same with blanks for what is protected (`civilly.detect.protected.blanked`).
        lang: Its language.
        bounds: Its words, as `civilly.detect.words.words` finds them in what is read.
        least: The least score inside a span; where nothing reaches it, the worst mark carries the
            verdict.
        floor: What scores no more than this is in no span, but for emoji that always insult.
    """
    spans: list[Span] = []
    emoji = False
    for mark in _outstanding(marks, read, least, floor):
        was_emoji, emoji = emoji, is_emoji(read, mark.start, mark.end)
        start, end = _whole(read, mark, bounds, lang)
        p = mark.p
        near = bool(spans) and _is_one(source[spans[-1].end : start], lang)
        if near and emoji == was_emoji:
            last = spans.pop()
            start, end, p = last.start, max(end, last.end), max(p, last.score)
        spans.append(Span(start, end, p))
    if language(lang).spaces:
        return tuple(spans)
    return tuple(_to_the_last_mask(span, read) for span in spans)


def _is_one(between: str, lang: str) -> bool:
    """Whether nothing but blanks is between two words, or what masks a word without blanks."""
    if not language(lang).spaces and len(between) <= _GAP:
        between = between.strip(_SEPARATORS)
    return not between.strip(_BLANKS)


def _whole(read: str, mark: Mark, bounds: Sequence[Bounds], lang: str) -> Bounds:
    """Where a mark stands: whole words without marks around them, or a whole emoji."""
    if is_emoji(read, mark.start, mark.end):
        return mark.start, emoji_end(read, mark.end)
    if not language(lang).spaces:
        return mark.start, mark.end
    start, end = whole_words(mark.start, mark.end, bounds)
    inside = bisect_left(bounds, start, key=lambda word: word[0])
    past = bisect_right(bounds, end, key=lambda word: word[1])
    if inside < past:
        return bounds[inside][0], bounds[past - 1][1]
    return start, end


def _to_the_last_mask(span: Span, read: str) -> Span:
    """The span with the signs behind it, if it has such signs inside, too: ``傻*逼*``."""
    masks = set(read[span.start : span.end]) & set(_MASKS)
    found = _MASK_RUN.match(read, span.end)
    if found and set(found[0]) <= masks:
        return replace(span, end=found.end())
    return span


def is_emoji(read: str, start: int, end: int) -> bool:
    """Whether a stretch holds nothing of a word, nor what masks one."""
    stretch = read[start:end]
    return not any(map(in_word, stretch)) and not set(stretch) & set(_MASKS)


def _outstanding(marks: Sequence[Mark], read: str, least: float, floor: float) -> list[Mark]:
    """Those that reach the least score, or the worst one; only emoji that may be insults."""
    found = [
        mark
        for mark in marks
        if not is_emoji(read, mark.start, mark.end) or read[mark.start] in AT_TIMES
    ]
    limit = min(least, max((mark.score for mark in found), default=0.0))
    return [
        mark
        for mark in found
        if (mark.score >= limit and mark.score > floor) or read[mark.start] in ALWAYS
    ]
