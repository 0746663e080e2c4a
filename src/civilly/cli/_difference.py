"""Shows a person what a rewrite changed."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from civilly.cli._console import console, visible
from civilly.languages import LANGUAGES

if TYPE_CHECKING:
    from rich.text import Text

    from civilly.data.journal import Record

MOST_PIECES = 2_000
"""Comparing takes time quadratic in the length; nobody reads a longer difference anyway."""

_WORD = re.compile(r"\w+|\s+|[^\w\s]")


def show_difference(record: Record) -> None:
    """Prints the difference, the toxicity before and after and the reason on standard error."""
    if record["changed"]:
        console().print(difference(record["text"], record["rewritten"], record["lang"]))
    before, after = record["before"]["p_toxic"], record["after"]["p_toxic"]
    console().print(
        f"{record['lang']} · {record['method']} · p(toxic) {before:.2f} → {after:.2f} · "
        f"{visible(record['reason'])}",
        style="dim",
        markup=False,
    )


def difference(before: str, after: str, lang: str) -> Text:
    """Both texts in one: what went is red and struck through, what came is green.

    Words are compared; characters in languages that do not separate words by spaces.
    """
    from rich.text import Text

    by_words = lang not in LANGUAGES or LANGUAGES[lang].spaces
    old, new = (_WORD.findall(text) if by_words else list(text) for text in (before, after))
    if max(len(old), len(new)) > MOST_PIECES:
        return Text(visible(after))
    shown = Text()
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            shown.append(visible("".join(old[a:b])))
            continue
        shown.append(visible("".join(old[a:b])), style="red strike")
        shown.append(visible("".join(new[c:d])), style="green")
    return shown
