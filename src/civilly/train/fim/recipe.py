"""The recipe of a fine-tuning to fill holes: that of any fine-tuning, and what is cut."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from civilly.methods.fim_formats import FimFormat, family_of, format_of
from civilly.train.fim.rows import FimSettings
from civilly.train.recipe import EMBEDDED, LARGE, SftRecipe


class FimRecipe(SftRecipe):
    """The recipe of a fine-tuning to fill holes.

    Attributes:
        marked: 0: what is rude is cut, so there is nothing to list.
        fim: What is cut, and how a hole is shown.
    """

    marked: Annotated[float, Field(ge=0, le=0)] = 0.0
    fim: FimSettings = FimSettings()

    @property
    def family(self) -> FimFormat:
        """The format of the prompts.

        Raises:
            CivillyError: If there is no such family, or the base model's name tells none.
        """
        if self.fim.family is not None:
            return format_of(self.fim.family)
        packaged = {EMBEDDED: "civilly", LARGE: "qwen2.5-coder"}
        return family_of(packaged.get(self.base.name, self.base.name))
