"""Fills every hole with nothing: what other fillers are measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.methods.holes import Filling, Gap
from civilly.types import Tools


class DeleteFiller:
    """See the module."""

    def fill(self, gaps: Sequence[Gap], n: int) -> list[list[Filling]]:
        """One empty filling per gap, whatever ``n`` is."""
        return [[Filling("")] for _ in gaps]


OPTIONS = ()


def create(tools: Tools, options: Mapping[str, Any]) -> DeleteFiller:
    """The filler; it has no options and needs no tools."""
    return DeleteFiller()
