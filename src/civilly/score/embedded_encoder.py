"""Vectors of a text's tokens, by multilingual-e5-small on CTranslate2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.data.files import mend_surrogates
from civilly.model.e5 import FORMAT, encoder_folder
from civilly.model.token_encoder import BEGIN, END, TokenEncoder
from civilly.score.embedded_cache import VectorCache

PREFIX = "query: "
"""What the model was trained to see before a text that is compared with its like."""
WIDTH = 384
MOST_TOKENS = 256
"""Tokens of a text that are read."""
SIGNATURE = f"multilingual-e5-small-int8|form:{FORMAT}|tokens:{MOST_TOKENS}|unpadded"
_STEPS = 127

Vectors = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the encoder reads it.

    Attributes:
        text: The text in compatibility forms, without the prefix; offsets count its characters.
        ids: Token ids, prefix included.
        spans: Start and end of each token of the text.
        skipped: Number of tokens that belong to the prefix alone.
    """

    text: str
    ids: list[int]
    spans: list[tuple[int, int]]
    skipped: int


class SentenceEncoder:
    """multilingual-e5-small, 8 bits.

    Args:
        cache: Where vectors are kept between calls.
        threads: CPU threads; default `civilly.engines.hardware.default_threads`.
    """

    def __init__(self, cache: VectorCache, threads: int | None = None) -> None:
        self._cache = cache
        self._encoder = TokenEncoder(encoder_folder, threads)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Cuts texts into tokens, in order."""
        read = self._encoder.normalised([PREFIX + mend_surrogates(text) for text in texts])
        return [_tokens(*pair) for pair in zip(read, self._encoder.cut(read), strict=True)]

    def vectors(self, texts: Sequence[Tokens], keep: bool = False) -> list[Vectors]:
        """Unit vectors of the tokens of each text, times 127, rounded.

        Rounding makes a cached vector and a fresh one the same.

        Args:
            texts: What `tokens` gave.
            keep: Whether to look the vectors up in the cache, and to put them there.

        Returns:
            int8 [tokens, 384] per text, in order.
        """
        unique = {item.text: item for item in texts}
        found = self._cache.read(list(unique)) if keep else {}
        new = [item for text, item in unique.items() if text not in found]
        fresh = dict(zip([item.text for item in new], self._forward(new), strict=True))
        if keep:
            self._cache.write(fresh)
        found.update(fresh)
        return [found[item.text] for item in texts]

    def _forward(self, texts: Sequence[Tokens]) -> list[Vectors]:
        results = [np.zeros((0, WIDTH), np.int8)] * len(texts)
        filled = [i for i, item in enumerate(texts) if item.spans]

        def rounded(place: int, hidden: NDArray[np.float32]) -> Vectors:
            own = hidden[1 + texts[filled[place]].skipped : -1]
            lengths = np.linalg.norm(own, axis=1, keepdims=True)
            unit = own / np.maximum(lengths, 1e-9)
            return np.asarray(np.rint(unit * _STEPS), np.int8)

        made = self._encoder.mapped([texts[i].ids for i in filled], rounded)
        for i, vectors in zip(filled, made, strict=True):
            results[i] = vectors
        return results


def _tokens(read: str, encoding: Any) -> Tokens:
    """Drops the tokens that are nothing but prefix."""
    skip = sum(end <= len(PREFIX) for _, end in encoding.offsets)
    spans = [
        (max(start - len(PREFIX), 0), end - len(PREFIX))
        for start, end in encoding.offsets[skip:MOST_TOKENS]
    ]
    ids = [BEGIN, *encoding.ids[:MOST_TOKENS], END]
    return Tokens(read[len(PREFIX) :], ids, spans, skip)


def cosines(left: Vectors, right: Vectors) -> NDArray[np.float32]:
    """Cosine of every token of one text with every token of another: [left, right]."""
    return np.asarray(left.astype(np.float32) @ right.astype(np.float32).T / _STEPS**2)
