"""A language model that never saw a hole: the left side generates, the right side scores.

The baseline that training to fill in the middle has to beat. The model goes on from the text before
the hole; every beginning of what it says, up to about the length of the hole, is a filling, and the
best are those after which it finds the rest of the text most likely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from civilly.detect.words import words
from civilly.methods import decoding
from civilly.methods.decoding import ADAPTER_OPTION, Decoding
from civilly.methods.delete import BLANKS, first_blanks, last_blanks
from civilly.methods.holes import Filling, Gap, fits
from civilly.types import Engine, Prompt, Segment, TextScorer, Tools

MOST_BEGINNINGS = 3
"""Beginnings of one continuation that are scored."""
MOST_TOKENS = 16
"""Tokens of a continuation: enough for those beginnings."""
SCORED_AFTER = 80
"""Characters of the text after the hole that count."""


class PlainFiller:
    """See the module.

    Args:
        engine: Any engine; one that cannot score text leaves the order to the left side.
        adapter: Folder of an adapter, or None.
        decoding: How continuations are generated; default: beam search.
    """

    def __init__(
        self, engine: Engine, adapter: str | None = None, decoding: Decoding | None = None
    ) -> None:
        self._engine = engine
        self._adapter = adapter
        self._decoding = decoding or Decoding()

    def fill(self, gaps: Sequence[Gap], n: int) -> list[list[Filling]]:
        """See `civilly.methods.holes.Filler`; the log probability is of filling and what follows.

        There are none where the engine was given nothing to go on from.
        """
        open_ones = [i for i, gap in enumerate(gaps) if gap.before.strip()]
        prompts = [_left(gaps[i]) for i in open_ones]
        wanted = 1 if self._decoding.kind == "greedy" else n
        options = self._decoding.generation(
            wanted, max_new_tokens=MOST_TOKENS, adapter=self._adapter
        )
        made = self._engine.generate(prompts, options) if prompts else []
        proposed: list[list[str]] = [[] for _ in gaps]
        for i, row in zip(open_ones, made, strict=True):
            found = (text for each in row for text in beginnings(gaps[i], each.text))
            proposed[i] = list(dict.fromkeys(found))
        return self._ranked(gaps, proposed, n)

    def _ranked(
        self, gaps: Sequence[Gap], proposed: Sequence[Sequence[str]], n: int
    ) -> list[list[Filling]]:
        if not isinstance(self._engine, TextScorer):
            return [[Filling(text) for text in row[:n]] for row in proposed]
        flat = [(gap, text) for gap, row in zip(gaps, proposed, strict=True) for text in row]
        scores = iter(
            self._engine.logprobs(
                [_left(gap) for gap, _ in flat],
                [_continued(gap, text) for gap, text in flat],
                self._adapter,
            )
        )
        rated = [[Filling(text, next(scores)) for text in row] for row in proposed]
        return [sorted(row, key=lambda each: -(each.logprob or 0.0))[:n] for row in rated]


def _left(gap: Gap) -> Prompt:
    before = gap.before.rstrip(BLANKS)
    return replace(Prompt((Segment(before),)), max_new_tokens=MOST_TOKENS)


def _continued(gap: Gap, text: str) -> str:
    """What stands after the prompt if a hole is filled, as far as it is scored."""
    return last_blanks(gap.before) + text + gap.after[:SCORED_AFTER]


def beginnings(gap: Gap, continuation: str) -> Iterator[str]:
    """Beginnings of what a model said after a gap's left side, in whole words, shortest first.

    Args:
        gap: The hole.
        continuation: What the model said.
    """
    line = continuation.split("\n")[0] if "\n" not in gap.cut else continuation
    lead = len(first_blanks(line))
    ends = [end for _, end in words(line, gap.lang)]
    for end in ends[:MOST_BEGINNINGS]:
        text = line[lead:end]
        if text and fits(gap, text):
            yield text


OPTIONS = (*decoding.OPTIONS, ADAPTER_OPTION)


def create(tools: Tools, options: Mapping[str, Any]) -> PlainFiller:
    """The filler; ``adapter`` names an adapter, the others are options of the decoding.

    Raises:
        CivillyError: If an option is wrong.
    """
    adapter = options.get("adapter")
    return PlainFiller(tools.engine(), str(adapter) if adapter else None, Decoding.read(options))
