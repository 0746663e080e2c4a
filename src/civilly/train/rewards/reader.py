"""The judge of rewrites: how usable a careful reader would find an output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.errors import CivillyError
from civilly.languages import says_something
from civilly.registry import Option
from civilly.score.reader import Opinion, RewriteJudge, load
from civilly.train.rewards import Reward
from civilly.types import Text

OPINIONS: Mapping[str, Callable[[Opinion], float]] = {
    "value": lambda opinion: opinion.value,
    "good": lambda opinion: opinion.good,
    "use": lambda opinion: opinion.use,
}
OPTIONS = (
    Option(
        "opinion",
        "good: the probability of no fault; use: half the expected use; value: their mean.",
        tuple(OPINIONS),
        "value",
    ),
    Option("weights", "Another judge's file, of civilly train reader; default: the shipped one."),
)


def create(options: Mapping[str, Any]) -> Reward:
    """An opinion of the judge (`civilly.score.reader`), in [0, 1]; of nothing said it is 0.

    Raises:
        CivillyError: If there is no such opinion.
        ModelError: If there are no such weights.
    """
    name = options.get("opinion", "value")
    if name not in OPINIONS:
        raise CivillyError(
            f"The option opinion of the reward 'reader' is {name!r}.", allowed=", ".join(OPINIONS)
        )
    weights = options.get("weights")
    return ReaderReward(load(Path(weights) if weights else None), OPINIONS[name])


class ReaderReward:
    """See `create`.

    Args:
        judge: Reads the outputs beside their texts.
        worth: Of an opinion.
    """

    def __init__(self, judge: RewriteJudge, worth: Callable[[Opinion], float]) -> None:
        self._judge = judge
        self._worth = worth

    def __call__(
        self,
        texts: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """See `civilly.train.rewards.Reward`; a pair that comes twice is read once."""
        pairs = [(text.text, output) for text, output in zip(texts, outputs, strict=True)]
        read = [pair for pair in dict.fromkeys(pairs) if says_something(pair[1])]
        opinions = self._judge.opinions([text for text, _ in read], [out for _, out in read])
        worth = dict(zip(read, map(self._worth, opinions), strict=True))
        return [worth.get(pair, 0.0) for pair in pairs]
