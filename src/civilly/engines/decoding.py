"""Where a continuation of a transformers model ends, and how likely each of its tokens was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from civilly.engines.encoding import PromptEncoder
from civilly.engines.requests import cut_at_stop


@dataclass(frozen=True, slots=True)
class Ending:
    """One continuation, read from a row of ids.

    Attributes:
        text: The text, without special tokens and stop strings.
        tokens: How many tokens the model generated for it, with the one that ended it.
        finished: False if the limit cut it off.
    """

    text: str
    tokens: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Until:
    """Ends every row of a batch by itself: at its own limit, or at a stop string.

    It is a stopping criterion of ``generate``. It looks at nothing but the ids of a row, so it
    also serves beam search, where rows change places.

    Attributes:
        torch: The torch module.
        encoder: Reads tokens.
        contexts: The prompts' ids; empty ones where the continuation stands alone.
        limits: The most tokens of each prompt.
        stop: Stop strings.
        ends: Ids of the tokens that end a text.
        start: Position of the first generated token in every row.
    """

    torch: Any
    encoder: PromptEncoder
    contexts: Sequence[Sequence[int]]
    limits: Sequence[int]
    stop: tuple[str, ...]
    ends: frozenset[int]
    start: int

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
        """One truth value per row, for ``ids`` of shape (rows, tokens so far)."""
        per_prompt = len(ids) // len(self.limits)
        made = ids.shape[1] - self.start
        stopped = [False] * len(ids)
        if any(self.stop):
            stopped = [self._stops(row[self.start :]) for row in ids.tolist()]
        done = [
            stopped[row] or made >= self.limits[row // per_prompt] for row in range(len(stopped))
        ]
        return self.torch.tensor(done, device=ids.device)

    def _stops(self, made: Sequence[int]) -> bool:
        """Whether a stop string ends in the last token: it spans no more tokens than bytes."""
        longest = max(len(word.encode()) for word in self.stop)
        recent = self.encoder.decode(made[-longest:], made[:-longest])
        return cut_at_stop(recent, self.stop)[1]

    def read(self, prompt: int, row: Sequence[int]) -> Ending:
        """Reads one row of the result.

        Args:
            prompt: Which prompt of the batch it continues.
            row: All ids of the row, also the prompt's and the padding.
        """
        made = list(row[self.start :][: self.limits[prompt]])
        end = next((place for place, token in enumerate(made) if token in self.ends), None)
        tokens = len(made) if end is None else end + 1
        made = made[:end]
        if any(self.stop):
            for length in range(1, len(made) + 1):
                if self._stops(made[:length]):
                    tokens, made, end = length, made[:length], length
                    break
        text, _ = cut_at_stop(self.encoder.decode(made, self.contexts[prompt]), self.stop)
        # The limit may fall between the bytes of one character.
        return Ending(text if end is not None else text.rstrip("\ufffd"), tokens, end is not None)


def mean_of(scores: Sequence[float], ending: Ending) -> float:
    """Mean log probability of the tokens up to an ending."""
    return sum(scores[: ending.tokens]) / ending.tokens


class TokenScores:
    """Records the log probability of every token while it is generated.

    It is a logits processor of ``generate`` that changes nothing. It sees the model's own logits,
    before temperature and top-k, and keeps one step of them, not all.
    """

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._distribution: Any = None
        self._columns: list[Any] = []

    def __call__(self, ids: Any, logits: Any) -> Any:
        """Notes the distribution of the next token, and the score of the last one."""
        self._settle(ids[:, -1])
        self._distribution = logits.float().log_softmax(dim=-1)
        return logits

    def _settle(self, tokens: Any) -> None:
        if self._distribution is not None:
            self._columns.append(self._distribution.gather(1, tokens[:, None])[:, 0])

    def of(self, sequences: Any) -> Any:
        """Log probabilities of all generated tokens, of shape (rows, steps), once it is over."""
        self._settle(sequences[:, -1])
        self._distribution = None
        return self._torch.stack(self._columns, dim=1)
