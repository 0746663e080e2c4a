"""Log-probabilities of answers' tokens, under a model and under what it was at the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from civilly.train.trainer import IGNORED, Row, collator, due_positions

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel


def token_logprobs(trainable: TrainableModel, model: Any, rows: Sequence[Row]) -> tuple[Any, Any]:
    """Log-probabilities in nats and a mask, both [rows, tokens], with the gradient.

    Args:
        trainable: The model's tokens and kind.
        model: ``trainable.model``.
        rows: ``prompt`` and ``answer`` ids of each.

    Returns:
        0 where there is no token; answers stand at the right for a causal model, else at the left.
    """
    import torch

    batch = {
        name: value.to(model.device) if hasattr(value, "to") else value
        for name, value in collator(trainable)(rows).items()
    }
    labels = batch.pop("labels")
    only = trainable.answers and trainable.answers.only(due_positions(labels))
    with only or nullcontext():
        logits = model(**batch).logits
    if not trainable.encoder_decoder:
        labels = labels[:, 1:]
    mask = labels != IGNORED
    wanted = labels[mask]
    if logits.dim() == 3:
        logits = (logits if trainable.encoder_decoder else logits[:, :-1])[mask]
    found = -torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
    return torch.zeros(mask.shape, device=found.device).masked_scatter(mask, found), mask.float()


class Start:
    """What is trained, as it was when training began.

    Args:
        model: Of which only what needs a gradient is kept.
    """

    def __init__(self, model: Any) -> None:
        self._trained = [each for each in model.parameters() if each.requires_grad]
        self._values = [each.detach().clone() for each in self._trained]

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """For the time of a computation without a gradient."""
        now = [each.data for each in self._trained]
        for each, value in zip(self._trained, self._values, strict=True):
            each.data = value
        try:
            yield
        finally:
            for each, value in zip(self._trained, now, strict=True):
                each.data = value

    def restore(self) -> None:
        """For good."""
        for each, value in zip(self._trained, self._values, strict=True):
            each.data.copy_(value)
