"""Vectors of a text's tokens, by multilingual-e5-small on CTranslate2."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.data.files import mend_surrogates
from civilly.engines.background import Background
from civilly.engines.batches import equal_lengths
from civilly.engines.hardware import default_threads
from civilly.model.cache import loaded
from civilly.model.e5 import FORMAT, NORMALISATION_FILE, TOKENIZER_FILE, encoder_folder
from civilly.score.embedded_cache import VectorCache

PREFIX = "query: "
"""What the model was trained to see before a text that is compared with its like."""
WIDTH = 384
BEGIN, END = 0, 2
"""Ids of ``<s>`` and ``</s>``."""
MOST_TOKENS = 256
"""Tokens of a text that are read."""
BATCH_TOKENS = 512
"""Tokens read together: four times as many were a quarter slower (two cores with AVX2)."""
SIGNATURE = f"multilingual-e5-small-int8|form:{FORMAT}|tokens:{MOST_TOKENS}|unpadded"
_SPACES = re.compile(" {2,}")
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
        self._threads = threads or default_threads()

    @cached_property
    def _loading(self) -> Background:
        encoder_folder()  # built first and here, where it can be interrupted
        return Background(self._load)

    def _load(self) -> Any:
        import ctranslate2

        # A worker per core, each on a batch of its own: see the embedded engine.
        return loaded(
            encoder_folder,
            lambda folder: ctranslate2.Encoder(
                str(folder), device="cpu", inter_threads=self._threads, intra_threads=1
            ),
        )

    @property
    def _model(self) -> Any:
        return self._loading.result()

    @cached_property
    def _tokenizer(self) -> tuple[Any, dict[int, str]]:
        from tokenizers import Tokenizer

        def load(folder: Path) -> tuple[Any, dict[int, str]]:
            replaced = json.loads((folder / NORMALISATION_FILE).read_text("utf-8"))
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            return tokenizer, {int(point): text for point, text in replaced.items()}

        return loaded(encoder_folder, load)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Cuts texts into tokens, in order."""
        tokenizer, replaced = self._tokenizer
        whole = [(PREFIX + mend_surrogates(text)).translate(replaced) for text in texts]
        read = [_SPACES.sub(" ", text) for text in whole]
        encodings = tokenizer.encode_batch(read, add_special_tokens=False)
        return [_tokens(*pair) for pair in zip(read, encodings, strict=True)]

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

        def run(batch: list[int]) -> None:
            hidden = self._model.forward_batch([texts[i].ids for i in batch]).last_hidden_state
            for row, i in zip(np.asarray(hidden), batch, strict=True):
                own = row[1 + texts[i].skipped : len(texts[i].ids) - 1]
                lengths = np.linalg.norm(own, axis=1, keepdims=True)
                results[i] = np.rint(own / np.maximum(lengths, 1e-9) * _STEPS).astype(np.int8)

        filled = [i for i, item in enumerate(texts) if item.spans]
        with ThreadPoolExecutor(self._threads) as pool:
            # Padding would show in the last digits: a text's vectors must not tell its neighbours.
            groups = equal_lengths([len(texts[i].ids) for i in filled], BATCH_TOKENS)
            list(pool.map(run, [[filled[place] for place in group] for group in groups]))
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
