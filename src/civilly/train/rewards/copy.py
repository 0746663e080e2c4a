"""0 for the text itself, returned as it is but for case, punctuation and links; else 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.data.leaks import normalise
from civilly.train.rewards import Reward
from civilly.types import Text

OPTIONS = ()


def create(options: Mapping[str, Any]) -> Reward:
    """Whether each output is more than a copy: a factor, or an explicit price of copying."""
    return reward


def reward(
    texts: Sequence[Text],
    outputs: Sequence[str],
    references: Sequence[Sequence[str]] | None = None,
) -> list[float]:
    """See `civilly.train.rewards.Reward`."""
    return [
        float(normalise(text.text) != normalise(output))
        for text, output in zip(texts, outputs, strict=True)
    ]
