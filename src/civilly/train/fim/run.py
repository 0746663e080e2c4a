"""Fine-tuning to fill holes, by a recipe: the adapter of `infill`, or any causal model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from civilly.data.pairs import Pair
from civilly.errors import DataError
from civilly.train.examples import Example
from civilly.train.fim.recipe import FimRecipe
from civilly.train.fim.rows import fim_rows
from civilly.train.fim.validation import hole_validator
from civilly.train.finetuning import Options, TrainingTask, fine_tune

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.trainer import Validate


def train_fim(
    content: Mapping[str, Any], data: Path, out: Path, **options: Unpack[Options]
) -> Path:
    """Fine-tunes a model by a recipe to fill holes in 15 languages.

    Args:
        content: The recipe's tables (`FimRecipe`).
        data: The data folder that the recipe's sources lie in.
        out: Run folder (`civilly.train.finetuning.fine_tune`); ``config.json`` also counts rows.
        options: How it is begun.

    Returns:
        The folder that the engines take.

    Raises:
        DataError: If the recipe is wrong, or its pairs give no holes.
        CivillyError: As `civilly.train.finetuning.fine_tune`.
    """
    recipe = FimRecipe.parse(content, "the recipe")
    family = recipe.family

    def examples(pairs: Sequence[Pair]) -> tuple[list[Example], dict[str, Any]]:
        rows = fim_rows(pairs, recipe.fim, family, recipe.seed)
        if not rows.examples:
            raise DataError("The recipe's pairs give no holes.", mend="raise most_changed or plain")
        return rows.examples, {"rows": dict(sorted(rows.kinds.items()))}

    def validator(trainable: TrainableModel, pairs: Sequence[Pair]) -> Validate:
        return hole_validator(trainable, pairs, recipe, family)

    decides = "J" if recipe.fim.whole_sentences else "chrF"
    return fine_tune(recipe, TrainingTask(examples, validator, decides), data, out, **options)
