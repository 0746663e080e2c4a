"""Gives the last user text of a prompt back; deterministic, for tests and dry runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from civilly.engines.requests import check, cut_at_stop, refuse_target
from civilly.types import Generation, GenerationOptions, Prompt


def user_text(prompt: Prompt) -> str:
    r"""The last user text of a prompt.

    That is the last plain segment that is not blank. Where it is a few-shot prompt of several
    lines, the last of which is a label that waits for its text (``Polite:``), it is the line
    before, without its own label: ``Rude: "…"\nPolite:`` gives ``"…"``.
    """
    plain = [segment.text for segment in prompt.segments if not segment.special]
    text = next((piece for piece in reversed(plain) if piece.strip()), "")
    *before, last = text.split("\n")
    if before and last.endswith(":"):
        return before[-1].partition(": ")[2] or before[-1]
    return text


class EchoEngine:
    """Answers with the user's own text, without any model."""

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        """``options.n`` generations per prompt, in order.

        The first is `user_text` itself, the others are numbered: ``(2) text``, ``(3) text``.
        Token limits, temperature and seed change nothing; stop strings cut as everywhere.
        """
        check(prompts, options)
        answers = []
        for prompt in prompts:
            text = user_text(prompt)
            variants = [text] + [f"({number}) {text}" for number in range(2, options.n + 1)]
            answers.append([Generation(cut_at_stop(each, options.stop)[0]) for each in variants])
        return answers


OPTIONS = ()
check_target = partial(refuse_target, "echo")
"""Makes sure that nothing follows the engine's name."""


def create(target: str = "") -> EchoEngine:
    """The echo engine; it opens nothing, and raises as `check_target` does."""
    check_target(target)
    return EchoEngine()
