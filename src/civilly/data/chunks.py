"""Long work in chunks: each a few seconds long, of texts of like length, the first ones soon."""

from __future__ import annotations

from collections.abc import Sequence

LEAST_LENGTH = 32
"""What a text counts at least, however short it is."""
IN_ORDER, AT_ONCE = 512, 4_096
"""Rows of a window whose results are wanted in order, and of one whose results come all at last."""


def chunks_of(lengths: Sequence[int], most: int, window: int = AT_ONCE) -> list[list[int]]:
    """Cuts rows into chunks of texts of like length.

    Rows are looked at in windows, sorted by length there and cut where a chunk is full. The first
    window fills one chunk, each further one is twice as large, up to ``window``: who waits for the
    first rows waits for one chunk, and later on there are enough rows to find some of like length.
    In a window, the chunk with the earliest row comes first.

    Args:
        lengths: How long each row's text is, in tokens or the like.
        most: The most length of one chunk, above 0; a longer text is a chunk of its own.
        window: The most rows of a window.

    Returns:
        Row numbers, ascending in each chunk, every row once. They depend on the arguments alone.
    """
    weights = [max(LEAST_LENGTH, length) for length in lengths]
    chunks: list[list[int]] = []
    start, size = 0, max(1, most // LEAST_LENGTH)
    while start < len(weights):
        rows = range(start, min(start + size, len(weights)))
        chunks += sorted(_cut(sorted(rows, key=lambda row: (-weights[row], row)), weights, most))
        start, size = rows.stop, min(2 * size, max(window, size))
    return chunks


def _cut(rows: Sequence[int], weights: Sequence[int], most: int) -> list[list[int]]:
    """Rows, one after the other, in chunks that are filled alike."""
    total = sum(weights[row] for row in rows)
    enough = total / -(-total // most)
    chunks: list[list[int]] = []
    filled = most
    for row in rows:
        if filled >= enough or filled + weights[row] > most:
            chunks.append([])
            filled = 0
        chunks[-1].append(row)
        filled += weights[row]
    return [sorted(chunk) for chunk in chunks]
