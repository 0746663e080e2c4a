"""Which prompts are decoded together, so that no answer depends on its neighbours.

CTranslate2 reads at once what all prompts of a batch have, and the rest token by token; and it can
read a common beginning apart. Each way rounds differently, so how a prompt is read is made a
function of that prompt alone: its declared head (`civilly.types.Prompt.head`) by itself, then a
number of tokens that depends on its length, then the rest one by one. Prompts that are read alike
go together; everything else that CTranslate2 computes, it computes row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

Kind = TypeVar("Kind", bound=Hashable)

BATCH_PROMPTS = 32
"""Prompts that a worker decodes together, so that memory stays bounded."""
BATCH_TOKENS = 2_304
"""The most prompt tokens in one batch: with its answer, a token keeps 37 kB of keys and values."""
MOST_KEPT = 4_096
"""The same for a batch that shares a head, of which every prompt keeps a copy: 150 MB."""
LEAST_SHARED = 32
"""A head of fewer tokens is not worth a reading of its own."""
LEAST_OWN = 2
"""CTranslate2 gives a prompt back with the answer where the shortest of a batch has one token."""
LEAST_STRIDE = 8
"""Prompts whose lengths have the same multiple of a stride below them are read alike: the wider it
is, the fuller are the batches, and the more is read token by token. See `stride`."""
LEAST_STEPS = 64
"""Limits of answers up to here, and then up to twice as much each time, count as one limit."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a prompt is read.

    Attributes:
        head: Leading tokens that are read by themselves, once for a batch; or none.
        at_once: Tokens after those that are read together; the others follow one by one.
        steps: The most tokens that may be generated.
    """

    head: tuple[int, ...]
    at_once: int
    steps: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that are decoded together.

    Attributes:
        positions: Their positions in the call, longest prompt first.
        reading: How each of them is read.
    """

    positions: list[int]
    reading: Reading


def reading_of(
    row: Sequence[int], head: Sequence[int], steps: int, longest: int, *, whole: bool
) -> Reading:
    """How one prompt is read, whatever its neighbours are.

    Args:
        row: Its tokens.
        head: Those of its head alone; the last of them may be another in the row.
        steps: The most tokens that may be generated.
        longest: Longer prompts have no head: past its sliding window the model would read a prompt
            in two parts unlike one read at once.
        whole: Whether all of it is read at once, rather than up to a multiple of its
            `stride`.
    """
    shared = _common(row[: len(row) - LEAST_OWN], head) if len(row) <= longest else 0
    shared = shared if shared >= LEAST_SHARED else 0
    own = len(row) - shared
    at_once = own if whole else max(min(own, LEAST_OWN), own - own % stride(own))
    return Reading(tuple(row[:shared]), at_once, steps)


def stride(length: int) -> int:
    """An eighth to a quarter of a length, a power of two; `LEAST_STRIDE` for short ones."""
    return max(LEAST_STRIDE, 1 << max(0, length.bit_length() - 3))


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many leading tokens two rows have in common."""
    most = min(len(left), len(right))
    return next((i for i in range(most) if left[i] != right[i]), most)


def step_class(limit: int) -> int:
    """The least of `LEAST_STEPS`, its double and so on that is at least ``limit``."""
    steps = LEAST_STEPS
    while steps < limit:
        steps *= 2
    return steps


def batches_of(rows: Sequence[Sequence[int]], readings: Sequence[Reading]) -> Iterator[Batch]:
    """Every position once, in batches of prompts that are read alike."""
    for reading, positions in _groups(readings, lambda reading: reading.at_once):
        positions.sort(key=lambda i: (-len(rows[i]), i))
        most = MOST_KEPT if reading.head else BATCH_TOKENS
        start = 0
        while start < len(positions):
            size = max(1, min(BATCH_PROMPTS, most // max(1, len(rows[positions[start]]))))
            yield Batch(positions[start : start + size], reading)
            start += size


def equal_lengths(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Positions in groups of one length, each of at most ``most_tokens`` (or one position).

    CTranslate2's forward pass mishandles padding of Gemma 3; equal lengths need none.
    """
    for length, positions in _groups(lengths, int):
        size = max(1, most_tokens // max(1, length))
        yield from (positions[i : i + size] for i in range(0, len(positions), size))


def _groups(kinds: Sequence[Kind], size: Callable[[Kind], int]) -> list[tuple[Kind, list[int]]]:
    """The positions of each kind; the greatest first, so that workers end together."""
    found: dict[Kind, list[int]] = {}
    for position, kind in enumerate(kinds):
        found.setdefault(kind, []).append(position)
    return sorted(found.items(), key=lambda item: -size(item[0]))
