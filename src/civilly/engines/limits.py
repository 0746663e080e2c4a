"""How many tokens a text has and its answer may have; stopping a greedy search there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from civilly.types import GenerationOptions, Prompt


@runtime_checkable
class TokenCounter(Protocol):
    """An engine that can say how many tokens a text has, and so what it costs."""

    def count_tokens(self, texts: Sequence[str], adapter: str | None = None) -> list[int]:
        """Tokens of each text, in order."""
        ...


def limit_of(prompt: Prompt, tokens: int, options: GenerationOptions) -> int:
    """The most tokens to generate for a prompt of ``tokens`` tokens."""
    limits = [options.max_new_tokens]
    if prompt.max_new_tokens is not None:
        limits.append(prompt.max_new_tokens)
    if prompt.max_growth is not None:
        limits.append(int(prompt.max_growth * tokens))
    return max(1, min(limits))


def stop_after(most: Sequence[int]) -> Callable[[Any], bool]:
    """CTranslate2 asks it after every token of a greedy search whether that row is to stop.

    Args:
        most: The most tokens of each row.
    """
    made = [0] * len(most)

    def stop(step: Any) -> bool:
        row: int = step.batch_id
        made[row] += 1
        return made[row] >= most[row]

    return stop
