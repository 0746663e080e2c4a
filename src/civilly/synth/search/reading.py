"""What models say of the rows of sets: sentence embeddings, and how probably each is toxic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from civilly.data.files import mend_surrogates
from civilly.detect.by_sentence import open_detector
from civilly.model.e5 import encoder_folder
from civilly.model.token_encoder import BEGIN, END, TokenEncoder
from civilly.synth.search.measures import Floats
from civilly.types import Detector, Text

PREFIX = "query: "
"""What the encoder was trained to see before texts that are compared with their like."""
MOST_TOKENS = 256
_LONGEST = 4_000
"""Characters of a text that are read."""


class RowReader:
    """Reads each text once, however many sets and comparisons it is in."""

    def __init__(self) -> None:
        self._encoder = TokenEncoder(encoder_folder)
        self._detector: Detector = open_detector()
        self._vectors: dict[str, Floats] = {}
        self._toxic: dict[Text, float] = {}

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of texts by multilingual-e5-small, the mean of their tokens', in order."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        read = self._encoder.pieces([PREFIX + mend_surrogates(text)[:_LONGEST] for text in new])
        rows = [[BEGIN, *piece.ids[:MOST_TOKENS], END] for piece in read]
        means = self._encoder.mapped(rows, lambda _, hidden: hidden.mean(axis=0))
        for text, mean in zip(new, means, strict=True):
            self._vectors[text] = np.asarray(mean / max(1e-12, float(np.linalg.norm(mean))), float)
        return np.array([self._vectors[text] for text in texts])

    def p_toxic(self, texts: Sequence[str], lang: str) -> Floats:
        """How probably each text is toxic, by the detector in context, in order."""
        asked = [Text(text[:_LONGEST], lang) for text in texts]
        new = [text for text in dict.fromkeys(asked) if text not in self._toxic]
        for text, found in zip(new, self._detector.detect(new), strict=True):
            self._toxic[text] = found.p_toxic
        return np.array([self._toxic[text] for text in asked])
