"""Streams of a model on disk: written once in shards, read in shuffled batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from civilly.data.files import write_bytes
from civilly.engines.residual import Subject

POSITIONS = 1 << 16
"""Of a shard, at least; but for the last."""
_TOKENS_AT_ONCE = 512
"""Few enough that a layer's work stays in the processor's cache: 1.3 times as fast as 2,048."""
_OUTLIER = 10.0
"""A vector so many times as long as the median one is left out: attention sinks."""


def write_shards(
    subject: Subject,
    rows: Sequence[Sequence[int]],
    layers: Sequence[int],
    folder: Path,
    progress: Callable[[str], None],
) -> None:
    """Writes the streams after some layers; shards that are there already stay.

    A shard ``00003.safetensors`` holds a bfloat16 tensor [positions, width] for each layer. What
    stands before every text is not in it.

    Args:
        subject: The model.
        rows: Ids of the texts, in the order of the shards.
        layers: From 0.
        folder: Is made.
        progress: Is told how it goes.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    parts = cut(rows)
    for number, part in enumerate(parts):
        path = shard(folder, number)
        if path.exists():
            continue
        found: dict[int, list[Any]] = {layer: [] for layer in layers}
        for batch in _batches(part):
            _add(subject, batch, layers, found)
        tensors = {str(layer): _without_outliers(vectors) for layer, vectors in found.items()}
        write_bytes(path, save(tensors))
        progress(f"streams: shard {number + 1} of {len(parts)}")


def shard(folder: Path, number: int) -> Path:
    """The file of a shard."""
    return folder / f"{number:05d}.safetensors"


def cut(rows: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
    """Rows by the shard that they go into."""
    parts: list[list[Sequence[int]]] = []
    room = 0
    for row in rows:
        if room <= 0:
            parts.append([])
            room = POSITIONS
        parts[-1].append(row)
        room -= len(row)
    return parts


def _batches(rows: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    batch: list[Sequence[int]] = []
    for row in sorted(rows, key=len):
        if batch and (len(batch) + 1) * len(row) > _TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _add(
    subject: Subject,
    batch: Sequence[Sequence[int]],
    layers: Sequence[int],
    found: dict[int, list[Any]],
) -> None:
    """Adds the vectors of a batch's tokens, without what stands before them or fills them up."""
    import torch

    before = len(subject.opening)
    streams = subject.forward([[*subject.opening, *row] for row in batch], layers)
    for layer in layers:
        stream = streams[layer].to("cpu", torch.bfloat16)
        for row, vectors in zip(batch, stream, strict=True):
            found[layer].append(vectors[before : before + len(row)].clone())


def _without_outliers(vectors: Sequence[Any]) -> Any:
    import torch

    stacked = torch.cat(list(vectors))
    lengths = stacked.float().norm(dim=-1)
    return stacked[lengths <= _OUTLIER * lengths.median()].contiguous()


def read_shard(folder: Path, number: int, layer: int) -> Any:
    """The vectors of a layer in a shard, bfloat16 [positions, width]."""
    from safetensors import safe_open

    with safe_open(shard(folder, number), framework="pt") as file:
        return file.get_tensor(str(layer))


def shard_count(folder: Path) -> int:
    """How many shards there are."""
    return len(list(folder.glob("*.safetensors")))


class Batches:
    """Shuffled batches of a layer's vectors, the same ones from any step on.

    The shards of a pass come in random order, four at a time, and their vectors are shuffled
    together.

    Args:
        folder: Of `write_shards`.
        layer: Which layer.
        size: Vectors of a batch.
        passes: Times that all are read.
        seed: Of the order.
    """

    TOGETHER = 4

    def __init__(self, folder: Path, layer: int, size: int, passes: int, seed: int) -> None:
        self._folder, self._layer, self._size = folder, layer, size
        self._groups: list[tuple[int, list[int]]] = []
        for number in range(passes):
            order = list(range(shard_count(folder)))
            random.Random(f"{seed}-{layer}-{number}").shuffle(order)
            for start in range(0, len(order), self.TOGETHER):
                self._groups.append((number, order[start : start + self.TOGETHER]))
        self._seed = seed
        lengths = [_positions(folder, number, layer) for number in range(shard_count(folder))]
        self._steps = [sum(lengths[i] for i in group) // size for _, group in self._groups]

    def __len__(self) -> int:
        return sum(self._steps)

    def since(self, step: int) -> Iterator[Any]:
        """The batches from a step on, bfloat16 [size, width] each."""
        import torch

        first = 0
        for place, ((_, group), steps) in enumerate(zip(self._groups, self._steps, strict=True)):
            if first + steps > step:
                vectors = torch.cat([read_shard(self._folder, i, self._layer) for i in group])
                generator = torch.Generator().manual_seed(self._seed * 1_000 + place)
                order = torch.randperm(len(vectors), generator=generator)
                for number in range(max(0, step - first), steps):
                    chosen = order[number * self._size : (number + 1) * self._size]
                    yield vectors[chosen]
            first += steps


def _positions(folder: Path, number: int, layer: int) -> int:
    from safetensors import safe_open

    with safe_open(shard(folder, number), framework="pt") as file:
        return int(file.get_slice(str(layer)).get_shape()[0])
