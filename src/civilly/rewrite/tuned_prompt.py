"""How the tuned adapter is prompted; training and rewriting share it to the token."""

from __future__ import annotations

from civilly.languages import language
from civilly.types import Prompt, Segment

BEGIN = Segment("<bos>", special=True)
MAX_GROWTH = 1.5
"""An answer may have this many tokens per input token, plus `SLACK`."""
SLACK = 12


def tuned_prompt(text: str, lang: str) -> Prompt:
    r"""The prompt ``<bos>English\n<text>\nPolite\n``.

    The text starts a line, as the answer does, so that both are cut into the same tokens and
    copying is the easy case. The user's text is a piece of its own: nothing in it can become a
    special token or move the frame around it.
    """
    return Prompt(
        (BEGIN, Segment(f"{language(lang).name}\n"), Segment(text), Segment("\nPolite\n"))
    )


def answer_limit(text_tokens: int) -> int:
    """The most tokens an answer to ``text_tokens`` input tokens may have."""
    return int(text_tokens * MAX_GROWTH) + SLACK
