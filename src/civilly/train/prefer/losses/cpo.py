"""Contrastive preference optimisation, CPO (Xu et al. 2024, arXiv 2401.08417, eq. 5)."""

from __future__ import annotations

from typing import Any

from civilly.train.prefer.losses import Likelihood
from civilly.train.prefer.losses.dpo import loss

__all__ = ["loss", "reward"]

NEEDS_REFERENCE = False
BETA, SFT, MARGIN = 0.1, 1.0, 0.0


def reward(answers: Likelihood) -> Any:
    """Gives r = log π(y|x): DPO against a reference that likes every answer alike, [answers]."""
    return answers.logps
