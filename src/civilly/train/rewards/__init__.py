"""Rewards: plain functions that say what outputs are worth; a file's name is the reward's name.

A module has ``create(options) -> Reward`` and lists its options as ``OPTIONS``. Other packages add
theirs by entry points in the group ``civilly.train.rewards``. Recipes put several together:
`civilly.train.rewards.mixture`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from civilly.types import Text


class Reward(Protocol):
    """What outputs are worth."""

    def __call__(
        self,
        texts: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
        /,
    ) -> list[float]:
        """One number per output, in order; the higher, the better.

        Args:
            texts: The inputs.
            outputs: An output of each; any string, also an empty one.
            references: What people wrote for each, where that is known.
        """
