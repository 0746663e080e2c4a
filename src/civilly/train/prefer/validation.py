"""Judges a model while it learns preferences: by held ones, and by its rewrites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from civilly.data.pairs import Pair
from civilly.train.base_model import TrainableModel
from civilly.train.prefer.likelihood import measured
from civilly.train.prefer.losses import Likelihood, Loss
from civilly.train.prefer.rows import Row
from civilly.train.validation import validator

Scores = dict[str, list[float]]


def held_scores(
    trainable: TrainableModel, model: Any, rows: Sequence[Row], loss: Loss, precision: str
) -> Scores:
    """What a model says of held preferences, each in order.

    Args:
        trainable: What the model is.
        model: ``trainable.model``, perhaps wrapped for training.
        rows: Chosen and rejected answers, with what the reference model says of them.
        loss: Whose reward counts.
        precision: ``fp32`` or ``bf16``.

    Returns:
        ``preferred``: 1 where the chosen side has the higher reward, ½ where they are equal, else
        0; ``margin``: by how much; ``chosen``: its log probability per token, in nats, which must
        not fall far below what it was at the start.
    """
    import torch

    logps, tokens = (
        torch.tensor(each, dtype=torch.float32).T
        for each in measured(trainable, model, rows, precision)
    )
    reference = torch.tensor([row["reference"] for row in rows]).T
    chosen, rejected = loss.reward(Likelihood(logps, tokens, reference))
    better = (chosen > rejected).float() + (chosen == rejected).float() / 2
    found = {
        "preferred": better,
        "margin": chosen - rejected,
        "chosen": logps[0] / tokens[0],
    }
    return {name: each.tolist() for name, each in found.items()}


def preference_validator(
    trainable: TrainableModel,
    held: Sequence[Row],
    pairs: Sequence[Pair],
    suite: str,
    loss: Loss,
    precision: str,
) -> Callable[[Any], Scores]:
    """A function from the model to its scores: `held_scores`, and those of its rewrites.

    Args:
        trainable: What the model is.
        held: Held preferences; perhaps none.
        pairs: Held-out pairs, whose toxic side is rewritten.
        suite: What scores the rewrites.
        loss: Whose reward counts.
        precision: ``fp32`` or ``bf16``.

    Raises:
        UnknownNameError: If there is no such suite.
    """
    by_suite = validator(trainable, pairs, suite)

    def validate(model: Any) -> Scores:
        asked = held_scores(trainable, model, held, loss, precision) if held else {}
        return {**by_suite(model), **asked}

    return validate
