"""The recipe of a fine-tuning: what it may say, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.errors import DataError

EMBEDDED = "embedded"
"""The base model that the package brings, trimmed."""
LARGE = "large"
"""The base model of the extra ``large``."""

Share = Annotated[float, Field(ge=0, lt=1)]


class BaseSettings(RecipeTable):
    """Which model is trained.

    Attributes:
        name: ``embedded``, ``large``, a hub id, or a folder in Hugging Face form.
        revision: Branch, tag or commit of a hub id.
    """

    name: str = EMBEDDED
    revision: str | None = None


class AdapterSettings(RecipeTable):
    """What of the model is trained.

    Attributes:
        kind: ``lora`` (Hu et al. 2021), ``dora`` (Liu et al. 2024) or ``full``.
        rank: Rank r of the update.
        alpha: The update is scaled by alpha / r.
        dropout: Share of the adapter's inputs that is dropped, in [0, 1).
        targets: Names of the matrices; ``all-linear`` is every one but the output.
        layers: ``all``, or ``upper:N``: the last N layers alone, so that nothing has to be sent
            back through those below.
        start: Folder of a LoRA or DoRA adapter to go on from, or the name of one that ships; its
            shape then counts.
        onto: Name of an adapter that ships, which is merged into the base first: the new one is
            small, whatever the rank of that one, and engines merge both (embedded base alone).
    """

    kind: Literal["lora", "dora", "full"] = "lora"
    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.0
    targets: str | list[str] = "all-linear"
    layers: Annotated[str, Field(pattern=r"^(all|upper:[1-9][0-9]*)$")] = "all"
    start: str | None = None
    onto: str | None = None


class TrainingSettings(RecipeTable):
    """How it is trained.

    Attributes:
        epochs: Times that the corpus is read; may be a fraction.
        batch_size: Pairs per batch and device.
        accumulation: Batches per step of the optimiser.
        learning_rate: The highest; after the warm-up it falls as a cosine.
        warmup_ratio: Share of the steps over which it rises, in [0, 1).
        weight_decay: Of AdamW.
        precision: ``fp32``, or ``bf16``: computes in bfloat16, keeps what is trained in float32;
            ``auto`` is whichever this machine multiplies faster.
        activation_checkpointing: Compute activations anew instead of keeping them.
        threads: ``all`` cores, or those that other work leaves ``free``, asked at each step:
            quicker beside other work, but the weights then depend on it in their last digits.
        save_steps: Steps between checkpoints.
        kept_checkpoints: So many of the newest stay, and the best.
        stop_after_steps: End here, although the learning rate follows the whole schedule.
    """

    epochs: Annotated[float, Field(gt=0)] = 1.0
    batch_size: Count = 16
    accumulation: Count = 1
    learning_rate: Annotated[float, Field(gt=0)] = 6e-4
    warmup_ratio: Share = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    activation_checkpointing: bool = False
    threads: Literal["all", "free"] = "all"
    save_steps: Count = 50
    kept_checkpoints: Annotated[int, Field(ge=2)] = 2
    stop_after_steps: Count | None = None


class ValidationSettings(RecipeTable):
    """How a training is judged on the way.

    Attributes:
        every_steps: Steps between validations, each also a checkpoint; None: no validation.
        pairs: Pairs of the ``tune`` part that are rewritten greedily, per language.
        longest_characters: Longer sentences are passed over; None: none is too long.
        suite: What scores the rewrites; the mean J decides.
        patience: Validations without a better J after which the training ends; 0: never.
    """

    every_steps: Count | None = None
    pairs: Count = 8
    longest_characters: Count | None = None
    suite: str = "embedded"
    patience: Annotated[int, Field(ge=0)] = 0


class FineTuningRecipe(RecipeTable):
    """What the recipes of all fine-tunings say.

    Attributes:
        seed: Of everything random.
        base: Which model.
        adapter: What of it is trained.
        training: How.
        validation: How it is judged on the way.
    """

    seed: int
    base: BaseSettings = BaseSettings()
    adapter: AdapterSettings = AdapterSettings()
    training: TrainingSettings = TrainingSettings()
    validation: ValidationSettings = ValidationSettings()

    @classmethod
    def parse(cls, content: Mapping[str, Any], name: str) -> Self:
        """Checks the tables of a TOML file.

        Args:
            content: The parsed file.
            name: What errors call it.

        Raises:
            DataError: Naming the field that is missing, of a wrong type or out of range.
            UnknownNameError: If there is no such table or field.
        """
        return checked(cls, content, name)


class SftRecipe(FineTuningRecipe):
    """The recipe of a fine-tuning on pairs.

    Attributes:
        corpus: Where the pairs come from (`civilly.data.corpus.build`).
        marked: Share of the prompts that list the words which the reader finds rude, in [0, 1).
    """

    corpus: dict[str, Any]
    marked: Share = 0.0


def with_setting(content: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The tables with one value changed; ``name`` is ``table.field``.

    Raises:
        DataError: If ``name`` has no dot.
    """
    table, dot, key = name.partition(".")
    if not dot:
        raise DataError(f"The setting {name!r} names no table.", allowed="table.field")
    return {**content, table: {**content.get(table, {}), key: value}}
