"""How likely a model finds whole answers: sums of the log probabilities of their tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from civilly.train.base_model import TrainableModel
from civilly.train.prefer.rows import Row
from civilly.train.trainer import IGNORED, collator, due_positions

AT_ONCE = 16
"""Rows of a batch that nothing is learnt from."""


def answers_batch(
    trainable: TrainableModel, rows: Sequence[Row], sides: Sequence[int] = (0, 1)
) -> dict[str, Any]:
    """A batch of the first answers of all rows, then of the second ones; or of one side alone."""
    return collator(trainable)(
        [
            {"prompt": row["prompt"], "answer": row["answers"][side]}
            for side in sides
            for row in rows
        ]
    )


def answer_logps(trainable: TrainableModel, model: Any, batch: dict[str, Any]) -> tuple[Any, Any]:
    """The log π(y|x) of each answer y in a batch, and how many tokens it has, its end included.

    Args:
        trainable: What the model is.
        model: ``trainable.model``, perhaps wrapped for training.
        batch: As `answers_batch` makes it.

    Returns:
        Two tensors [answers]: nats, in float32; a count.
    """
    import torch

    labels = batch["labels"]
    if trainable.encoder_decoder:
        due, said = labels != IGNORED, labels
    else:  # the logits of a token say the next one
        due, said = due_positions(labels), labels[:, 1:]
    only = trainable.answers.only(due) if trainable.answers else contextlib.nullcontext()
    with only:
        logits = model(**{name: each for name, each in batch.items() if name != "labels"}).logits
    if logits.dim() == 3:
        logits = logits[due]
    each = -torch.nn.functional.cross_entropy(
        logits.float(), said[said != IGNORED], reduction="none"
    )
    tokens = (said != IGNORED).sum(1)
    owners = torch.repeat_interleave(torch.arange(len(tokens), device=tokens.device), tokens)
    sums = torch.zeros(len(tokens), device=each.device).index_add(0, owners, each)
    return sums, tokens


@contextlib.contextmanager
def only_asked(model: Any, precision: str) -> Iterator[None]:
    """For the time that a model is asked and not trained: no gradients, no dropout, its format."""
    import torch

    rounded = torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), rounded:
            yield
    finally:
        model.train(was_training)


def measured(
    trainable: TrainableModel,
    model: Any,
    rows: Sequence[Row],
    precision: str,
    report: Callable[[float], object] = lambda share: None,
) -> tuple[list[list[float]], list[list[int]]]:
    """The log π(y|x) and tokens of both answers of each row, in order; nothing is learnt.

    Args:
        trainable: What the model is.
        model: ``trainable.model``, perhaps wrapped for training.
        rows: The rows.
        precision: ``fp32`` or ``bf16``.
        report: Is told the share that is done, in [0, 1].

    Returns:
        Nats [rows][2], counts [rows][2].
    """
    logps: list[list[float]] = [[] for _ in rows]
    tokens: list[list[int]] = [[] for _ in rows]
    order = sorted(range(len(rows)), key=lambda at: len(rows[at]["input_ids"]))
    with only_asked(model, precision):
        for first in range(0, len(order), AT_ONCE):
            places = order[first : first + AT_ONCE]
            batch = answers_batch(trainable, [rows[at] for at in places])
            batch = {k: v.to(model.device) if hasattr(v, "to") else v for k, v in batch.items()}
            sums, counts = (
                each.view(2, -1).T.tolist() for each in answer_logps(trainable, model, batch)
            )
            for at, nats, count in zip(places, sums, counts, strict=True):
                logps[at], tokens[at] = nats, count
            report((first + len(places)) / len(rows))
    return logps, tokens
