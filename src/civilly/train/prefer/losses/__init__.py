"""The losses of learning from preferences: a file's name is the loss's name in a recipe."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol, cast

from civilly.errors import UnknownNameError

PAIRED = ("cpo", "dpo", "dpo_norm", "ipo", "orpo", "simpo")
"""Losses of a chosen and a rejected answer to one prompt."""
UNPAIRED = ("kto",)
"""Losses of single answers that are called good or bad."""

SAMPLED = "grpo"
"""The loss of the model's own samples and rewards (`civilly.train.prefer.grpo`); no file here."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely answers are after their prompts; all are tensors of one number per answer.

    Attributes:
        logps: Sum of the log probabilities of the answer's tokens, in nats.
        tokens: How many tokens it has, its end included.
        reference: As ``logps``, by the reference model; zeros where a loss needs none.
    """

    logps: Any
    tokens: Any
    reference: Any


class Loss(Protocol):
    """What every module of a loss has.

    Attributes:
        NEEDS_REFERENCE: Whether it asks what a reference model says.
        BETA: The factor of the reward, or of the loss, that its authors used.
        SFT: Weight of the chosen answer's cross-entropy per token, as its authors used it.
        MARGIN: What it asks of the chosen reward beyond the rejected one, times beta.
    """

    NEEDS_REFERENCE: bool
    BETA: float
    SFT: float
    MARGIN: float

    def reward(self, answers: Likelihood) -> Any:
        """What the model gives for each answer, without the factor beta, [answers]."""
        ...


class PairedLoss(Loss, Protocol):
    """What a module of `PAIRED` has."""

    def loss(self, chosen: Any, rejected: Any, beta: float, margin: float) -> Any:
        """The loss of each pair, of the rewards of its sides, [pairs]."""
        ...


class UnpairedLoss(Loss, Protocol):
    """What a module of `UNPAIRED` has."""

    def loss(self, rewards: Any, good: Any, divergence: Any, beta: float) -> Any:
        """The loss of each answer, of its reward and whether it is good, [answers]."""
        ...


def loss_named(name: str) -> Loss:
    """The module of a loss.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name not in (*PAIRED, *UNPAIRED):
        raise UnknownNameError("loss", name, (*PAIRED, *UNPAIRED, SAMPLED))
    return cast("Loss", importlib.import_module(f"{__name__}.{name}"))
