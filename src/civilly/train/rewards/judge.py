"""A language model as judge, on any engine, asked in both orders; disagreement is worth half."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civilly.errors import CivillyError
from civilly.registry import Option
from civilly.score import judge as suite
from civilly.train.rewards import Reward
from civilly.train.rewards.suites import COMPONENT, suite_reward

OPTIONS = (Option("engine", "Which model judges, such as hf:FOLDER."), COMPONENT, *suite.OPTIONS)


def create(options: Mapping[str, Any]) -> Reward:
    """J of `civilly.score.judge`, or a component of it; options as there, and ``engine``.

    Raises:
        CivillyError: If no engine is named, or another option is wrong.
    """
    given = dict(options)
    engine = given.pop("engine", None)
    if not isinstance(engine, str):
        raise CivillyError(
            "The reward 'judge' does not say which model judges.",
            mend='options = {engine = "openai:http://localhost:8080/v1#MODEL"}',
        )
    return suite_reward("judge", given, engine)
