"""The output layer of a causal model in training: asked only where an answer's token is due."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class AnswerPositions:
    """Hands the output layer the positions whose next token is known, row after row.

    The last positions of all rows of a batch, among them those of shorter answers, are several
    times as many; and their slice has holes: a large output layer is 2 times slower on such a
    slice in float32 and 50 times in bfloat16. Outside of `only` it sees what it is given, without
    holes.

    Args:
        model: A causal model of transformers.
    """

    def __init__(self, model: Any) -> None:
        self._wanted: Any = None
        model.get_output_embeddings().register_forward_pre_hook(self._hand)

    @contextmanager
    def only(self, due: Any) -> Iterator[None]:
        """For the time of a forward pass.

        Args:
            due: Which positions matter, a truth value for each that the layer is given,
                [rows, positions]; where that is another number, as of a part of the batch on one
                of several devices, all are computed.
        """
        self._wanted = due
        try:
            yield
        finally:
            self._wanted = None

    def _hand(self, _: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *others = inputs
        if self._wanted is not None and self._wanted.shape == hidden.shape[:2]:
            return (hidden[self._wanted], *others)
        return (hidden.contiguous(), *others)
