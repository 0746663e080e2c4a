"""Several rewards as one: a product, a sum, or the worst of them, with weights and caps.

A recipe lists them; one that is itself made of several has ``combine`` and ``rewards`` in place of
a name::

    combine = "product"
    rewards = [
      {combine = "worst", rewards = [{name = "reader"}, {name = "embedded"}], cap = 0.9},
      {name = "copy"},
      {name = "length", options = {longest = 1.2}},
    ]

The worst of an ensemble is hard to please by what only one of its members overlooks (Coste et al.
2024, "Reward Model Ensembles Help Mitigate Overoptimization"). A cap says from where on more of a
reward is worth nothing: there optimising goes for what the score overlooks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from civilly import registry
from civilly.data.recipe_table import RecipeTable
from civilly.errors import CivillyError, DataError
from civilly.train.rewards import Reward
from civilly.types import Text

ROOM = "train.rewards"
Combination = Literal["product", "sum", "worst"]


class RewardSettings(RecipeTable):
    """One reward of a recipe.

    Attributes:
        name: A file of `civilly.train.rewards`; or none, where it is made of others.
        weight: Its exponent in a product, its factor in a sum; the worst knows none.
        cap: What is above counts as this.
        options: Of the reward.
        combine: Where it is made of others: how.
        rewards: Where it is made of others: of which.
    """

    name: str | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    cap: float | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    combine: Combination = "product"
    rewards: list[RewardSettings] = Field(default_factory=list)


class Rewards:
    """Rewards that are put together; itself a `civilly.train.rewards.Reward`.

    Args:
        settings: What the recipe says of each.
        combine: ``product``: Π rᵂ; ``sum``: Σ w·r; ``worst``: the least r.

    Attributes:
        names: Of the rewards, in order; of two with one name the second is ``name 2``.
        weights: Of the rewards, in order.

    Raises:
        UnknownNameError: If there is no such reward, or it has no such option.
        DataError: If there is none at all, or one has both a name and parts, or neither; or the
            worst of rewards is to be weighted.
    """

    def __init__(
        self, settings: Sequence[RewardSettings], combine: Combination = "product"
    ) -> None:
        if not settings:
            raise DataError("There are no rewards.", mend='rewards = [{name = "reader"}]')
        if combine == "worst" and any(each.weight != 1 for each in settings):
            raise DataError(
                "The worst of several rewards knows no weights.",
                mend='leave weight out, or combine = "sum" or "product"',
            )
        self._settings, self._combine = tuple(settings), combine
        self._rewards = [_opened(each) for each in settings]
        self.names = _different([each.name or each.combine for each in settings])
        self.weights = [each.weight for each in settings]

    def each(
        self,
        texts: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """Every reward by itself, capped, not weighted; by name, a number per output.

        Raises:
            CivillyError: If one gives another number of values than there are outputs, or no
                finite ones.
        """
        found = {}
        for name, reward, settings in zip(self.names, self._rewards, self._settings, strict=True):
            values = list(map(float, reward(texts, outputs, references)))
            if len(values) != len(outputs) or not all(map(math.isfinite, values)):
                raise CivillyError(
                    f"The reward {name!r} gave {len(values)} values for {len(outputs)} outputs"
                    f"{'' if len(values) != len(outputs) else ', not all of them finite'}.",
                    mend="report it to whoever wrote the reward: a finite number for each output",
                )
            cap = math.inf if settings.cap is None else settings.cap
            found[name] = [min(value, cap) for value in values]
        return found

    def combined(self, each: Mapping[str, Sequence[float]]) -> list[float]:
        """What the rewards of `each` come to, per output.

        Raises:
            CivillyError: If one of a product is negative.
        """
        return [self._one(row) for row in zip(*(each[name] for name in self.names), strict=True)]

    def __call__(
        self,
        texts: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """See `civilly.train.rewards.Reward`."""
        return self.combined(self.each(texts, outputs, references))

    def _one(self, row: Sequence[float]) -> float:
        if self._combine == "worst":
            return min(row)
        if self._combine == "sum":
            return math.fsum(w * r for w, r in zip(self.weights, row, strict=True))
        if min(row) < 0:
            name = self.names[row.index(min(row))]
            raise CivillyError(
                f"The reward {name!r} of a product is {min(row)}.", mend='combine = "sum"'
            )
        return math.prod(math.pow(r, w) for w, r in zip(self.weights, row, strict=True))


def _opened(settings: RewardSettings) -> Reward:
    if bool(settings.name) == bool(settings.rewards):
        raise DataError(
            f"A reward has {'a name and parts' if settings.name else 'neither name nor parts'}.",
            mend='{name = "reader"}, or {combine = "worst", rewards = [{name = "reader"}, …]}',
        )
    if settings.name is None:
        return Rewards(settings.rewards, settings.combine)
    registry.check_options(ROOM, settings.name, settings.options)
    reward: Reward = registry.create(ROOM, settings.name, settings.options)
    return reward


def _different(names: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    made = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        made.append(name if counts[name] == 1 else f"{name} {counts[name]}")
    return made
