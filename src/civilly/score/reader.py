"""The judge of rewrites: what a careful reader would say of one, as probabilities.

A small encoder (multilingual-e5-small with a LoRA of ours) reads text and rewrite side by side,
with the stretches that changed between marks, and its heads say what the fault would be
(`civilly.data.readings.FAULTS`), how usable the rewrite is, and how people of the shared task of
2024 would judge it. Trained on `recipes/readings` and shared human judgements:
``civilly train reader``. It is one of the two readers (`civilly.model.reader_weights`), the other
is the detector in context; `civilly.score.judge`, a language model that is asked, is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.data.files import mend_surrogates
from civilly.data.readings import FAULTS
from civilly.detect.protected import unmarked
from civilly.model.e5 import encoder_folder
from civilly.model.reader_weights import (
    gelu,
    head_tensors,
    layer,
    pooled_evidence,
    shipped_reader,
)
from civilly.model.token_encoder import BEGIN, END, TokenEncoder

MOST_TOKENS = 120
"""Tokens of a text, and of a rewrite, that are read."""
MOST_MARKED = 150
"""The same with the marks around what changed."""
OPENED, CLOSED, HOLE = "▁[", "▁]", "▁_"
"""Marks before and after a stretch that changed; and where one was cut without anything new."""
HUMAN = ("STA", "SIM", "FL")
USUAL_TOKENS = 8.0
"""So many tokens without evidence say nothing: `civilly.model.reader_weights.pooled_evidence`."""

TENSORS = ("a.weight", "b.weight", "tok.weight")
"""What tells a file of the judge from others."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the judge says of one rewrite.

    Attributes:
        faults: Probability of each of `FAULTS` being the worst one; they sum to 1.
        use: How usable it is, in [0, 1]: half the expected use of a reading.
        human: Probabilities that people find it civil, the same in content, and fluent (`HUMAN`).
    """

    faults: dict[str, float]
    use: float
    human: dict[str, float]

    @property
    def good(self) -> float:
        """Probability that a reader would show it to the user as it is."""
        return self.faults["good"]

    @property
    def value(self) -> float:
        """What selection maximises, in [0, 1]: the mean of `good` and `use`."""
        return (self.good + self.use) / 2


class RewriteJudge:
    """Reads rewrites beside their texts.

    Args:
        encoder: The encoder with the judge's LoRA.
        tensors: The weights of the heads.
    """

    def __init__(self, encoder: TokenEncoder, tensors: dict[str, Floats]) -> None:
        self._encoder = encoder
        self._tensors = tensors

    def prepare(self) -> None:
        """Begins to load the encoder."""
        self._encoder.prepare()

    def opinions(self, texts: Sequence[str], rewrites: Sequence[str]) -> list[Opinion]:
        """What a reader would say of each rewrite of each text, in order.

        Args:
            texts: Inputs; their language need not be known.
            rewrites: One output for each.
        """
        rows, cuts = side_by_side(self._encoder, texts, rewrites)
        return self._encoder.mapped(rows, lambda i, hidden: self._opinion(hidden, cuts[i]))

    def _opinion(self, hidden: Floats, cut: int) -> Opinion:
        text, rewrite = hidden[:cut], hidden[cut + 2 :]
        pooled = np.concatenate([text.mean(axis=0), rewrite.mean(axis=0), rewrite.max(axis=0)])
        logits = layer(self._tensors, "b", gelu(layer(self._tensors, "a", pooled)))
        logits[: len(FAULTS)] += pooled_evidence(layer(self._tensors, "tok", rewrite), USUAL_TOKENS)
        odds = np.exp(logits[: len(FAULTS)] - logits[: len(FAULTS)].max())
        use, *human = 1 / (1 + np.exp(-logits[len(FAULTS) :]))
        return Opinion(
            dict(zip(FAULTS, (odds / odds.sum()).tolist(), strict=True)),
            float(use),
            dict(zip(HUMAN, map(float, human), strict=True)),
        )


def side_by_side(
    encoder: TokenEncoder, texts: Sequence[str], rewrites: Sequence[str]
) -> tuple[list[list[int]], list[int]]:
    """What the judge reads: the ids of each text and rewrite, with marks around what changed.

    Args:
        encoder: Cuts them into pieces.
        texts: Inputs.
        rewrites: One output for each.

    Returns:
        A row of ids for each, and how many of them are of the text; two more, and the rewrite
        begins.
    """
    opened, closed, hole = map(encoder.piece, (OPENED, CLOSED, HOLE))
    unique = list(dict.fromkeys([*texts, *rewrites]))
    read = [unmarked(mend_surrogates(text)) for text in unique]
    pieces = {
        text: list(encoding.ids[:MOST_TOKENS])
        for text, encoding in zip(unique, encoder.pieces(read), strict=True)
    }
    rows, cuts = [], []
    for text, rewrite in zip(texts, rewrites, strict=True):
        before, after = marked(pieces[text], pieces[rewrite], (opened, closed, hole))
        rows.append([BEGIN, *before[:MOST_MARKED], END, END, *after[:MOST_MARKED], END])
        cuts.append(1 + len(before[:MOST_MARKED]))
    return rows, cuts


def marked(
    before: Sequence[int], after: Sequence[int], marks: tuple[int, int, int]
) -> tuple[list[int], list[int]]:
    """Text and rewrite with marks around what changed.

    Args:
        before: Token ids of the text.
        after: Those of the rewrite.
        marks: Ids of `OPENED`, `CLOSED` and `HOLE`.
    """
    opened, closed, hole = marks
    left: list[int] = []
    right: list[int] = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            left += before[a:b]
            right += after[c:d]
            continue
        left += [opened, *before[a:b], closed] if b > a else []
        right += [opened, *after[c:d], closed] if d > c else [hole]
    return left, right


@cache
def load(path: Path | None = None) -> RewriteJudge:
    """The judge with the shipped weights, or those of a file, loaded once per process.

    Raises:
        ModelError: If there are none, or they are damaged.
    """
    path = path or shipped_reader("judge")
    return RewriteJudge(TokenEncoder(lambda: encoder_folder(path)), head_tensors(path, TENSORS))
