"""Asks a model that was trained to fill in the middle, of any family and through any engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.engines import model_name
from civilly.errors import CivillyError, UnknownNameError
from civilly.methods import decoding
from civilly.methods.decoding import ADAPTER_OPTION, Decoding
from civilly.methods.fim_formats import FimFormat, Slot, family_of, format_of
from civilly.methods.fim_middles import ask_middles, read_middle
from civilly.methods.holes import Filling, Gap, fits
from civilly.model.adapter import adapter_digest, shipped_adapter
from civilly.registry import Option
from civilly.types import Engine, Generation, Preparable, Tools

ADAPTER = "fim"
"""Name of the adapter that the package brings."""
OWN_FAMILY = "civilly"
_OWN_ENGINES = ("embedded", "echo")
"""Engines without a model's name to guess a family from."""


class FimFiller:
    """See the module.

    Args:
        engine: Any engine.
        form: How its model is asked.
        order: ``psm`` or ``spm``; None is the family's first.
        adapter: Folder of an adapter, or None.
        show_cut: Whether the model sees what was cut out.
        decoding: How middles are generated; default: beam search.

    Raises:
        CivillyError: If the family has no such order, or cannot show what was cut out.
    """

    def __init__(
        self,
        engine: Engine,
        form: FimFormat,
        *,
        order: str | None = None,
        adapter: str | None = None,
        show_cut: bool = False,
        decoding: Decoding | None = None,
    ) -> None:
        form.layout(order)
        self._engine = engine
        self._form = form
        self._order = order
        self._adapter = adapter
        self._show_cut = show_cut
        self._decoding = decoding or Decoding()

    def fill(self, gaps: Sequence[Gap], n: int) -> list[list[Filling]]:
        """See `civilly.methods.holes.Filler`; no middle that the token limit broke off."""
        if not gaps:
            return []
        wanted = 1 if self._decoding.kind == "greedy" else n
        options = self._decoding.generation(
            wanted, max_new_tokens=_most(gaps), adapter=self._adapter
        )
        made = ask_middles(
            self._engine, self._form, gaps, options, self._order, show_cut=self._show_cut
        )
        return [self._read(gap, row) for gap, row in zip(gaps, made, strict=True)]

    def _read(self, gap: Gap, made: Sequence[Generation]) -> list[Filling]:
        found: dict[str, Filling] = {}
        for generation in made:
            text = read_middle(self._form, gap, generation.text)
            if (generation.finished or not _breaks_off(generation.text, text)) and fits(gap, text):
                found.setdefault(text, Filling(text, generation.logprob))
        return list(found.values())


def _breaks_off(made: str, text: str) -> bool:
    """Whether all that a model wrote was read, so that more might belong to it."""
    made, text = made.rstrip(), text.strip()
    return made.endswith(text) if text else not made


def _most(gaps: Sequence[Gap]) -> int:
    return max(len(gap.cut.encode("utf-8", "replace")) for gap in gaps) + 16


OPTIONS = (
    *decoding.OPTIONS,
    ADAPTER_OPTION,
    Option("family", "Whose prompt the model reads; see docs/infill.md."),
    Option("order", "Which side of the hole comes first.", ("psm", "spm")),
    Option("cut", "Whether the model sees what was cut out.", ("shown", "hidden")),
)


def create(tools: Tools, options: Mapping[str, Any]) -> FimFiller:
    """The filler; see `OPTIONS`.

    Raises:
        CivillyError: If an option is wrong, or the family of the engine's model is not known.
        ModelError: If the shipped adapter is needed and not there.
    """
    spec = tools.engine_spec or _OWN_ENGINES[0]
    form = _family(options, spec)
    decoding = Decoding.read(options)
    shows = any(Slot.SHOWN in layout for layout in form.layouts.values())
    cut = options.get("cut") or ("shown" if shows else "hidden")
    if cut not in ("shown", "hidden"):
        raise UnknownNameError("value of the option 'cut'", str(cut), ("shown", "hidden"))
    if cut == "shown" and not shows:
        raise CivillyError(
            f"Prompts of the family {form.name!r} cannot show what was cut out.",
            allowed="cut=hidden",
        )
    engine, folder = tools.engine(), adapter_folder(options, tools.engine_spec)
    adapter = str(folder) if folder else None
    if isinstance(engine, Preparable):
        engine.prepare(adapter)
    order = options.get("order")
    return FimFiller(
        engine,
        form,
        order=None if order is None else str(order),
        adapter=adapter,
        show_cut=cut == "shown",
        decoding=decoding,
    )


def _family(options: Mapping[str, Any], spec: str) -> FimFormat:
    if given := options.get("family"):
        return format_of(str(given))
    if spec in _OWN_ENGINES:
        return format_of(OWN_FAMILY)
    return family_of(model_name(spec))


def adapter_folder(options: Mapping[str, Any], spec: str | None) -> Path | None:
    """The adapter that is named; else the shipped one for the embedded engine, and no other.

    Raises:
        ModelError: If the package brings none.
    """
    if given := options.get("adapter"):
        return Path(str(given))
    return shipped_adapter(ADAPTER) if (spec or "embedded") == "embedded" else None


def fingerprint(tools: Tools) -> str:
    """A hash of the adapter."""
    folder = adapter_folder(tools.options, tools.engine_spec)
    return adapter_digest(folder) if folder else ""
