"""Holes for engines that know by themselves how their model is asked to fill one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from civilly.types import Generation, GenerationOptions


@dataclass(frozen=True, slots=True)
class Hole:
    """What an engine is asked to fill.

    Attributes:
        prefix: The text before the hole.
        suffix: The text after it.
        max_new_tokens: The most tokens to generate; None: the options' limit.
        control: Tokens of the model that neither side may spell.
    """

    prefix: str
    suffix: str
    max_new_tokens: int | None = None
    control: tuple[str, ...] = ()


@runtime_checkable
class Infiller(Protocol):
    """An engine that can be given both sides of a hole instead of a prompt."""

    @property
    def infills(self) -> bool:
        """Whether it was asked to do so."""
        ...

    def infill(self, holes: Sequence[Hole], options: GenerationOptions) -> list[list[Generation]]:
        """What belongs into each hole: ``1..options.n`` generations per hole, in order."""
        ...
