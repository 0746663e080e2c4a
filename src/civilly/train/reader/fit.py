"""The loop that trains a reader: steps of like lengths, a cosine, checkpoints to go on from."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from civilly.data.files import write_bytes
from civilly.errors import DataError
from civilly.train.reader.network import ReaderNetwork
from civilly.train.reader.recipe import ReaderSettings

LEAST_RATE = 0.02
"""The cosine ends at this share of the highest rate."""
_TOLD_EVERY = 20
_CLIPPED = 1.0

Step = list[int]


@dataclass(frozen=True, slots=True)
class Course:
    """A training.

    Attributes:
        name: What progress calls it.
        network: What is trained.
        steps: The examples of each step, by number.
        loss: The loss of such examples.
    """

    name: str
    network: ReaderNetwork
    steps: Sequence[Step]
    loss: Callable[[Step], Any]


def steps_of_like_lengths(
    order: Sequence[int],
    longest: Callable[[int], int],
    tokens: Callable[[int], int],
    most_tokens: int,
    window: int,
    rng: random.Random,
) -> list[Step]:
    """Cuts an order of examples into steps, so that little of a step is padding.

    Each window of the order is sorted by length and cut where the tokens are enough; the steps are
    then shuffled. A longer example makes a step by itself.

    Args:
        order: Numbers of examples.
        longest: Length of an example's longest row.
        tokens: Tokens of an example.
        most_tokens: A step ends with the example that reaches it.
        window: Examples that are sorted together.
        rng: Shuffles the steps.
    """
    steps: list[Step] = []
    for first in range(0, len(order), window):
        step: Step = []
        filled = 0
        for example in sorted(order[first : first + window], key=longest):
            step.append(example)
            filled += tokens(example)
            if filled >= most_tokens:
                steps.append(step)
                step, filled = [], 0
        if step:
            steps.append(step)
    rng.shuffle(steps)
    return steps


def rate(step: int, steps: int, warmup: int) -> float:
    """The share of the highest rate: a warm-up, and a cosine down to `LEAST_RATE`."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, step / warmup if warmup else 1.0) * max(LEAST_RATE, cosine)


def fit(
    course: Course, settings: ReaderSettings, checkpoint: Path, progress: Callable[[str], None]
) -> None:
    """Trains, from the checkpoint on if there is one; a resumed training gives the same weights.

    Args:
        course: What is trained on what.
        settings: How.
        checkpoint: File that is written every ``save_steps`` steps, and at the end.
        progress: Is told how it goes.

    Raises:
        DataError: If there is nothing to learn from, or the checkpoint is damaged or of other
            examples.
    """
    if not course.steps:
        raise DataError(
            f"There is nothing that the {course.name} could learn from.",
            mend="check [sources] of the recipe",
        )
    network, total = course.network, len(course.steps)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = _optimiser(network, settings)
    first = _resumed(checkpoint, course, optimiser)
    network.train()
    losses: list[float] = []
    for number in range(first, total):
        share = rate(number, total, settings.warmup_steps)
        for group in optimiser.param_groups:
            group["lr"] = group["highest"] * share
        loss = course.loss(course.steps[number])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, _CLIPPED)
        optimiser.step()
        losses.append(loss.item())
        done = number + 1
        if done % settings.save_steps == 0 or done == total:
            _save(checkpoint, course, optimiser, done)
        if done % _TOLD_EVERY == 0:
            progress(f"{course.name}: step {done} of {total}, loss {fmean(losses):.3f}")
            losses.clear()
    network.eval()


def _optimiser(network: ReaderNetwork, settings: ReaderSettings) -> Any:
    factors = [p for p in network.factors().values() if p.requires_grad]
    groups = [
        {"params": factors, "highest": settings.learning_rate},
        {"params": list(network.head.parameters()), "highest": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=settings.weight_decay)


def _trained(network: ReaderNetwork) -> dict[str, Any]:
    return {**network.factors(), **dict(network.head.named_parameters())}


def _save(path: Path, course: Course, optimiser: Any, done: int) -> None:
    held = io.BytesIO()
    content = {
        "done": done,
        "steps": len(course.steps),
        "trained": {name: p.data for name, p in _trained(course.network).items()},
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),  # of the dropout
    }
    torch.save(content, held)
    write_bytes(path, held.getvalue())


def _resumed(path: Path, course: Course, optimiser: Any) -> int:
    """Puts everything back as it was; the number of the next step."""
    if not path.exists():
        return 0
    try:
        content = torch.load(path, weights_only=True)
    except Exception as error:  # a torn file makes torch raise whatever its place gives rise to
        raise DataError(
            f"The checkpoint {path} cannot be read ({error}).", mend="remove it to begin anew"
        ) from error
    if content["steps"] != len(course.steps):
        raise DataError(
            f"{path} is of a training with {content['steps']} steps, not {len(course.steps)}: "
            "the data have changed.",
            mend="another --out",
        )
    for name, parameter in _trained(course.network).items():
        parameter.data.copy_(content["trained"][name])
    optimiser.load_state_dict(content["optimiser"])
    torch.set_rng_state(content["random"])
    return int(content["done"])
