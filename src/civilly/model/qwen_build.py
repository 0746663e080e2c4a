"""Writes a Qwen2 model in the form that is run: eight bits, an adapter merged, its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

from civilly.errors import ModelError
from civilly.model.adapter import Change, load_change
from civilly.model.qwen_format import write_qwen
from civilly.model.qwen_source import QwenSource
from civilly.model.qwen_tokenizer import write_for_use
from civilly.model.source import FloatArray

_PIECE_BYTES = 128
"""What an id of the vocabulary takes at most in the two files that spell it, merges included."""
_OTHER_BYTES = 1 << 20
"""What all the rest takes: names, configuration."""


def needed_bytes(source: QwenSource) -> int:
    """Disk space that `write_in_eight_bits` needs at most, by the sizes of the tensors.

    A matrix takes a byte per element and four per row for its scale, all else four per element. An
    input matrix that is the output matrix, too, is written once.
    """
    weights = sum(
        prod(shape) + 4 * shape[0] if len(shape) > 1 else 4 * prod(shape)
        for shape in source.shapes().values()
    )
    return weights + _PIECE_BYTES * len(source.pieces) + _OTHER_BYTES


def write_in_eight_bits(
    source: QwenSource, adapter: Path | None, folder: Path, progress: Callable[[float], None]
) -> None:
    """Writes what CTranslate2 runs, weight by weight: never is all of the model there in full.

    Args:
        source: The model.
        adapter: Folder of what a training changed (`civilly.model.adapter.load_change`), or None.
        folder: Where to write.
        progress: Called with the share done, in [0, 1].

    Raises:
        ModelError: If the model or the adapter is damaged, or the adapter does not fit.
    """
    change = _fitting_change(source, adapter) if adapter else None
    write_for_use(source, folder)
    write_qwen(_merged(source, change, progress), source, folder)


def _fitting_change(source: QwenSource, adapter: Path) -> Change:
    """What a training changed.

    Raises:
        ModelError: If it changes weights that the model does not have.
    """
    change = load_change(adapter)
    unknown = change.targets() - source.shapes().keys()
    if unknown:
        raise ModelError(
            f"The adapter changes unknown weights: {sorted(unknown)[:3]}.",
            mend="name an adapter that was trained on this model",
        )
    return change


def _merged(
    source: QwenSource, change: Change | None, progress: Callable[[float], None]
) -> Iterator[tuple[str, FloatArray]]:
    """The weights, one by one, with what a training changed."""
    count = len(source.shapes())
    for number, (name, weight) in enumerate(source.weights()):
        yield name, change.merged(name, weight) if change else weight
        progress((number + 1) / count)
