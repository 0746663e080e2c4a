"""Supervised fine-tuning on pairs of toxic and civil sentences, by a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from civilly.data.pairs import Pair
from civilly.train.examples import Example, marked_examples, rewriting_examples
from civilly.train.finetuning import Options, TrainingTask, fine_tune
from civilly.train.recipe import SftRecipe

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.trainer import Validate


def train_sft(
    content: Mapping[str, Any], data: Path, out: Path, **options: Unpack[Options]
) -> Path:
    """Fine-tunes a model by a recipe to rewrite toxic sentences.

    Args:
        content: The recipe's tables (`civilly.train.recipe.SftRecipe`).
        data: The data folder that the recipe's sources lie in.
        out: Run folder (`civilly.train.finetuning.fine_tune`).
        options: How it is begun.

    Returns:
        The folder that the engines take.

    Raises:
        DataError: If the recipe is wrong.
        CivillyError: As `civilly.train.finetuning.fine_tune`.
    """
    recipe = SftRecipe.parse(content, "the recipe")

    def examples(pairs: Sequence[Pair]) -> tuple[list[Example], dict[str, Any]]:
        if not recipe.marked:
            return rewriting_examples(pairs), {}
        from civilly.detect.by_sentence import open_detector

        return marked_examples(pairs, open_detector(), recipe.marked, recipe.seed), {}

    def validator(trainable: TrainableModel, pairs: Sequence[Pair]) -> Validate:
        from civilly.train.validation import validator as by_suite

        return by_suite(trainable, pairs, recipe.validation.suite)

    return fine_tune(recipe, TrainingTask(examples, validator), data, out, **options)
