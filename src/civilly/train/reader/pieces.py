"""Which pieces of the encoder's vocabulary a reader keeps; the embeddings are most of its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.data.io import read_utf8
from civilly.model.e5 import Encoder
from civilly.model.token_encoder import TokenEncoder
from civilly.score.reader import CLOSED, HOLE, OPENED
from civilly.train.vocabulary import texts_by_language

_TEXTS = 5_000
_FIRST_PLAIN = 4
"""Ids below are control pieces."""
_WRITTEN = ("text", "rewrite", "toxic", "neutral")
"""Columns of what was written for this project."""


def kept_pieces(encoder: Encoder, cutter: TokenEncoder, texts: Iterable[str]) -> NDArray[np.bool_]:
    """A truth value per piece, so that a reader cuts these texts as the whole vocabulary does.

    Kept are the pieces that the texts use; every piece of one character, so that no text becomes
    unknown; the marks of the judge; the control pieces.

    Args:
        encoder: The packed encoder.
        cutter: Cuts texts into its pieces.
        texts: Whatever our languages write.
    """
    kept = np.zeros(len(encoder.pieces), np.bool_)
    rest = iter(texts)
    while batch := list(islice(rest, _TEXTS)):
        for encoding in cutter.pieces(batch):
            kept[list(encoding.ids)] = True
    marks = {OPENED, CLOSED, HOLE}
    for index, piece in enumerate(encoder.pieces):
        alone = len(piece.removeprefix("▁")) < 2
        kept[index] |= index < _FIRST_PLAIN or alone or piece in marks
    return kept


def texts_of_data(data: Path, written: Path) -> Iterator[str]:
    """All texts of the data folder but the official inputs, and what was written for this project.

    Args:
        data: The data folder.
        written: ``recipes`` of the repository.
    """
    yield from (text for _, text in texts_by_language(data))
    for path in sorted(written.rglob("*.jsonl")):
        for row in read_utf8(path).rows:
            yield from (row[name] for name in _WRITTEN if isinstance(row.get(name), str))
