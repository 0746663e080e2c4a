"""Hashed character n-grams of words: what the toxicity model sees of a text.

A text becomes tokens (words; single characters where a language writes no spaces), a token becomes
hashed features. The hash is a polynomial over code points, mixed and cut to `BITS` bits; every
language has its own table, so that languages never share lexical evidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from civilly.detect.normalise import Normalised, normalise
from civilly.detect.words import Bounds
from civilly.languages import language

BITS = 18
"""Log2 of the number of buckets per language."""

_MARKS = "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u135d-\u135f"
_TOKEN = re.compile(rf"[\w*{_MARKS}]+|[\u2600-\u27bf\U0001f300-\U0001faff]")
_BOUNDARY = "\x01"
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BASE = np.uint64(0x100000001B3)
_WORD_SALT = np.uint64(0xA24BAED4963EE407)
_BIGRAM_SALT = np.uint64(0x9FB21C651E98DF25)


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a batch of texts in one language.

    Attributes:
        normalised: The normalised texts.
        texts: int64 [tokens]; the text of each token, ascending.
        starts: int64 [tokens]; first normalised character of each token.
        ends: int64 [tokens]; one past its last normalised character.
        token: int64 [features]; the token of each feature.
        bucket: int64 [features]; in ``[0, 2 ** BITS)``.
        value: float32 [features]; the share of the feature that the token gets.
    """

    normalised: list[Normalised]
    texts: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    token: NDArray[np.int64]
    bucket: NDArray[np.int64]
    value: NDArray[np.float32]


def extract(texts: Sequence[str], lang: str) -> Features:
    """Features of texts in one language; any string is allowed.

    Raises:
        UnknownNameError: If the language is not one of the 15.
    """
    spaces = language(lang).spaces
    normalised = [normalise(text, lang) for text in texts]
    pieces: list[str] = []
    owners: list[int] = []
    bounds: list[tuple[int, int]] = []
    for index, item in enumerate(normalised):
        spans = [match.span() for match in _TOKEN.finditer(item.text)]
        owners += [index] * len(spans)
        bounds += spans
        pieces += [item.text[start:end] for start, end in spans]
    owner = np.array(owners, dtype=np.int64)
    limits = np.array(bounds, dtype=np.int64).reshape(-1, 2)
    if not spaces:
        return _by_character(normalised, owner, limits, _codes(pieces))
    token, bucket = hashed_words(pieces, owner)
    value = np.ones(len(token), dtype=np.float32)
    return Features(normalised, owner, limits[:, 0], limits[:, 1], token, bucket, value)


def token_bounds(text: str, lang: str) -> list[Bounds]:
    """Where the tokens of a text stand in it, in order, as its author wrote it.

    A token is what a reader takes for one word, however it is disguised: ``f.u.c.k``, ``b!tch``.

    Raises:
        UnknownNameError: If the language is not one of the 15.
    """
    normalised = normalise(text, lang)
    places = [match.span() for match in _TOKEN.finditer(normalised.text)]
    if not language(lang).spaces:
        places = [(at, at + 1) for start, end in places for at in range(start, end)]
    return [normalised.original_span(start, end) for start, end in places]


def _codes(pieces: Sequence[str]) -> NDArray[np.uint64]:
    """Code points of the pieces, with a boundary before, between and after them."""
    stream = _BOUNDARY + _BOUNDARY.join(pieces) + _BOUNDARY
    encoded = stream.encode("utf-32-le", "surrogatepass")
    return np.frombuffer(encoded, dtype=np.uint32).astype(np.uint64)


def _mix(hashes: NDArray[np.uint64], salt: np.uint64 | int) -> NDArray[np.int64]:
    """Buckets of raw hashes (Fibonacci hashing after a xor-shift)."""
    mixed = (hashes ^ np.uint64(salt)) * _MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MULTIPLIER
    return (mixed >> np.uint64(64 - BITS)).astype(np.int64)


def hashed_words(
    words: Sequence[str], owner: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Character 2- to 5-grams, whole words and pairs of words.

    Args:
        words: Not empty, without control characters.
        owner: [words]; the text of each word; pairs are made only inside a text.

    Returns:
        The word of each feature, and its bucket in ``[0, 2 ** BITS)``; a pair belongs to both.
    """
    if not len(owner):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    codes = _codes(words)
    edge = codes == 1
    # A boundary belongs to the word that it opens; the last one opens nothing.
    word = np.cumsum(edge) - 1
    edges = np.concatenate([[0], np.cumsum(edge)])
    tokens: list[NDArray[np.int64]] = []
    buckets: list[NDArray[np.int64]] = []
    rolling = codes.copy()
    for size in range(2, 6):
        rolling = rolling[:-1] * _BASE + codes[size - 1 :]
        first = np.arange(len(rolling))
        inner = edges[first + size - 1] - edges[first + 1]
        keep = inner == 0
        if size == 2:
            keep &= ~(edge[:-1] & edge[1:])
        tokens.append(word[: len(rolling)][keep])
        buckets.append(_mix(rolling[keep], size))
    whole = _whole_words(codes, edge)
    ids = np.arange(len(whole))
    tokens.append(ids)
    buckets.append(_mix(whole, _WORD_SALT))
    pair = np.flatnonzero(owner[:-1] == owner[1:])
    pairs = _mix(whole[pair] * _BASE + whole[pair + 1], _BIGRAM_SALT)
    tokens += [pair, pair + 1]
    buckets += [pairs, pairs]
    return np.concatenate(tokens), np.concatenate(buckets)


def _whole_words(codes: NDArray[np.uint64], edge: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """One polynomial hash per word, over all of its characters."""
    opens = np.flatnonzero(edge)
    place = np.arange(len(codes)) - np.repeat(opens, np.diff(np.append(opens, len(codes))))
    longest = int(place.max()) + 1
    powers = np.full(longest, _BASE, dtype=np.uint64)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    return np.add.reduceat((codes * powers[place])[:-1], opens[:-1])


def _by_character(
    normalised: list[Normalised],
    owner: NDArray[np.int64],
    limits: NDArray[np.int64],
    codes: NDArray[np.uint64],
) -> Features:
    """Character 1- to 4-grams across a run of characters, shared out among its characters."""
    edge = codes == 1
    letters = np.flatnonzero(~edge)
    run = np.cumsum(edge)[letters] - 1
    lengths = limits[:, 1] - limits[:, 0]
    within = np.arange(len(letters)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    starts = limits[:, 0][run] + within
    place = np.cumsum(~edge) - 1
    edges = np.concatenate([[0], np.cumsum(edge)])
    tokens: list[NDArray[np.int64]] = []
    buckets: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float32]] = []
    rolling = codes.copy()
    for size in range(1, 5):
        if size > 1:
            rolling = rolling[:-1] * _BASE + codes[size - 1 :]
        first = np.arange(len(rolling))
        keep = edges[first + size] == edges[first]
        bucket = _mix(rolling[keep], size)
        for step in range(size):
            tokens.append(place[first[keep] + step])
            buckets.append(bucket)
            values.append(np.full(len(bucket), 1 / size, dtype=np.float32))
    return Features(
        normalised,
        owner[run],
        starts,
        starts + 1,
        np.concatenate(tokens),
        np.concatenate(buckets),
        np.concatenate(values),
    )
