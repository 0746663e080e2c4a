"""The suite `embedded`: what people of the shared task would judge, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civilly.score import embedded as suite
from civilly.train.rewards import Reward
from civilly.train.rewards.suites import COMPONENT, suite_reward

OPTIONS = (COMPONENT, *suite.OPTIONS)


def create(options: Mapping[str, Any]) -> Reward:
    """J of the suite, or a component of it; options as there, and ``component``."""
    return suite_reward("embedded", options)
