"""Odds ratio preference optimisation, ORPO (Hong et al. 2024, arXiv 2403.07691, eq. 6 and 7)."""

from __future__ import annotations

from typing import Any

from civilly.train.prefer.losses import Likelihood

NEEDS_REFERENCE = False
BETA, SFT, MARGIN = 0.1, 1.0, 0.0


def reward(answers: Likelihood) -> Any:
    """Gives r = log (p / (1 − p)), the odds of p = exp(log π(y|x) / |y|), [answers]."""
    import torch

    mean = (answers.logps / answers.tokens).clamp(max=-1e-6)  # certainty has no odds
    return mean - torch.log(-torch.expm1(mean))


def loss(chosen: Any, rejected: Any, beta: float, margin: float) -> Any:
    """−β log σ(r_chosen − r_rejected − margin), [pairs]; β is the paper's λ."""
    from torch.nn.functional import logsigmoid

    return -beta * logsigmoid(chosen - rejected - margin)
