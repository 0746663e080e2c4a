"""Emoji that are insults, and how far one of them reaches."""

from __future__ import annotations

import re

ALWAYS = frozenset("🤡🖕")
"""Insults in every text that is toxic at all."""
AT_TIMES = ALWAYS | frozenset("💩🐷🐖🐽🐍🐀🐁🐒🐵🦍🐕🐶🐩🐄🐮🐑🫏🐓🤮👺🍆")
"""Insults where a detector says so; every other emoji stays, whatever is around it."""

_REACH = re.compile(
    "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*(?:\u200d[^\\w\\s][\ufe0f\U0001f3fb-\U0001f3ff]*)*"
)
"""What modifies an emoji: its colour, skin, and what is joined to it."""


def emoji_end(text: str, end: int) -> int:
    """One past the emoji that ends, without its modifiers, at ``end``."""
    found = _REACH.match(text, end)
    return found.end() if found else end
