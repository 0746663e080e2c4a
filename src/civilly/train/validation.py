"""Judges a model while it is trained: rewrites held-out sentences greedily and scores them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from civilly import registry
from civilly.data.pairs import Pair
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.score.joint import JOINT, joint
from civilly.toolbox import Toolbox
from civilly.train.base_model import TrainableModel
from civilly.types import Prompt, Text

BATCH = 16


def greedy_answers(trainable: TrainableModel, model: Any, prompts: Sequence[Prompt]) -> list[str]:
    """What the model, as it is now, says to each prompt; in order.

    Args:
        trainable: Its tokens.
        model: ``trainable.model``, perhaps wrapped for training.
        prompts: What is asked.
    """
    import torch
    from peft.helpers import DoraCaching

    encoded = trainable.encoding.prompts(prompts)
    order = sorted(range(len(prompts)), key=lambda i: -len(encoded[i]))
    answers = [""] * len(prompts)
    was_training = model.training
    model.eval()
    # DoRA would compute the norm of every adapted weight anew for each token.
    with torch.inference_mode(), DoraCaching():
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            ids, mask = padded([encoded[i] for i in batch], trainable)
            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=_limit([prompts[i] for i in batch], ids.shape[1]),
                do_sample=False,
                num_beams=1,
                eos_token_id=trainable.end,
                pad_token_id=trainable.pad,
            ).tolist()
            skipped = 1 if trainable.encoder_decoder else ids.shape[1]
            for i, row in zip(batch, output, strict=True):
                said = row[skipped:]
                said = said[: said.index(trainable.end)] if trainable.end in said else said
                answers[i] = trainable.encoding.decode(said, encoded[i])
    model.train(was_training)
    return answers


def _limit(prompts: Sequence[Prompt], width: int) -> int:
    """The most tokens that any of the prompts allows."""
    growth = [16 + int(prompt.max_growth * width) for prompt in prompts if prompt.max_growth]
    return max(growth or [prompt.max_new_tokens or width for prompt in prompts])


def padded(rows: Sequence[list[int]], trainable: TrainableModel) -> tuple[Any, Any]:
    """Ids and mask; a causal model goes on from its last position, so that one must be real."""
    import torch

    width = max(map(len, rows))
    ids, mask = [], []
    for row in rows:
        gap = width - len(row)
        real, empty = [1] * len(row), [0] * gap
        filler = [trainable.pad] * gap
        ids.append(row + filler if trainable.encoder_decoder else filler + row)
        mask.append(real + empty if trainable.encoder_decoder else empty + real)
    return torch.tensor(ids), torch.tensor(mask)


def validator(
    trainable: TrainableModel, pairs: Sequence[Pair], suite_name: str
) -> Callable[[Any], dict[str, list[float]]]:
    """A function from the model to STA, SIM, FL and J of each of ``pairs``, in order.

    Args:
        trainable: The model's tokens.
        pairs: Held-out pairs.
        suite_name: A suite of `civilly.score`.

    Raises:
        UnknownNameError: If there is no such suite.
    """
    suite = registry.create("score", suite_name, Toolbox(None, {}))
    inputs = [Text(pair.toxic, pair.lang) for pair in pairs]
    references = [list(pair.neutral) for pair in pairs]
    prompts = [tuned_prompt(pair.toxic, pair.lang) for pair in pairs]

    def validate(model: Any) -> dict[str, list[float]]:
        answers = [answer.strip() for answer in greedy_answers(trainable, model, prompts)]
        components = suite.components(inputs, answers, references)
        return {
            **{name: list(map(float, scores)) for name, scores in components.items()},
            JOINT: joint(components),
        }

    return validate
