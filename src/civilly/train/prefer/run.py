"""Learning from preferences by a recipe, from the files to the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from civilly.data.corpus.build import evaluation_texts
from civilly.errors import DataError
from civilly.model.adapter import PROMPT_FILE, tells
from civilly.train.finetuning import Options, Prepared, carry_out, tuning_pairs
from civilly.train.prefer.losses import SAMPLED, loss_named
from civilly.train.prefer.preferences import (
    Opinion,
    Preference,
    counted,
    read_opinions,
    read_preferences,
    rows_to_train_on,
    spread,
)
from civilly.train.prefer.recipe import PreferRecipe
from civilly.train.run_folder import write_json

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.prefer.rows import Row
    from civilly.train.trainer import Validate


def train_prefer(
    content: Mapping[str, Any], data: Path, out: Path, **options: Unpack[Options]
) -> Path:
    """Trains a model by a recipe to write what people prefer.

    Args:
        content: The recipe's tables (`PreferRecipe`).
        data: The data folder, with the texts that no training may see.
        out: Run folder (`civilly.train.finetuning.carry_out`); also what the reference model says
            (`civilly.train.prefer.reference`).
        options: How it is begun.

    Returns:
        The folder that the engines take.

    Raises:
        DataError: If the recipe or its preferences are wrong.
        LeakError: If preferences leak and are not to be taken out.
        ModelError: If the reference model does not fit.
        CivillyError: As `civilly.train.finetuning.carry_out`.
    """
    loss = content.get("loss")
    if isinstance(loss, Mapping) and loss.get("name") == SAMPLED:
        from civilly.train.prefer.grpo_run import train_grpo

        return train_grpo(content, data, out, **options)
    recipe = PreferRecipe.parse(content, "the recipe")
    loss_named(recipe.loss.name)
    if recipe.validation.every_steps and recipe.validation.decides == "preferred":
        _require_held(recipe)
    made = carry_out(recipe, _PreferLesson(recipe, data, out, options), out, **options)
    if recipe.adapter.start is not None:
        from civilly.train.base_model import start_folder

        if tells(start_folder(recipe.adapter.start)):  # its prompts stay as they were
            write_json(made / PROMPT_FILE, {"rude_words": True})
    return made


def _require_held(recipe: PreferRecipe) -> None:
    if recipe.preferences.held is None:
        raise DataError(
            "The recipe has no held preferences to choose the best weights by.",
            mend='held = "FILE" under [preferences], or decides = "J" under [validation]',
        )


class _PreferLesson:
    """The lesson of a recipe (`civilly.train.finetuning.Lesson`)."""

    def __init__(self, recipe: PreferRecipe, data: Path, out: Path, options: Options) -> None:
        self.decides: str = recipe.validation.decides
        self._recipe, self._data, self._out, self._options = recipe, data, out, options
        self._preferences: list[Preference] = []
        self._opinions: list[Opinion] = []
        self._held: list[Preference] = []

    def read(self) -> Mapping[str, Any]:
        """See `civilly.train.finetuning.Lesson`."""
        settings = self._recipe.preferences
        if self._options.get("take_out_leaks", False):
            settings = settings.model_copy(update={"leaks": "take_out"})
        path = Path(settings.train)
        held = read_preferences(Path(settings.held)) if settings.held else []
        apart = self._recipe.seed, evaluation_texts(self._data, None), {row.text for row in held}
        held = [row for row in held if row.lang in (settings.languages or [row.lang])]
        self._held = spread(held, self._recipe.validation.held)
        rows: Sequence[Preference] | Sequence[Opinion]
        if self._recipe.loss.paired:
            self._preferences, left_out = rows_to_train_on(read_preferences(path), settings, *apart)
            rows = self._preferences
        else:
            self._opinions, left_out = rows_to_train_on(read_opinions(path), settings, *apart)
            rows = self._opinions
        return {"examples": counted(rows), "held": counted(self._held), "left_out": left_out}

    def prepare(self, trainable: TrainableModel, precision: str, *, resumed: bool) -> Prepared:
        """See `civilly.train.finetuning.Lesson`."""
        import torch

        from civilly.train.prefer.objective import PairedObjective, UnpairedObjective
        from civilly.train.prefer.reference import refer, reference_model
        from civilly.train.prefer.rows import paired_rows, single_rows

        recipe, paired = self._recipe, self._recipe.loss.paired
        if torch.cuda.is_available():
            trainable.model.to("cuda")
        rows = (
            paired_rows(self._preferences, trainable)
            if paired
            else single_rows(self._opinions, trainable)
        )
        held = paired_rows(self._held, trainable)
        if loss_named(recipe.loss.name).NEEDS_REFERENCE:
            embedded = self._options.get("embedded")
            model = reference_model(recipe, trainable, precision, embedded)
            refer(model, {"train": rows, "held": held}, self._out, precision, resumed=resumed)
        validate = self._validator(trainable, held, precision)
        objective = (PairedObjective if paired else UnpairedObjective)(trainable, recipe.loss)
        return Prepared(rows, validate, objective)

    def _validator(
        self, trainable: TrainableModel, held: Sequence[Row], precision: str
    ) -> Validate | None:
        from civilly.train.prefer.validation import preference_validator

        settings = self._recipe.validation
        if settings.every_steps is None:
            return None
        pairs = tuning_pairs([], self._data, settings)
        loss = loss_named(self._recipe.loss.name)
        return preference_validator(trainable, held, pairs, settings.suite, loss, precision)
