"""The training of the detector: what it reads of a sentence, in which order, and its loss."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from civilly.detect.context import ContextDetector, Window, as_read
from civilly.detect.toxicity import shipped
from civilly.languages import CODES
from civilly.model.token_encoder import BEGIN, END, TokenEncoder
from civilly.train.reader.calibration import IDENTITY
from civilly.train.reader.fit import Step, steps_of_like_lengths
from civilly.train.reader.network import Batch, ReaderNetwork
from civilly.train.reader.recipe import DetectorLoss, DetectorSettings
from civilly.train.reader.sentences import Sentence
from civilly.types import Text

_WINDOW = 3_000
"""Sentences that are sorted by length together."""
_SURE = 0.96
"""How far apart the targets of civil and toxic are."""


@dataclass(frozen=True, slots=True)
class Item:
    """A sentence as the network reads it.

    Attributes:
        sentence: It.
        window: Its first window; the rest of a long text is not read.
        marks: 1 for a token of an insult, 0 for another, NaN where it is not known, for padding
            and for what is no word: float32 [tokens + 2].
    """

    sentence: Sentence
    window: Window
    marks: NDArray[np.float32]


def items_of(sentences: Sequence[Sentence], cutter: TokenEncoder) -> list[Item]:
    """The sentences as the runtime reads them, in order, without those that it does not read.

    Args:
        sentences: What is learnt from.
        cutter: Cuts texts into the encoder's pieces.
    """
    reading = ContextDetector(cutter, {"calibration": IDENTITY}, shipped())
    texts = as_read([Text(each.text, each.lang) for each in sentences])
    first: dict[int, Window] = {}
    for window in reading.windows(texts):
        first.setdefault(window.row, window)
    return [
        Item(sentences[row], first[row], _marks(sentences[row], first[row]))
        for row in sorted(first)
    ]


def _marks(sentence: Sentence, window: Window) -> NDArray[np.float32]:
    marks = np.full(len(window.ids) + 2, np.nan, np.float32)
    if sentence.spans is not None:
        for place, (start, end) in enumerate(window.bounds, start=1):
            if start >= 0:
                marks[place] = any(a < end and start < b for a, b in sentence.spans)
    return marks


def plan(items: Sequence[Item], settings: DetectorSettings, rng: random.Random) -> list[Step]:
    """The steps of all epochs: cases come several times in each, the newer ones more often."""
    order = [
        number
        for number, item in enumerate(items)
        for _ in range(settings.times(item.sentence.case))
    ]
    steps: list[Step] = []
    for _ in range(settings.epochs):
        rng.shuffle(order)
        steps += steps_of_like_lengths(
            order,
            lambda number: len(items[number].marks),
            lambda number: len(items[number].marks),
            settings.batch_tokens,
            _WINDOW,
            rng,
        )
    return steps


def loss_of(
    network: ReaderNetwork, items: Sequence[Item], shares: DetectorLoss
) -> Callable[[Step], Any]:
    """The loss of some of the items.

    Args:
        network: With a `civilly.train.reader.network.DetectorHead`.
        items: All items.
        shares: What counts how much.
    """

    def loss(step: Step) -> Any:
        chosen = [items[number] for number in step]
        words, texts = verdicts(network, chosen)
        weights = torch.tensor([item.sentence.weight for item in chosen])
        return shares.words * _words_loss(words, chosen, weights, shares) + (
            shares.texts * _texts_loss(texts, chosen, weights, shares)
        )

    return loss


def verdicts(network: ReaderNetwork, chosen: Sequence[Item]) -> tuple[Any, Any]:
    """Logits of tokens [rows, tokens] and of texts [rows, 3]."""
    batch = Batch.of([[BEGIN, *item.window.ids, END] for item in chosen])
    scores = torch.zeros_like(batch.real)
    for row, item in enumerate(chosen):
        scores[row, 1 : len(item.window.scores) + 1] = torch.tensor(item.window.scores)
    return network.head(  # type: ignore[no-any-return]
        network.vectors(batch),
        batch.real,
        scores,
        torch.tensor([item.window.logit for item in chosen]),
        torch.tensor([float(item.sentence.unseen) for item in chosen]),
        torch.tensor([CODES.index(item.sentence.lang) for item in chosen]),
    )


def _words_loss(words: Any, chosen: Sequence[Item], weights: Any, shares: DetectorLoss) -> Any:
    targets = torch.full_like(words, torch.nan)
    for row, item in enumerate(chosen):
        targets[row, : len(item.marks)] = torch.from_numpy(item.marks)
    known = ~torch.isnan(targets)
    each = cross_entropy(
        words[known],
        targets[known],
        reduction="none",
        pos_weight=torch.tensor(shares.insults),
    )
    counts = weights[:, None].expand_as(targets)[known]
    return (each * counts).sum() / counts.sum().clamp(min=1)


def _texts_loss(texts: Any, chosen: Sequence[Item], weights: Any, shares: DetectorLoss) -> Any:
    labels = [[i.sentence.toxic, i.sentence.threat, i.sentence.self_harm] for i in chosen]
    targets = torch.tensor(labels)
    known = ~torch.isnan(targets)
    drawn_in = torch.where(known, targets, 0.0) * _SURE + (1 - _SURE) / 2
    each = cross_entropy(texts, drawn_in, reduction="none")
    of_kind = torch.tensor([1.0, shares.threat, shares.self_harm])
    counts = weights[:, None] * of_kind * known
    return (each * counts).sum() / counts.sum()
