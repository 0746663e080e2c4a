"""1 while an output is about as long as its text, less the further it is from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.errors import CivillyError
from civilly.registry import Option
from civilly.train.rewards import Reward
from civilly.types import Text

OPTIONS = (
    Option(
        "shortest", "Characters per character of the text, below which it is too short.", (), "0.5"
    ),
    Option(
        "longest", "Characters per character of the text, above which it is too long.", (), "1.3"
    ),
)


def create(options: Mapping[str, Any]) -> Reward:
    """A factor in [0, 1]; multiplied with others it cannot be bought by what they give.

    Raises:
        CivillyError: If the limits are no numbers with ``0 < shortest <= 1 <= longest``.
    """
    limits = [options.get(option.name, float(option.default)) for option in OPTIONS]
    shortest, longest = limits
    numbers = all(isinstance(each, (int, float)) for each in limits)
    if not numbers or not 0 < shortest <= 1 <= longest:
        raise CivillyError(
            f"The reward 'length' has shortest = {shortest!r} and longest = {longest!r}.",
            allowed="numbers with 0 < shortest <= 1 <= longest",
        )

    def reward(
        texts: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        return [
            factor(text.text, output, shortest, longest)
            for text, output in zip(texts, outputs, strict=True)
        ]

    return reward


def factor(text: str, output: str, shortest: float, longest: float) -> float:
    """In [0, 1]: 1 between the limits; outside, how near the closer one the output comes."""
    ratio = len(output.strip()) / max(1, len(text.strip()))
    if ratio < shortest:
        return ratio / shortest
    return 1.0 if ratio <= longest else longest / ratio
