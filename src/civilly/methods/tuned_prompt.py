"""How the tuned adapter is prompted; training and rewriting share it to the token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from civilly.languages import language
from civilly.types import Prompt, Segment, Span

MAX_GROWTH = 1.3
"""An answer may have this many tokens per token of the prompt (text and frame)."""
MOST_BYTES_PER_TOKEN = 2
"""An answer may have one token per so many UTF-8 bytes of the text, where nobody counts tokens."""


def tuned_prompt(text: str, lang: str, rude: Sequence[str] = ()) -> Prompt:
    r"""The prompt ``English\n<text>\nPolite\n``, or ``English\n<text>\nRude: a, b\nPolite\n``.

    The text starts a line, as the answer does, so that both are cut into the same tokens and
    copying is the easy case. The user's text is a piece of its own: nothing in it can become a
    special token or move the frame around it.

    Args:
        text: What is to be rewritten.
        lang: Its language.
        rude: What of it is known to be rude, for a model that was trained to be told.
    """
    told = (Segment("\nRude: "), Segment(", ".join(rude))) if rude else ()
    frame = (Segment(f"{language(lang).name}\n"), Segment(text), *told, Segment("\nPolite\n"))
    limit = 16 + len(text.encode("utf-8", "replace")) // MOST_BYTES_PER_TOKEN
    return Prompt(frame, max_new_tokens=limit, max_growth=MAX_GROWTH)


def rude_words(text: str, spans: Iterable[Span]) -> tuple[str, ...]:
    """What a prompt lists of the stretches that a detector marked: each once, in their order."""
    return tuple(dict.fromkeys(text[span.start : span.end] for span in spans))
