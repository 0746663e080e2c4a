"""The official suite of TextDetox 2025; needs its models, and references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civilly.score import textdetox2025 as suite
from civilly.train.rewards import Reward
from civilly.train.rewards.suites import COMPONENT, suite_reward

OPTIONS = (COMPONENT, *suite.OPTIONS)


def create(options: Mapping[str, Any]) -> Reward:
    """J of the suite, or a component of it; options as there, and ``component``."""
    return suite_reward("textdetox2025", options)
