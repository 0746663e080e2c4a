"""The training of the judge: what it reads of text and rewrite, in which order, and its loss."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from civilly.data.readings import FAULTS
from civilly.model.token_encoder import TokenEncoder
from civilly.score.reader import side_by_side
from civilly.train.reader.fit import Step, steps_of_like_lengths
from civilly.train.reader.network import Batch, ReaderNetwork
from civilly.train.reader.recipe import JudgeSettings
from civilly.train.reader.rewrites import Group, Output

_WINDOW = 400
"""Groups that are sorted by length together."""
BETTER = 0.6
"""Difference in use from which on one rewrite must rank before another."""
_USE_WEIGHT = _HUMAN_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Item:
    """A rewrite as the network reads it.

    Attributes:
        ids: Of text and rewrite, with marks.
        cut: How many of them are of the text.
        output: What is known of it.
    """

    ids: list[int]
    cut: int
    output: Output


def items_of(groups: Sequence[Group], cutter: TokenEncoder) -> list[list[Item]]:
    """The rewrites of each group as the runtime reads them.

    Args:
        groups: What is learnt from.
        cutter: Cuts texts into the encoder's pieces.
    """
    texts = [group.text for group in groups for _ in group.outputs]
    outputs = [output for group in groups for output in group.outputs]
    rows, cuts = side_by_side(cutter, texts, [output.rewrite for output in outputs])
    items = iter(map(Item, rows, cuts, outputs))
    return [[next(items) for _ in group.outputs] for group in groups]


def plan(
    read: Sequence[list[Item]],
    made: Sequence[list[Item]],
    judged: Sequence[list[Item]],
    settings: JudgeSettings,
    rng: random.Random,
) -> tuple[list[list[Item]], list[Step]]:
    """All groups, and the steps of all epochs by their numbers.

    Every epoch reads all readings, another part of the made faults, and a share of the judgements.

    Args:
        read: Groups of readings.
        made: Groups of made faults.
        judged: Groups of human judgements.
        settings: How many epochs, how much of what.
        rng: Draws, and shuffles.
    """
    groups = [*read, *made, *judged]
    first_made, first_judged = len(read), len(read) + len(made)
    part = len(made) // settings.epochs
    steps: list[Step] = []
    for epoch in range(settings.epochs):
        drawn = round(len(judged) * settings.human_share)
        order = [
            *range(first_made),
            *range(first_made + epoch * part, first_made + (epoch + 1) * part),
            *rng.sample(range(first_judged, len(groups)), drawn),
        ]
        rng.shuffle(order)
        steps += steps_of_like_lengths(
            order,
            lambda number: max(len(item.ids) for item in groups[number]),
            lambda number: sum(len(item.ids) for item in groups[number]),
            settings.batch_tokens,
            _WINDOW,
            rng,
        )
    return groups, steps


def loss_of(
    network: ReaderNetwork, groups: Sequence[list[Item]], ranking: float
) -> Callable[[Step], Any]:
    """The loss of some of the groups.

    Args:
        network: With a `civilly.train.reader.network.JudgeHead`.
        groups: All groups.
        ranking: Weight of the order within groups.
    """

    def loss(step: Step) -> Any:
        items = [item for number in step for item in groups[number]]
        logits = opinions(network, items)
        whole = logits.sum() * 0.0 + _faults_loss(logits, items) + _human_loss(logits, items)
        places, first = [], 0
        for number in step:
            group = groups[number]
            places += [(first + a, first + b) for a, b in better(group)]
            first += len(group)
        return whole + ranking * _ranking_loss(logits, places) if places else whole

    return loss


def opinions(network: ReaderNetwork, items: Sequence[Item]) -> Any:
    """Logits of faults, use and human judgements, [rows, 11]."""
    batch = Batch.of([item.ids for item in items])
    cuts = torch.tensor([item.cut for item in items])
    return network.head(network.vectors(batch), batch.real, cuts)


def better(group: Sequence[Item]) -> list[tuple[int, int]]:
    """Places of two rewrites of which a reader could use the first clearly more."""
    uses = [item.output.use for item in group]
    return [
        (a, b)
        for a, one in enumerate(uses)
        for b, other in enumerate(uses)
        if one is not None and other is not None and one > other + BETTER
    ]


def _faults_loss(logits: Any, items: Sequence[Item]) -> Any:
    """Of the fault, and of the use."""
    rows = [row for row, item in enumerate(items) if item.output.faults is not None]
    if not rows:
        return 0.0
    outputs = [items[row].output for row in rows]
    weights = torch.tensor([output.weight for output in outputs])
    targets = torch.tensor([output.faults for output in outputs])
    each = cross_entropy(logits[rows, : len(FAULTS)], targets, reduction="none")
    uses = torch.tensor([output.use for output in outputs])
    off = (logits[rows, len(FAULTS)].sigmoid() * 2 - uses) ** 2
    return (each * weights).sum() / weights.sum() + _USE_WEIGHT * off.mean()


def _human_loss(logits: Any, items: Sequence[Item]) -> Any:
    rows = [row for row, item in enumerate(items) if item.output.human is not None]
    if not rows:
        return 0.0
    targets = torch.tensor([items[row].output.human for row in rows])
    read = logits[rows, len(FAULTS) + 1 :]
    return _HUMAN_WEIGHT * binary_cross_entropy_with_logits(read, targets)


def _ranking_loss(logits: Any, places: Sequence[tuple[int, int]]) -> Any:
    """Softplus of the difference (Burges et al. 2005), in use and in the odds of being good."""
    first, second = map(list, zip(*places, strict=True))
    use = logits[:, len(FAULTS)]
    good = logits[:, 0] - torch.logsumexp(logits[:, 1 : len(FAULTS)], 1)
    by_use = softplus(use[second] - use[first]).mean()
    return by_use + softplus(good[second] - good[first]).mean()
