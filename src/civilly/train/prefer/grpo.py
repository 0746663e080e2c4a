r"""The loss of GRPO: samples of one prompt, weighed by how far each is above their mean.

Group relative policy optimisation (Shao et al. 2024, arXiv:2402.03300). Of each prompt G answers
are sampled; with rewards r_1 … r_G the advantage of answer i is

    A_i = (r_i − mean(r)) / (std(r) + ε)

and the loss per token, with the ratio ρ = π(token) / π_old(token) of the model as it is to the
model that sampled, is

    −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A) + β · k3,   k3 = π_ref/π − log(π_ref/π) − 1,

k3 being Schulman's estimator of KL(π ‖ π_ref): never negative, unbiased where answers come from π.

Variants: Dr. GRPO (Liu et al. 2025, arXiv:2503.20783) does not divide by the standard deviation,
but by a constant length; DAPO (Yu et al. 2025, arXiv:2503.14476) weighs all tokens alike and clips
higher above than below; GSPO (Zheng et al. 2025, arXiv:2507.18071) takes one ratio per answer, the
geometric mean of its tokens'; GDPO (Liu et al. 2026) scales each of several rewards before they are
summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from civilly.train.prefer.grpo_recipe import GrpoSettings

if TYPE_CHECKING:
    import torch

SMALLEST_STD = 1e-4
"""Added to a standard deviation before anything is divided by it (as TRL does)."""


def advantages(
    rewards: torch.Tensor, weights: torch.Tensor, samples: int, settings: GrpoSettings
) -> torch.Tensor:
    """How far each answer is above the others of its prompt, [rows].

    Args:
        rewards: What each answer is worth, [rows, rewards]: several by themselves where each is
            scaled, else one. The answers of a prompt stand one after the other.
        weights: Of the rewards, [rewards].
        samples: Answers per prompt; rows is a multiple of it.
        settings: ``scale`` and ``several``.
    """
    if settings.several == "scale_each":
        grouped = rewards.view(-1, samples, rewards.shape[1])
        mean, std = grouped.mean(1, keepdim=True), _std(grouped, 1, keepdim=True)
        summed = (((grouped - mean) / (std + SMALLEST_STD)).flatten(0, 1) * weights).sum(1)
        return (summed - summed.mean()) / (_std(summed, 0) + SMALLEST_STD)
    summed = (rewards * weights).sum(1)
    grouped = summed.view(-1, samples)
    centred = grouped - grouped.mean(1, keepdim=True)
    if settings.scale == "group":
        centred = centred / (_std(grouped, 1, keepdim=True) + SMALLEST_STD)
    elif settings.scale == "batch":
        centred = centred / (_std(summed, 0) + SMALLEST_STD)
    return centred.flatten()


def _std(values: torch.Tensor, dim: int, *, keepdim: bool = False) -> torch.Tensor:
    """The sample standard deviation; 0 of a single value."""
    if values.shape[dim] < 2:
        return values.sum(dim, keepdim=keepdim) * 0
    return values.std(dim, keepdim=keepdim)


@dataclass(frozen=True, slots=True)
class Whole:
    """The size of all that one step of the optimiser learns from.

    Attributes:
        rows: Answers.
        tokens: Their tokens.
        longest: The most tokens of an answer: the constant length of Dr. GRPO.
    """

    rows: int
    tokens: int
    longest: int


@dataclass(frozen=True, slots=True)
class GrpoLoss:
    """The loss of a batch, and what of it people want to see.

    Attributes:
        loss: A number to be lowered.
        kl: Sum of k3 over the batch's tokens, in nats; 0 where there is no reference.
        clipped: Tokens whose ratio was clipped.
    """

    loss: torch.Tensor
    kl: float
    clipped: float


def grpo_loss(
    now: torch.Tensor,
    old: torch.Tensor,
    reference: torch.Tensor | None,
    mask: torch.Tensor,
    advantage: torch.Tensor,
    settings: GrpoSettings,
    whole: Whole,
) -> GrpoLoss:
    """The loss of the module's docstring over a batch of answers, or its part of a larger one.

    Args:
        now: Log-probabilities of the answers' tokens under the model, [rows, tokens], in nats.
        old: The same under the model that sampled them; no gradient.
        reference: The same under the model that training began with, or None.
        mask: 1 where there is a token, [rows, tokens].
        advantage: Of each answer, [rows].
        settings: β, the clips, which ratio, what the loss is averaged over.
        whole: The size of the whole batch.
    """
    import torch

    log_ratio = (now - old) * mask
    if settings.ratio == "sequence":
        log_ratio = (log_ratio.sum(1) / mask.sum(1).clamp(min=1)).unsqueeze(1)
    ratio = log_ratio.exp()
    near = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    gain = advantage.unsqueeze(1)
    loss = -torch.min(ratio * gain, near * gain)
    clipped = ((near * gain < ratio * gain) * mask).sum()
    kl = torch.zeros_like(now)
    if reference is not None:
        kl = k3(now, reference) * mask
        loss = loss + settings.kl * kl
    return GrpoLoss(
        _averaged(loss * mask, mask, settings, whole),
        float(kl.detach().sum()),
        float(clipped.detach()),
    )


def k3(now: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Schulman's estimator of KL(now ‖ reference) per token, in nats, never negative."""
    further = reference - now
    return further.exp() - further - 1


def _averaged(loss: Any, mask: Any, settings: GrpoSettings, whole: Whole) -> Any:
    if settings.average == "token":
        return loss.sum() / whole.tokens
    if settings.average == "sequence":
        return (loss.sum(1) / mask.sum(1).clamp(min=1)).sum() / whole.rows
    return loss.sum() / (whole.rows * whole.longest)
