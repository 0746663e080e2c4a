"""Writes a trained reader into the file that the runtime reads (`civilly.model.reader_weights`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.data.files import write_bytes
from civilly.model.reader_weights import PIECES

MATRICES = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "intermediate.dense": "fi",
    "output.dense": "fo",
}
"""What the packed encoder calls the matrices of a layer, by their names in transformers."""
_FACTOR = re.compile(r"layer\.(\d+)\.(.+)\.lora_([AB])\.")
_EXACT = ("lang", "calibration")
"""Small tensors that stay in float32."""

Tensors = dict[str, NDArray[Any]]


def factor_name(parameter: str) -> str:
    """The name in the file of a factor that peft calls so: ``encoder.l0.q.down``.

    Raises:
        KeyError: If it is no factor of one of `MATRICES`.
    """
    found = _FACTOR.search(parameter)
    if found is None:
        raise KeyError(parameter)
    layer, matrix, side = found.groups()
    return f"encoder.l{layer}.{MATRICES[matrix]}." + ("down" if side == "A" else "up")


def packed_tensors(
    factors: Mapping[str, NDArray[Any]],
    heads: Mapping[str, NDArray[Any]],
    scale: float,
    pieces: NDArray[np.bool_],
) -> Tensors:
    """The tensors of a reader's file.

    Args:
        factors: Of the LoRA, under the file's names (`factor_name`): down [r, in] and up [out, r].
        heads: Of the heads, by their names in torch; a detector's with ``calibration``.
        scale: alpha / r; it goes into ``up``.
        pieces: Which pieces of the encoder are kept (`civilly.train.reader.pieces`).
    """
    tensors: Tensors = {}
    for name, factor in factors.items():
        scaled = factor.astype(np.float32) * (scale if name.endswith("up") else 1.0)
        tensors[name] = scaled.astype(np.float16)
    for name, head in heads.items():
        tensors[name] = head.astype(np.float32 if name in _EXACT else np.float16)
    tensors[PIECES] = np.packbits(pieces)
    return tensors


def write_reader(path: Path, tensors: Tensors) -> None:
    """Writes a reader's file whole or not at all; equal tensors give equal bytes.

    Raises:
        DataError: If it cannot be written.
    """
    from safetensors.numpy import save

    write_bytes(path, save({name: np.ascontiguousarray(t) for name, t in tensors.items()}))
