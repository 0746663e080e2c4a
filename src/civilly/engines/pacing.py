"""How long work is cut for an engine: into chunks of some seconds, of texts that go well together.

An engine may say what it does at a time (`Paced`) and count tokens; what is cut and how depends on
the engine and the texts, never on a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from civilly.data.chunks import chunks_of
from civilly.engines.limits import TokenCounter
from civilly.types import Engine

TOKENS_AT_ONCE = 1_024
"""Tokens of texts in a chunk, of an engine that does not say."""
TOKENS_PER_THREAD = 4_096
"""Of the embedded model: about 128 short texts, a quarter of a minute of work."""
TOKENS_WITHOUT_MODEL = 65_536
"""Of a method that needs no engine."""
BYTES_PER_TOKEN = 4
"""About as many bytes of UTF-8 are a token, where nobody counts."""
_COUNTED = 4_096  # texts at a time, so that memory stays bounded


@runtime_checkable
class Paced(Protocol):
    """An engine that says how much it does at a time."""

    @property
    def tokens_at_once(self) -> int:
        """Tokens of texts that keep it busy to good effect for some seconds."""
        ...


@runtime_checkable
class Concurrent(Protocol):
    """An engine that is asked over a network, best by several threads, one prompt each."""

    @property
    def requests_at_once(self) -> int:
        """The most requests that it takes at a time."""
        ...


def chunks_for(texts: Sequence[str], engine: Engine | None, window: int) -> list[list[int]]:
    """The rows of each chunk; see `civilly.data.chunks.chunks_of`.

    Args:
        texts: All of them.
        engine: Who works on them; None: nobody that is slow.
        window: The most rows among which some of like length are looked for.
    """
    if engine is None:
        return chunks_of([_estimate(text) for text in texts], TOKENS_WITHOUT_MODEL, window)
    most = engine.tokens_at_once if isinstance(engine, Paced) else TOKENS_AT_ONCE
    if not isinstance(engine, TokenCounter):
        return chunks_of([_estimate(text) for text in texts], most, window)
    batches = (texts[start : start + _COUNTED] for start in range(0, len(texts), _COUNTED))
    return chunks_of([n for batch in batches for n in engine.count_tokens(batch)], most, window)


def _estimate(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN
