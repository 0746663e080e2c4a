"""The rewriters that requests ask for, all on one set of loaded models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from civilly import registry
from civilly.errors import UnknownNameError
from civilly.methods.ensemble import names_of
from civilly.methods.records import filler_of
from civilly.pipeline import Detoxifier
from civilly.serve.refusals import Refused
from civilly.serve.settings import Settings

KEPT = 64
"""How many ways to ask are remembered; each costs little beside the models, which they share."""
MOST_METHODS = 3
"""The most methods that one request may join: each takes its time."""


class Detoxifiers:
    """Makes and keeps them.

    Args:
        settings: What the server was started with.

    Attributes:
        known: The rewriting methods that there are.

    Raises:
        CivillyError: If the settings name a method, engine or option that does not exist.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first = Detoxifier(
            method=settings.method,
            engine=settings.engine,
            model=settings.model,
            adapter=settings.adapter,
            options=settings.options,
        )
        self.known = tuple(registry.entries("methods"))
        self._of = lru_cache(maxsize=KEPT)(self._made)

    def of(self, method: str | None, strength: float, n_candidates: int | None) -> Detoxifier:
        """The rewriter of a method (None: the server's), at a strength rounded to hundredths.

        Raises:
            CivillyError: If there is no such method, or it cannot do that.
        """
        return self._of(method or self._settings.method, round(strength, 2), n_candidates)

    def check_method(self, method: str) -> None:
        """Makes sure that a request may name a method, without loading a model.

        Raises:
            UnknownNameError: If it does not exist.
            Refused: If it is too many.
        """
        names = names_of(method)
        if len(names) > MOST_METHODS:
            raise Refused(
                f"{len(names)} methods are joined.", allowed=f"{MOST_METHODS} at most, as in a+b"
            )
        known = [entry.name for entry in self.known]
        for name in names:
            if name not in known:
                raise UnknownNameError("rewriting method", name[:40], known)

    def filler(self, method: str | None) -> str:
        """Who fills holes where ``infill`` writes."""
        return filler_of(self._options(method or self._settings.method))

    def _options(self, method: str) -> Mapping[str, Any]:
        """The server's options belong to its method."""
        return self._settings.options if method == self._settings.method else {}

    def _made(self, method: str, strength: float, n_candidates: int | None) -> Detoxifier:
        own = method == self._settings.method
        return self._first.varied(
            method=method,
            strength=strength,
            n_candidates=n_candidates,
            adapter=self._settings.adapter if own else None,
            options=self._options(method),
        )
