"""Kahneman-Tversky optimisation, KTO (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 8)."""

from __future__ import annotations

from typing import Any

from civilly.train.prefer.losses.dpo import reward

__all__ = ["divergence_of", "loss", "reward"]

NEEDS_REFERENCE = True
BETA, SFT, MARGIN = 0.1, 0.0, 0.0


def divergence_of(strangers: Any) -> Any:
    """Gives z = max(0, mean r(x, y')) of answers y' to other prompts: about KL(π‖π_ref).

    It carries no gradient.

    Args:
        strangers: Rewards of such answers, [answers].
    """
    return strangers.detach().mean().clamp(min=0)


def loss(rewards: Any, good: Any, divergence: Any, beta: float) -> Any:
    """1 − σ(β (r − z)) of good answers, 1 − σ(β (z − r)) of bad ones, [answers]."""
    sign = good.float() * 2 - 1
    return 1 - (beta * sign * (rewards - divergence)).sigmoid()
