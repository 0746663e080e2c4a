"""What a model finds toxic in a text, word by word, and what each of its uses makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from civilly import registry
from civilly.data.files import mend_surrogates
from civilly.detect.words import words
from civilly.pipeline import Toolbox
from civilly.types import Candidate, Detection, Span, Text

LIMIT = 1.0
"""From this toxic mass on, a word is marked."""
USES = {
    "infill": "cuts the marked words and fills the holes",
    "steer": "takes toxic words back while it writes, for the next most likely ones",
    "soften": "writes on from the first marked word, what is toxic taken out of its stream",
}
"""The methods, with what each does."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the model reads it.

    Attributes:
        start: First character.
        end: One past the last character.
        text: The word.
        mass: Toxic mass of its most toxic token, ≥ 0.
        latents: What is toxic there, strongest first: ``latent``, ``height``, ``mass``.
    """

    start: int
    end: int
    text: str
    mass: float
    latents: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Use:
    """What a use makes of the text.

    Attributes:
        rewritten: None where it proposes nothing.
        trace: Where it changed what; see `civilly.types.Candidate.trace`.
    """

    rewritten: str | None
    trace: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """See the module.

    Attributes:
        text: The text.
        lang: Its language.
        inside: Reading, kind and layer.
        words: In order.
        uses: By the name of the method.
    """

    text: str
    lang: str
    inside: Mapping[str, Any]
    words: tuple[Word, ...]
    uses: Mapping[str, Use]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def explain(
    text: str,
    lang: str,
    place: Path | None = None,
    reading: str | None = None,
    engine: str | None = None,
) -> Explanation:
    """Reads a text, and asks each use what it would write.

    Args:
        text: Any text.
        lang: Its language.
        place: File of what is toxic; None: the one that ships.
        reading: Which of its readings; None: the latents.
        engine: ``embedded`` (None) or ``hf:MODEL``.

    Raises:
        MissingExtraError: If the extra ``sae`` is not installed.
        ModelError: If a file is missing or does not fit the model.
        EngineError: If the engine cannot be looked into.
        UnknownNameError: If the file holds no such reading.
    """
    from civilly.methods.soften import Edit, SoftenRewriter
    from civilly.methods.steer import SteerRewriter
    from civilly.methods.toxic_options import open_inside

    options: dict[str, Any] = {"toxic": str(place) if place else None, "reading": reading}
    inside = open_inside(Toolbox(engine, options))
    source = Text(mend_surrogates(text), lang)
    ((tokens, stream),) = inside.read([source.text])
    mass = inside.toxic.mass(stream).tolist()
    found = []
    for start, end in words(source.text, lang):
        own = [k for k, at in enumerate(tokens.offsets) if at[0] < end and start < at[1]]
        worst = max(own, key=mass.__getitem__, default=None)
        if worst is not None:
            why = inside.why(stream[worst : worst + 1])
            word = source.text[start:end]
            found.append(Word(start, end, word, round(mass[worst], 4), why))
    marked = [Span(w.start, w.end, min(1.0, w.mass / 2)) for w in found if w.mass >= LIMIT]
    detection = Detection(1.0 if marked else 0.0, tuple(marked))
    filler = {"filler": "plain"} if (engine or "").startswith("hf:") else {}
    writers = {
        "infill": registry.create("methods", "infill", Toolbox(engine, filler)),
        "steer": SteerRewriter(inside),
        "soften": SoftenRewriter(inside, Edit()),
    }
    uses = {name: _use(each.rewrite([source], [detection], 1)[0]) for name, each in writers.items()}
    return Explanation(source.text, lang, inside.described, tuple(found), uses)


def _use(candidates: list[Candidate]) -> Use:
    return Use(candidates[0].text, candidates[0].trace) if candidates else Use(None, {})


def pieces(explanation: Explanation) -> list[tuple[str, Word | None]]:
    """The text in order: its words, and what stands between them."""
    text, place = explanation.text, 0
    found: list[tuple[str, Word | None]] = []
    for word in explanation.words:
        found += [(text[place : word.start], None), (text[word.start : word.end], word)]
        place = word.end
    return [each for each in [*found, (text[place:], None)] if each[0]]


def page(explanation: Explanation) -> str:
    """The explanation as one HTML page, which loads nothing."""
    shown = "".join(_marked(text, word) for text, word in pieces(explanation))
    rows = "".join(_row(word) for word in explanation.words if word.latents)
    uses = "".join(
        f"<tr><th>{name}<small>{USES[name]}</small></th><td dir=auto>{_told(use)}</td></tr>"
        for name, use in explanation.uses.items()
    )
    about = ", ".join(f"{key} {escape(str(value))}" for key, value in explanation.inside.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Toxic mass</title>'
        f"<style>{_STYLE}</style><h1>What the model finds toxic</h1><p>{about}</p>"
        f'<p class="text" dir="auto" lang="{escape(explanation.lang)}">{shown}</p>'
        f"<h2>Behind it</h2><table><tr><th>word<th>toxic mass<th>latents</tr>{rows}</table>"
        f"<h2>What each use would write</h2><table>{uses}</table></html>\n"
    )


_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    ".text{font-size:1.4rem}mark{border-radius:3px;padding:0 .1em;color:inherit}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem .6rem;"
    "text-align:start;vertical-align:top}small{display:block;font-weight:400}"
)


def _marked(text: str, word: Word | None) -> str:
    if word is None or word.mass <= 0:
        return escape(text)
    strength = min(1.0, word.mass / (2 * LIMIT))
    return (
        f'<mark style="background:rgba(214,69,65,{strength:.2f})" '
        f'title="toxic mass {word.mass:.2f}">{escape(text)}</mark>'
    )


def _row(word: Word) -> str:
    return f"<tr><td dir=auto>{escape(word.text)}<td>{word.mass:.2f}<td>{escape(told(word))}</tr>"


def told(word: Word) -> str:
    """The latents behind a word, in one line."""
    return ", ".join(f"{each['latent']} ({each['mass']:.2f})" for each in word.latents)


def _told(use: Use) -> str:
    return "<em>nothing</em>" if use.rewritten is None else escape(use.rewritten)
