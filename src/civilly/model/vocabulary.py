"""Which tokens the trimmed model keeps: the shipped list, and how such a list is closed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from civilly.model.source import BYTE, CONTROL, Vocabulary
from civilly.model.tokenizer import SPACE, is_blank_run

KEPT_FILE = "weights/vocabulary/kept_tokens.safetensors"
"""Kept ids of the packaged vocabulary, as differences; made by `civilly.train.vocabulary`."""

KEPT_CONTROL = (
    *("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
    *(f"<unused{number}>" for number in range(8)),
)
"""Control pieces that stay: the frame, and spare ones for later training."""


def pack(kept: Iterable[int]) -> NDArray[np.uint16]:
    """Sorted ids as differences, small enough for 16 bits.

    Raises:
        OverflowError: If two neighbours lie 65,536 or more apart.
    """
    differences = np.diff(np.asarray(sorted(kept), dtype=np.int64), prepend=0)
    if differences.max(initial=0) > np.iinfo(np.uint16).max:
        raise OverflowError("Two kept ids lie too far apart for 16 bits.")
    return differences.astype(np.uint16)


def unpack(differences: NDArray[np.uint16]) -> list[int]:
    """The ids that `pack` was given."""
    ids: list[int] = np.cumsum(differences.astype(np.int64)).tolist()
    return ids


def shipped_bytes() -> bytes:
    """The shipped list as it lies on disk (its hash is part of the cache's fingerprint)."""
    return files("civilly").joinpath(KEPT_FILE).read_bytes()


def shipped_kept_ids() -> list[int]:
    """Ids of the packaged vocabulary that the shipped list keeps, ascending."""
    from safetensors.numpy import load

    return unpack(load(shipped_bytes())["differences"])


def close_over_merges(kept: Iterable[int], vocabulary: Vocabulary) -> list[int]:
    """Adds what byte-pair encoding needs to reach the kept pieces.

    A piece is only ever produced by merging smaller ones, so every piece on its merge path has to
    stay, down to single characters; so do the space, all byte pieces (no text may be
    lost) and the control pieces of `KEPT_CONTROL`.

    Args:
        kept: Ids that texts use.
        vocabulary: The whole vocabulary.

    Returns:
        Ascending ids.
    """
    atomic = vocabulary.atomic
    ids = {p: i for i, p in enumerate(vocabulary.pieces) if i not in atomic}
    closed = (set(kept) | {ids[SPACE]}) - atomic
    for index in list(closed):
        closed |= _merge_path(vocabulary.pieces[index], ids, vocabulary.scores)
    closed |= {i for i, kind in enumerate(vocabulary.kinds) if kind == BYTE}
    closed |= {
        i
        for i, (piece, kind) in enumerate(zip(vocabulary.pieces, vocabulary.kinds, strict=True))
        if kind == CONTROL and piece in KEPT_CONTROL
    }
    return sorted(closed)


def _merge_path(piece: str, ids: dict[str, int], scores: tuple[float, ...]) -> set[int]:
    """Ids that appear while a piece is merged from its characters, best merge first."""
    if is_blank_run(piece):
        return {ids[piece[:end]] for end in range(1, len(piece) + 1)}
    symbols = list(piece)
    path = {ids[symbol] for symbol in symbols if symbol in ids}
    while len(symbols) > 1:
        best: tuple[float, int, int] | None = None
        for position in range(len(symbols) - 1):
            merged = ids.get(symbols[position] + symbols[position + 1])
            if merged is not None and (best is None or scores[merged] > best[0]):
                best = (scores[merged], position, merged)
        if best is None:
            break
        _, position, merged = best
        symbols[position : position + 2] = [symbols[position] + symbols[position + 1]]
        path.add(merged)
    return path
