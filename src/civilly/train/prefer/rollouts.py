"""Samples groups of rewrites from the model as it is, with its own probabilities.

The prompt of a group is read once; answers that have ended leave the batch, since a few long ones
would otherwise cost as much as all. ``generate`` of transformers does neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from civilly.methods.tuned_prompt import tuned_prompt
from civilly.train.validation import padded
from civilly.types import Prompt, Text

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.prefer.grpo_recipe import GrpoSettings

LEAST_ENDED = 0.15
"""Share of a batch that has ended from which on the others are moved together."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled rewrite.

    Attributes:
        text: What was to be rewritten.
        prompt: Token ids of the prompt.
        answer: Token ids of the rewrite, with the end if the model said it.
        output: The rewrite as users would see it.
    """

    text: Text
    prompt: list[int]
    answer: list[int]
    output: str


def sample_groups(
    trainable: TrainableModel,
    model: Any,
    texts: Sequence[Text],
    settings: GrpoSettings,
    seed: int,
    samples: int | None = None,
) -> list[Rollout]:
    """Rewrites of each text, those of one after those of the other.

    Args:
        trainable: The model's tokens and kind.
        model: ``trainable.model`` as it is now.
        texts: What is rewritten.
        settings: ``samples``, ``temperature``, ``top_p``.
        seed: The same seed, model and texts give the same rewrites on one machine.
        samples: Of each text; default: ``settings.samples``.
    """
    import torch
    from peft.helpers import DoraCaching

    samples = samples or settings.samples
    prompts = [tuned_prompt(text.text, text.lang) for text in texts]
    encoded = trainable.encoding.prompts(prompts)
    limits = [_limit(*each) for each in zip(prompts, encoded, strict=True)]
    was_training = model.training
    model.eval()
    with torch.no_grad(), DoraCaching():
        answers = _sampled(trainable, model, encoded, limits, samples, settings, seed)
    model.train(was_training)
    found = []
    for at, answer in enumerate(answers):
        group = at // samples
        said = answer[:-1] if answer[-1:] == [trainable.end] else answer
        output = trainable.encoding.decode(said, encoded[group]).strip()
        found.append(Rollout(texts[group], encoded[group], answer, output))
    return found


def _limit(prompt: Prompt, ids: Sequence[int]) -> int:
    """The most tokens of an answer, as greedy rewriting allows them."""
    if prompt.max_growth:
        return 16 + int(prompt.max_growth * len(ids))
    return prompt.max_new_tokens or len(ids)


def _sampled(
    trainable: TrainableModel,
    model: Any,
    prompts: Sequence[list[int]],
    limits: Sequence[int],
    samples: int,
    settings: GrpoSettings,
    seed: int,
) -> list[list[int]]:
    """Token ids of the answers, group after group."""
    import torch

    generator = torch.Generator(model.device).manual_seed(seed)
    reading = _Reading(trainable, model, prompts, samples)
    answers: list[list[int]] = [[] for _ in range(len(prompts) * samples)]
    rows = list(range(len(answers)))
    logits = reading.first()
    ended = [False] * len(rows)
    while True:
        drawn = _draw(logits, settings, generator)
        for place, token in enumerate(drawn.tolist()):
            row = rows[place]
            if not ended[place]:
                answers[row].append(token)
                full = len(answers[row]) >= limits[row // samples]
                ended[place] = token == trainable.end or full
        if all(ended):
            return answers
        if sum(ended) >= LEAST_ENDED * len(ended):
            left = [place for place, over in enumerate(ended) if not over]
            rows, ended = [rows[place] for place in left], [False] * len(left)
            reading.keep(torch.tensor(left, device=drawn.device))
            drawn = drawn[left]
        logits = reading.next(drawn)


def _draw(logits: Any, settings: GrpoSettings, generator: Any) -> Any:
    """One token per row, [rows], from the softmax at the temperature, perhaps without its tail.

    One uniform number per row and its place among the cumulated probabilities: ``multinomial``
    draws a number for each entry of the vocabulary, a quarter of the time of a whole pass.
    """
    import torch

    probabilities = torch.softmax(logits.float() / settings.temperature, dim=-1)
    if settings.top_p < 1:
        ordered, places = probabilities.sort(dim=-1, descending=True)
        before = ordered.cumsum(-1) - ordered
        ordered = ordered.masked_fill(before >= settings.top_p, 0)
        probabilities = torch.zeros_like(probabilities).scatter_(-1, places, ordered)
    reached = probabilities.cumsum(-1)
    drawn = torch.rand((len(reached), 1), generator=generator, device=reached.device)
    # "right": an entry without probability reaches nothing new and is never the first above.
    return (
        torch.searchsorted(reached, drawn * reached[:, -1:], right=True)
        .squeeze(1)
        .clamp_(max=reached.shape[1] - 1)
    )


class _Reading:
    """What a model keeps of a batch while it says one token after the other.

    Args:
        trainable: Its kind and padding.
        model: The model.
        prompts: Token ids, each once.
        samples: Answers to each.
    """

    def __init__(
        self, trainable: TrainableModel, model: Any, prompts: Sequence[list[int]], samples: int
    ) -> None:
        self._model, self._samples = model, samples
        self._encoder_decoder = trainable.encoder_decoder
        ids, mask = padded(prompts, trainable)
        self._ids, self._mask = ids.to(model.device), mask.to(model.device)
        self._cache: Any = None
        self._encoded: Any = None

    def first(self) -> Any:
        """Logits of the first token of each answer, [rows, vocabulary]."""
        import torch

        if self._encoder_decoder:
            encoder = self._model.get_encoder()
            encoded = encoder(input_ids=self._ids, attention_mask=self._mask).last_hidden_state
            self._encoded = encoded.repeat_interleave(self._samples, 0)
            self._mask = self._mask.repeat_interleave(self._samples, 0)
            begin = self._model.config.decoder_start_token_id
            return self.next(torch.full((len(self._mask),), begin, device=self._mask.device))
        read = self._model(
            input_ids=self._ids, attention_mask=self._mask, use_cache=True, logits_to_keep=1
        )
        self._cache = read.past_key_values
        self._cache.batch_repeat_interleave(self._samples)
        self._mask = self._mask.repeat_interleave(self._samples, 0)
        return read.logits[:, -1].repeat_interleave(self._samples, 0)

    def next(self, tokens: Any) -> Any:
        """Logits after one more token of each answer, [rows, vocabulary]."""
        import torch

        if self._encoder_decoder:
            read = self._model(
                encoder_outputs=(self._encoded,),
                attention_mask=self._mask,
                decoder_input_ids=tokens[:, None],
                past_key_values=self._cache,
                use_cache=True,
            )
        else:
            one = torch.ones_like(tokens)[:, None]
            self._mask = torch.cat([self._mask, one.to(self._mask.dtype)], dim=1)
            read = self._model(
                input_ids=tokens[:, None],
                attention_mask=self._mask,
                past_key_values=self._cache,
                use_cache=True,
            )
        self._cache = read.past_key_values
        return read.logits[:, -1]

    def keep(self, rows: Any) -> None:
        """Goes on with some of the answers alone."""
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]
        if self._encoded is not None:
            self._encoded = self._encoded[rows]
