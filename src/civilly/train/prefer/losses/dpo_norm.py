"""Length-normalised DPO (Tülu 3, Lambert et al. 2024, arXiv 2411.15124, eq. 6)."""

from __future__ import annotations

from typing import Any

from civilly.train.prefer.losses import Likelihood
from civilly.train.prefer.losses.dpo import loss

__all__ = ["loss", "reward"]

NEEDS_REFERENCE = True
BETA, SFT, MARGIN = 5.0, 0.0, 0.0


def reward(answers: Likelihood) -> Any:
    """Gives r = (log π(y|x) − log π_ref(y|x)) / |y|, [answers]."""
    return (answers.logps - answers.reference) / answers.tokens
