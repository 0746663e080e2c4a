"""Fine-tuning to fill holes, by a recipe: the adapter of `infill`, or any causal model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from civilly.data.pairs import Pair
from civilly.errors import DataError
from civilly.rewrite.fim_formats import FimFormat, family_of, format_of
from civilly.train.course import Lesson, Options, hold
from civilly.train.examples import Example
from civilly.train.fim.rows import FimSettings, fim_rows
from civilly.train.recipe import EMBEDDED, SftRecipe

if TYPE_CHECKING:
    from civilly.train.base_model import Trainee
    from civilly.train.trainer import Validate


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


def train_fim(
    content: Mapping[str, Any], data: Path, out: Path, **options: Unpack[Options]
) -> Path:
    """Fine-tunes a model by a recipe to fill holes in 15 languages.

    Args:
        content: The recipe's tables (`FimRecipe`).
        data: The data folder that the recipe's sources lie in.
        out: Run folder (`civilly.train.course.hold`); ``config.json`` also counts the rows.
        options: How it is begun.

    Returns:
        The folder that the engines take.

    Raises:
        DataError: If the recipe is wrong, or its pairs give no holes.
        CivillyError: As `civilly.train.course.hold`.
    """
    recipe = FimRecipe.parse(content, "the recipe")
    family = recipe.family

    def examples(pairs: Sequence[Pair]) -> tuple[list[Example], dict[str, Any]]:
        rows = fim_rows(pairs, recipe.fim, family, recipe.seed)
        if not rows.examples:
            raise DataError("The recipe's pairs give no holes.", mend="raise most_changed or plain")
        return rows.examples, {"rows": dict(sorted(rows.kinds.items()))}

    def validator(trainee: Trainee, pairs: Sequence[Pair]) -> Validate:
        from civilly.train.fim.validation import hole_validator

        return hole_validator(trainee, pairs, recipe, family)

    decides = "J" if recipe.fim.whole_sentences else "chrF"
    return hold(recipe, Lesson(examples, validator, decides), data, out, **options)
