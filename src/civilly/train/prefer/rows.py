"""What preferences are learnt from: a prompt, two answers to it, and what is thought of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from civilly.methods.tuned_prompt import tuned_prompt
from civilly.train.base_model import TrainableModel
from civilly.train.prefer.preferences import Opinion, Preference


class Row(TypedDict):
    """A prompt and two answers to it, as token ids.

    Attributes:
        prompt: The prompt.
        answers: Chosen and rejected; or what is judged, and an answer to another prompt.
        good: Whether the first is good; of chosen and rejected, true.
        reference: Sum of the log probabilities of each answer by the reference model, in nats.
        input_ids: The prompt and its longer answer, by whose length rows are grouped.
    """

    prompt: list[int]
    answers: tuple[list[int], list[int]]
    good: bool
    reference: tuple[float, float]
    input_ids: list[int]


def paired_rows(preferences: Sequence[Preference], trainable: TrainableModel) -> list[Row]:
    """Chosen and rejected answers, in order."""
    prompts = _prompts(preferences, trainable)
    chosen = trainable.encoding.answers([each.chosen for each in preferences])
    rejected = trainable.encoding.answers([each.rejected for each in preferences])
    return [_row(*ids) for ids in zip(prompts, chosen, rejected, strict=True)]


def single_rows(opinions: Sequence[Opinion], trainable: TrainableModel) -> list[Row]:
    """Judged answers, in order, each beside that of a later row, which answers another text.

    That one stands in for an answer of the model (KTO, section 4.1). It stays with its row, so
    that the reference model is asked about it once and batches may come in any order.
    """
    prompts = _prompts(opinions, trainable)
    answers = trainable.encoding.answers([each.rewrite for each in opinions])
    rows = []
    for at, opinion in enumerate(opinions):
        others = ((at + step) % len(opinions) for step in range(1, len(opinions)))
        stranger = next((i for i in others if opinions[i].text != opinion.text), at)
        rows.append(_row(prompts[at], answers[at], answers[stranger], good=opinion.good))
    return rows


def _prompts(
    judged: Sequence[Preference] | Sequence[Opinion], trainable: TrainableModel
) -> list[list[int]]:
    return trainable.encoding.prompts([tuned_prompt(each.text, each.lang) for each in judged])


def _row(prompt: list[int], first: list[int], second: list[int], *, good: bool = True) -> Row:
    return Row(
        prompt=prompt,
        answers=(first, second),
        good=good,
        reference=(0.0, 0.0),
        input_ids=prompt + max(first, second, key=len),
    )
