"""Shows a person what a rewrite changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from civilly.cli._console import console, visible

if TYPE_CHECKING:
    from rich.text import Text

    from civilly.data.journal import Record


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
    """Both texts in one: what went is red and struck through, what came is green."""
    from rich.text import Text

    from civilly.methods.edits import edits

    shown, place = Text(), 0
    for edit in edits(before, after, lang):
        shown.append(visible(before[place : edit.start]))
        shown.append(visible(edit.cut), style="red strike")
        shown.append(visible(edit.put), style="green")
        place = edit.end
    shown.append(visible(before[place:]))
    return shown
