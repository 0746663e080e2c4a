"""Which prompts are decoded together, and how much of them is read only once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

LEAST_SHARED = 32
"""Prompts that begin with so many equal tokens are put together, and their beginning read once."""

MOST_KEPT = 4_096
"""The most tokens in a batch that shares some, whose keys and values every prompt keeps a copy of:
at 37 kB each, 150 MB."""
LEAST_OWN = 2
"""CTranslate2 gives a prompt back with the answer where the shortest of a batch has one token."""

Grouping = Callable[[Sequence[int]], Iterable[list[int]]]
"""From lengths in tokens to positions in batches."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that are decoded together.

    Attributes:
        positions: Their positions in the call.
        shared: Leading tokens that all of them have and that are read once; 0 for none. Each has
            at least `LEAST_OWN` more.
    """

    positions: list[int]
    shared: int = 0


def shared_batches(rows: Sequence[list[int]], grouping: Grouping, longest: int) -> Iterator[Batch]:
    """Every position once, in batches of prompts that begin alike, then of all the others.

    Few-shot prompts of one language begin with the same instruction and examples, most of what
    there is to read; user texts that begin alike are welcome, too.

    Args:
        rows: Token ids of each prompt.
        grouping: Cuts prompts into batches by the number of tokens that are their own.
        longest: Prompts of more tokens share nothing: past its sliding window the model would
            read a prompt in two parts unlike one read at once.
    """
    alike: dict[tuple[int, ...], list[int]] = {}
    alone = []
    for position, row in enumerate(rows):
        if LEAST_SHARED + LEAST_OWN <= len(row) <= longest:
            alike.setdefault(tuple(row[:LEAST_SHARED]), []).append(position)
        else:
            alone.append(position)
    for positions in alike.values():
        if len(positions) == 1:
            alone += positions
            continue
        shared = common_beginning([rows[i] for i in positions])
        for batch in grouping([len(rows[i]) - shared for i in positions]):
            chosen = [positions[i] for i in batch]
            most = max(1, MOST_KEPT // max(len(rows[i]) for i in chosen))
            for start in range(0, len(chosen), most):
                yield Batch(chosen[start : start + most], shared)
    alone.sort()
    for chosen in (
        [i for i in alone if len(rows[i]) >= LEAST_OWN],
        [i for i in alone if len(rows[i]) < LEAST_OWN],
    ):
        for batch in grouping([len(rows[i]) for i in chosen]):
            yield Batch([chosen[i] for i in batch])


def common_beginning(rows: Sequence[list[int]]) -> int:
    """How many leading tokens all rows have in common, leaving each `LEAST_OWN` of its own."""
    # Whatever lies between two sequences in dictionary order begins as both of them begin.
    first, last = min(rows), max(rows)
    most = min(len(row) for row in rows) - LEAST_OWN
    return next((i for i in range(most) if first[i] != last[i]), max(most, 0))
