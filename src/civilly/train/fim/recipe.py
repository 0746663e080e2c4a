"""The recipe of a fine-tuning to fill holes: that of any fine-tuning, and what is cut."""

from __future__ import annotations

from civilly.methods.fim_formats import FimFormat, family_of, format_of
from civilly.train.fim.rows import FimSettings
from civilly.train.recipe import EMBEDDED, SftRecipe


class FimRecipe(SftRecipe):
    """The recipe of a fine-tuning to fill holes.

    Attributes:
        fim: What is cut, and how a hole is shown.
    """

    fim: FimSettings = FimSettings()

    @property
    def family(self) -> FimFormat:
        """The format of the prompts.

        Raises:
            CivillyError: If there is no such family, or the base model's name tells none.
        """
        if self.fim.family is not None:
            return format_of(self.fim.family)
        return family_of("civilly" if self.base.name == EMBEDDED else self.base.name)
