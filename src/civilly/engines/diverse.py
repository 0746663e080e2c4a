"""Diverse beam search (Vijayakumar et al. 2018) for models of the transformers library.

Transformers 5 has none in its core. The beams are shared out among groups that take turns at every
place: a group pays for each token that beams of the groups before it took there, so that groups
part where a plain beam search varies the last words only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from civilly.engines.decoding import Ending, Until, mean_of
from civilly.engines.requests import width_of
from civilly.types import GenerationOptions


@dataclass(slots=True)
class _Beams:
    """The beams of a batch: [prompts, width, …] each, groups one after another.

    Attributes:
        tokens: int64 [prompts, width, steps]; what was generated.
        scores: float32 [prompts, width, steps]; the model's log probability of every token.
        totals: float32 [prompts, width]; what the search compares: the scores less the penalties.
        going: bool [prompts, width]; False for a beam that has ended, which keeps its place.
    """

    tokens: Any
    scores: Any
    totals: Any
    going: Any


class DiverseSearch:
    """One diverse beam search with Hamming diversity.

    Within a group it is a beam search in which a beam that ends keeps one of the group's places:
    every group gives as many answers as it has beams. The penalties of a beam add up along it, as
    in the paper; the scores that are returned are the model's own.

    Args:
        torch: The torch module.
        model: A causal or encoder-decoder model.
        pad: Id of the padding token.
        until: Says where rows end, and reads them.
        options: ``width`` beams in ``groups`` groups with ``diversity``; the ``n`` best are given.
    """

    def __init__(
        self, torch: Any, model: Any, pad: int, until: Until, options: GenerationOptions
    ) -> None:
        self._torch = torch
        self._model = model
        self._pad = pad
        self._until = until
        self._options = options
        self._ends = torch.tensor(sorted(until.ends), device=model.device)

    def run(self, ids: Any, mask: Any) -> tuple[list[Ending], list[float]]:
        """Searches on from each prompt.

        Args:
            ids: int64 [prompts, tokens]; padded at the left for a causal model, else at the right.
            mask: int64 [prompts, tokens]; 0 is padding.

        Returns:
            ``options.n`` endings of each prompt in turn, with their mean log probability per
            token: one of each group before a second one of any, the likelier first.
        """
        torch, width = self._torch, width_of(self._options)
        state = _State(torch, self._model, ids, mask, width)
        shape = (len(ids), width)
        totals = torch.zeros(shape, device=ids.device)
        # At first the beams of a group are alike, and only one of them may be gone on with.
        totals.view(len(ids), self._options.groups, -1)[:, :, 1:] = -torch.inf
        beams = _Beams(
            tokens=torch.zeros((*shape, 0), dtype=torch.long, device=ids.device),
            scores=torch.zeros((*shape, 0), device=ids.device),
            totals=totals,
            going=torch.ones(shape, dtype=torch.bool, device=ids.device),
        )
        prefix = state.prefix.view(len(ids), width, -1)
        for _ in range(max(self._until.limits)):
            parents = self._step(beams, state.next_scores().view(*shape, -1))
            state.go_on(parents, beams.tokens[:, :, -1].flatten())
            rows = torch.cat([prefix, beams.tokens], dim=2).flatten(0, 1)
            ended = self._until(rows, None).view(shape)
            beams.going &= ~(ended | torch.isin(beams.tokens[:, :, -1], self._ends))
            if not beams.going.any():
                break
        return self._read(torch.cat([prefix, beams.tokens], dim=2), beams.scores)

    def _step(self, beams: _Beams, scores: Any) -> Any:
        """Gives every beam that goes on its next token, group by group.

        Args:
            beams: Changed in place.
            scores: float32 [prompts, width, vocabulary]; log probabilities of the next token.

        Returns:
            int64 [prompts, width]; which beam each one now continues.
        """
        torch, size = self._torch, width_of(self._options) // self._options.groups
        prompts, width, vocabulary = scores.shape
        penalty = torch.zeros((prompts, vocabulary), device=scores.device)
        parents = torch.arange(width, device=scores.device).repeat(prompts, 1)
        chosen = torch.full((prompts, width), self._pad, device=scores.device)
        totals = beams.totals.clone()
        for first in range(0, width, size):
            group = slice(first, first + size)
            going = beams.going[:, group]
            offered = beams.totals[:, group, None] + scores[:, group] - penalty[:, None]
            offered = offered.masked_fill(~going[:, :, None], -torch.inf).flatten(1)
            best, places = offered.topk(size, dim=1)
            # The k-th best goes to the k-th place that has not ended.
            rank = (going.cumsum(1) - 1).clamp(min=0)
            best, places = best.gather(1, rank), places.gather(1, rank)
            totals[:, group] = torch.where(going, best, beams.totals[:, group])
            parents[:, group] = torch.where(going, places // vocabulary + first, parents[:, group])
            chosen[:, group] = torch.where(going, places % vocabulary, chosen[:, group])
            cost = going.float() * self._options.diversity
            penalty.scatter_add_(1, chosen[:, group], cost)
        made = scores[torch.arange(prompts, device=scores.device)[:, None], parents, chosen]
        made = made.masked_fill(~beams.going, 0.0)
        index = parents[:, :, None].expand(-1, -1, beams.tokens.shape[2])
        beams.tokens = torch.cat([beams.tokens.gather(1, index), chosen[:, :, None]], dim=2)
        beams.scores = torch.cat([beams.scores.gather(1, index), made[:, :, None]], dim=2)
        beams.totals = totals
        return parents

    def _read(self, rows: Any, scores: Any) -> tuple[list[Ending], list[float]]:
        """Endings and means of the best ``n`` beams of each prompt."""
        size = width_of(self._options) // self._options.groups
        endings: list[Ending] = []
        means: list[float] = []
        for prompt, (texts, columns) in enumerate(zip(rows.tolist(), scores.tolist(), strict=True)):
            read = [self._until.read(prompt, row) for row in texts]
            found = [
                (mean_of(column, ending), ending)
                for column, ending in zip(columns, read, strict=True)
            ]
            groups = [
                sorted(found[first : first + size], key=lambda item: -item[0])
                for first in range(0, len(found), size)
            ]
            rounds = [sorted(each, key=lambda item: -item[0]) for each in zip(*groups, strict=True)]
            kept = [item for each in rounds for item in each][: self._options.n]
            means += [mean for mean, _ in kept]
            endings += [ending for _, ending in kept]
        return endings, means


class _State:
    """What the model has read so far, one row per beam.

    Args:
        torch: The torch module.
        model: The model.
        ids: int64 [prompts, tokens].
        mask: int64 [prompts, tokens].
        width: Beams per prompt.

    Attributes:
        prefix: int64 [rows, tokens]; what stands before the generated tokens in every row.
    """

    def __init__(self, torch: Any, model: Any, ids: Any, mask: Any, width: int) -> None:
        self._torch = torch
        self._model = model
        self._width = width
        self._mask = mask.repeat_interleave(width, dim=0)
        self._encoded: Any = None
        if model.config.is_encoder_decoder:
            # Read once per prompt, and then shared by its beams.
            encoded = model.get_encoder()(input_ids=ids, attention_mask=mask)
            states = encoded.last_hidden_state.repeat_interleave(width, dim=0)
            self._encoded = type(encoded)(last_hidden_state=states)
            begin = model.generation_config.decoder_start_token_id
            self.prefix = torch.full((len(states), 1), begin, device=ids.device)
        else:
            self.prefix = ids.repeat_interleave(width, dim=0)
        self._next = self.prefix
        self._cache: Any = None

    def next_scores(self) -> Any:
        """Log probabilities of the next token of every row, float32 [rows, vocabulary]."""
        if self._encoded is None:
            given = {"input_ids": self._next, "attention_mask": self._mask, **self._positions()}
        else:
            given = {
                "encoder_outputs": self._encoded,
                "attention_mask": self._mask,
                "decoder_input_ids": self._next,
            }
        output = self._model(**given, past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        return output.logits[:, -1].float().log_softmax(dim=-1)

    def _positions(self) -> dict[str, Any]:
        """Positions that leave the padding at the left out, for models that take any."""
        from inspect import signature

        if "position_ids" not in signature(self._model.forward).parameters:
            return {}
        positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
        return {"position_ids": positions[:, -self._next.shape[1] :]}

    def go_on(self, parents: Any, tokens: Any) -> None:
        """Lets every row continue one of its prompt's rows with a token.

        Args:
            parents: int64 [prompts, width]; a beam of the same prompt.
            tokens: int64 [rows].
        """
        first = self._torch.arange(len(parents), device=parents.device) * self._width
        self._cache.reorder_cache((first[:, None] + parents).flatten())
        self._next = tokens[:, None]
        if self._encoded is None:
            self._mask = self._torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], 1)
