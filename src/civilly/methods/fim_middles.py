"""Asks an engine for what belongs into holes, and reads its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from civilly.engines.infilling import Hole, Infiller
from civilly.engines.requests import as_written, cut_at_stop
from civilly.errors import CivillyError
from civilly.languages import UNSPACED_LETTER, in_word, language
from civilly.methods.delete import BLANKS, first_blanks, last_blanks
from civilly.methods.fim_formats import (
    FimFormat,
    fim_prompt,
    longest_middle,
    sides_of,
)
from civilly.methods.holes import MARKS, Gap
from civilly.types import Engine, Generation, GenerationOptions


def ask_middles(
    engine: Engine,
    form: FimFormat,
    gaps: Sequence[Gap],
    options: GenerationOptions,
    order: str | None = None,
    *,
    show_cut: bool = False,
) -> list[list[Generation]]:
    """What an engine writes into each hole, as it stands; `read_middle` makes fillings of it.

    Args:
        engine: Any engine. One that builds prompts itself (`civilly.engines.infilling.Infiller`)
            is given the two sides.
        form: The family of its model.
        gaps: The holes.
        options: How to generate; the family's stops are added.
        order: ``psm`` or ``spm``; None is the family's first.
        show_cut: Whether the model sees what was cut out.

    Returns:
        ``1..options.n`` generations per gap, in order, best first.

    Raises:
        CivillyError: If the family has no such order, or cannot show what was cut out; or if
            either is asked for and the engine builds the prompts.
        EngineError: If the engine fails.
    """
    stop = (*form.stop, *options.stop)
    # Models of code go on with the next line. Servers take few stops, so it comes early.
    ends_line = (*stop[:2], "\n", *stop[2:])
    on_a_line = [bool(form.stop) and "\n" not in gap.cut for gap in gaps]
    found: list[list[Generation]] = [[] for _ in gaps]
    for one_line in sorted({*on_a_line}):
        rows = [i for i, each in enumerate(on_a_line) if each == one_line]
        asked = replace(options, stop=ends_line if one_line else stop)
        made = _ask(engine, form, [gaps[i] for i in rows], asked, order, show_cut=show_cut)
        for i, generations in zip(rows, made, strict=True):
            found[i] = generations
    return found


def _ask(
    engine: Engine,
    form: FimFormat,
    gaps: Sequence[Gap],
    options: GenerationOptions,
    order: str | None,
    *,
    show_cut: bool,
) -> list[list[Generation]]:
    if not (isinstance(engine, Infiller) and engine.infills):
        prompts = [fim_prompt(form, gap, order, show_cut=show_cut) for gap in gaps]
        return engine.generate(prompts, options)
    if order is not None or show_cut:
        raise CivillyError(
            f"The engine builds the prompts itself, so {'cut' if order is None else 'order'} "
            "cannot be chosen.",
            mend="fim=prompt in the engine's address",
        )
    return engine.infill([_hole(form, gap) for gap in gaps], options)


def _hole(form: FimFormat, gap: Gap) -> Hole:
    sides = sides_of(form, gap)
    return Hole(sides.prefix, sides.suffix, longest_middle(gap), form.control)


def read_middle(form: FimFormat, gap: Gap, made: str) -> str:
    """What goes between ``gap.before`` and ``gap.after``, read from what a model wrote.

    Models of code often go on in prose. So the middle ends at a control token's spelling, at a line
    break (unless the cut had one), and where it begins to repeat what follows the hole. The blanks
    that the prompt left out are there in the text already and are not doubled; those that were
    cut out, and that the middle needs, are put back.
    """
    made, _ = cut_at_stop(made, [each for token in form.control for each in as_written(token)])
    return fit_middle(gap, made)


def fit_middle(gap: Gap, made: str) -> str:
    """What a model wrote, from line breaks and repetitions to the blanks made fit for a gap.

    See `read_middle`.
    """
    if "\n" not in gap.cut:
        made = made.partition("\n")[0]
    made = _before_repeat(made, gap.after)
    core = made.strip(BLANKS)
    if not core:
        return ""
    if not language(gap.lang).spaces:  # some tokenizers write blanks between all tokens
        made = core
    cut_left = "" if core[0] in MARKS else first_blanks(gap.cut)
    left = _blank(gap.before[-1:], first_blanks(made), cut_left)
    if gap.after[:1] in tuple(MARKS):
        return left + core
    return left + core + _blank(gap.after[:1], last_blanks(made), last_blanks(gap.cut))


_REPEATED = 16
"""Characters of the suffix that a middle may not repeat."""


def _before_repeat(made: str, after: str) -> str:
    """The part of a middle before the suffix begins anew, in whole or, at its end, in part."""
    head = after.strip(BLANKS)[:_REPEATED].rstrip(BLANKS)
    if not head:
        return made
    whole = head == after.strip(BLANKS)
    start = made.find(head)
    while start >= 0:
        end = start + len(head)
        if not (_inside(made, start) or (whole and _inside(made, end))):
            return made[:start]
        start = made.find(head, start + 1)
    for size in range(min(len(head), len(made)), 3, -1):
        if made.endswith(head[:size]) and not _inside(made, len(made) - size):
            return made[:-size]
    return made


def _inside(text: str, place: int) -> bool:
    """Whether a place is between two letters of one word; where none are spaced, nothing is."""
    sides = text[max(0, place - 1) : place + 1]
    return 0 < place < len(text) and all(in_word(c) and not UNSPACED_LETTER.match(c) for c in sides)


def _blank(neighbour: str, made: str, cut: str) -> str:
    """Blanks between a filling and its neighbour: none where there are some or no neighbour."""
    if not neighbour or neighbour in BLANKS + "\r\n":
        return ""
    return made or cut
