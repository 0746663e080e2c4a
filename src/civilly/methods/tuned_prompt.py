"""How the tuned adapter is prompted; training and rewriting share it to the token."""

from __future__ import annotations

from civilly.languages import language
from civilly.types import Prompt, Segment

MAX_GROWTH = 1.3
"""An answer may have this many tokens per token of the prompt (text and frame)."""
MOST_BYTES_PER_TOKEN = 2
"""An answer may have one token per so many UTF-8 bytes of the text, where nobody counts tokens."""


def tuned_prompt(text: str, lang: str) -> Prompt:
    r"""The prompt ``English\n<text>\nPolite\n``.

    The text starts a line, as the answer does, so that both are cut into the same tokens and
    copying is the easy case. The user's text is a piece of its own: nothing in it can become a
    special token or move the frame around it.
    """
    frame = (Segment(f"{language(lang).name}\n"), Segment(text), Segment("\nPolite\n"))
    limit = 16 + len(text.encode("utf-8", "replace")) // MOST_BYTES_PER_TOKEN
    return Prompt(frame, max_new_tokens=limit, max_growth=MAX_GROWTH)
