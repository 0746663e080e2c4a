"""Who writes which rows of a batch, where a route has something else than the default for some."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civilly.errors import CivillyError
from civilly.select.route import LARGE, LIGHT, Route, Way, read_route, shipped_route

if TYPE_CHECKING:
    from civilly.pipeline.detoxifier import Detoxifier

OFF = "off"
"""Instead of a route file: the method that was chosen writes everything."""


class Routes:
    """Shares the rows of a batch out among writers, by their languages.

    Args:
        default: Writes all rows that no route is for.
        route: A route file, `OFF`, or None for the one that ships.
        plain: Whether nothing was chosen that a route would override.

    Raises:
        CivillyError: If a route file was named, and a method, engine, model, adapter or option as
            well.
        DataError: If that file is none, or of another version.
    """

    def __init__(
        self, default: Detoxifier, route: str | os.PathLike[str] | None, *, plain: bool
    ) -> None:
        self._default = default
        self._writers: dict[Way, Detoxifier] = {}
        named = None if route in (None, OFF) else Path(os.fspath(route))
        if named is not None and not plain:
            raise CivillyError(
                f"The route {str(named)!r} says what writes, and so do other arguments.",
                mend="leave out method, engine, model, adapter and options, or the route",
            )
        self._route = read_route(named) if named else None
        self._shipped = route is None and plain

    @cached_property
    def route(self) -> Route:
        """The route that counts; an empty one where everything is the default's."""
        return self._route or (shipped_route() if self._shipped else Route())

    def describe(self) -> dict[str, Any]:
        """What the results depend on besides; nothing where the default writes everything."""
        ways = {lang: self.route.way(lang, self._models) for lang in sorted(self.route.ways)}
        known = {lang: str(way) for lang, way in ways.items() if way}
        return {"route": known} if known else {}

    def shared_out(self, langs: Sequence[str]) -> list[tuple[Detoxifier, list[int]]]:
        """The rows of each writer, in order.

        Rows of one way go together, so that no model is loaded twice for a batch. What comes out of
        a row does not depend on the others (`civilly.engines.loaded_model`).

        Args:
            langs: The language of each row.

        Raises:
            ModelError: If an adapter is missing that a named route file wants.
        """
        if not self.route.ways:
            return [(self._default, list(range(len(langs))))]
        ways = {lang: self.route.way(lang, self._models) for lang in dict.fromkeys(langs)}
        rows: dict[Way | None, list[int]] = {}
        for row, lang in enumerate(langs):
            rows.setdefault(ways[lang], []).append(row)
        return [(self._writer(way), some) for way, some in rows.items()]

    @cached_property
    def _models(self) -> tuple[str, ...]:
        """The sizes of the product that can be used here."""
        from civilly.model.large_source import part_paths

        try:
            part_paths()
        except CivillyError:  # the extra is not installed, or not whole
            return (LIGHT,)
        return (LIGHT, LARGE)

    def _writer(self, way: Way | None) -> Detoxifier:
        if way is None:
            return self._default
        if way not in self._writers:
            folder = self.route.adapter(way)
            other = {"method": way.method, "adapter": folder, "route": OFF}
            self._writers[way] = (
                self._default.varied(**other)
                if way.model == LIGHT
                else self._default.with_model(way.model, **other)
            )
        return self._writers[way]
