"""ChrF of the output against the references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civilly.score.chrf import Chrf
from civilly.train.rewards import Reward

OPTIONS = ()


def create(options: Mapping[str, Any]) -> Reward:
    """ChrF / 100, in [0, 1]; it refuses texts without references.

    Raises:
        MissingExtraError: If sacrebleu is not installed.
    """
    return Chrf().score
