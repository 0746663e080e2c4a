"""1 - p(toxic) by the n-gram model alone: easily pleased, to show what that comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.detect.toxicity import shipped
from civilly.train.rewards import Reward
from civilly.types import Text

OPTIONS = ()


def create(options: Mapping[str, Any]) -> Reward:
    """The n-gram score of each output, in [0, 1]; nothing else is looked at."""
    return reward


def reward(
    texts: Sequence[Text],
    outputs: Sequence[str],
    references: Sequence[Sequence[str]] | None = None,
) -> list[float]:
    """See `civilly.train.rewards.Reward`."""
    written = [Text(output, text.lang) for text, output in zip(texts, outputs, strict=True)]
    return [1.0 - p for p in shipped().p_toxic(written)]
