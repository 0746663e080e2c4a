"""Cosines of sentence embeddings through sentence-transformers, as the shared tasks' SIM."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from civilly.engines.requests import well_formed
from civilly.errors import ModelError
from civilly.score.models import ModelSource, Runtime, opening


class SentenceEncoder:
    """An encoder in the layout of sentence-transformers.

    For LaBSE its modules are BERT (at most 256 tokens), the first token's vector, a dense layer
    with tanh, and the L2 norm (Feng et al. 2022, https://arxiv.org/abs/2007.01852).

    Args:
        source: The encoder.
        runtime: Device, number format and batch size.

    Raises:
        MissingExtraError: If sentence-transformers is not installed.
        ModelError: If it cannot be opened or does not say how it pools.
    """

    def __init__(self, source: ModelSource, runtime: Runtime) -> None:
        self._batch = runtime.batch
        with opening("SIM", source):
            from sentence_transformers import SentenceTransformer

            if source.file("modules.json") is None:  # the library would guess: mean pooling
                raise ModelError(
                    f"The encoder {source.name!r} has no modules.json.",
                    allowed="a model in the layout of sentence-transformers",
                    mend="name another with --option sim=, or add the file to its folder",
                )
            _, device, dtype = runtime.resolve()
            model: Any = SentenceTransformer(source.name, device=str(device), **source.where)
            self._model = model.eval().to(dtype)

    def cosines(self, left: Sequence[str], right: Sequence[str]) -> list[float]:
        """Cosine of each pair of texts, in [-1, 1], in order; a text with itself has 1."""
        left, right = list(map(well_formed, left)), list(map(well_formed, right))
        unique = list(dict.fromkeys([*left, *right]))
        if not unique:
            return []
        vectors = self._model.encode(
            unique, batch_size=self._batch, show_progress_bar=sys.stderr.isatty()
        ).astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        place = {text: row for row, text in enumerate(unique)}
        return [
            float(vectors[place[a]] @ vectors[place[b]]) for a, b in zip(left, right, strict=True)
        ]
