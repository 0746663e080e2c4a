"""Rewards that are what a metric or suite of `civilly.score` says: J, or one of its components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly import registry
from civilly.errors import CivillyError
from civilly.registry import Option
from civilly.score.joint import COMPONENTS, JOINT
from civilly.toolbox import Toolbox
from civilly.train.rewards import Reward
from civilly.types import Suite, Text

COMPONENT = Option("component", "What is rewarded.", (JOINT, *COMPONENTS), JOINT)


def suite_reward(name: str, options: Mapping[str, Any], engine: str | None = None) -> Reward:
    """What a suite of the room ``score`` says of outputs.

    Args:
        name: Of the suite.
        options: Of the suite, and ``component``: ``J``, ``STA``, ``SIM`` or ``FL``.
        engine: For a suite that asks a model (`civilly.engines.open_engine`).

    Raises:
        CivillyError: If an option is wrong, or there is no such component.
        MissingExtraError: If a package is missing.
    """
    given = {key: value for key, value in options.items() if key != COMPONENT.name}
    component = options.get(COMPONENT.name, JOINT)
    if component not in COMPONENT.values:
        raise CivillyError(
            f"The option component of the reward {name!r} is {component!r}.",
            allowed=", ".join(COMPONENT.values),
        )
    suite: Suite = registry.create("score", name, Toolbox(engine, given))
    if component == JOINT:
        return suite.score

    def reward(
        texts: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        return suite.components(texts, outputs, references)[component]

    return reward
