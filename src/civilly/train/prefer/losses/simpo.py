"""Simple preference optimisation, SimPO (Meng et al. 2024, arXiv 2405.14734, eq. 6)."""

from __future__ import annotations

from typing import Any

from civilly.train.prefer.losses import Likelihood
from civilly.train.prefer.losses.dpo import loss

__all__ = ["loss", "reward"]

NEEDS_REFERENCE = False
BETA, SFT, MARGIN = 2.5, 0.0, 1.375


def reward(answers: Likelihood) -> Any:
    """Gives r = log π(y|x) / |y|, [answers]; the margin is the paper's γ."""
    return answers.logps / answers.tokens
