"""The recipe of a sparse autoencoder: what it may say, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable, checked

Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class ModelSettings(RecipeTable):
    """Whose stream is read (`civilly.engines.residual.open_subject`).

    Attributes:
        name: ``embedded``, a folder, or a hub id that was downloaded before.
        adapter: A LoRA to merge in, or None.
        precision: ``auto``, ``fp32`` or ``bf16``.
        layers: After which layers, from 0; each gets an autoencoder of its own.
    """

    name: str = "embedded"
    adapter: str | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    layers: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


class TextSettings(RecipeTable):
    """What is read; no held-out text is, and none that repeats one or an official input.

    Attributes:
        sets: Recipe of the n-gram detector beside this one: its sets are read, but for the parts
            that it holds out.
        pairs: Folders of pairs written for this project, beside the recipe; both sides are read.
        tokens_per_language: At most so many of each language, toxic and civil as they come.
        shards: At most so many shards of 65,536 tokens (`civilly.train.sae.shards`), all languages
            together; None: all.
        longest: Tokens of a text that are read.
    """

    sets: str = "detector.toml"
    pairs: list[str] = Field(default_factory=list)
    tokens_per_language: Count = 120_000
    shards: Count | None = None
    longest: Count = 128


class NetworkSettings(RecipeTable):
    """The autoencoder.

    Attributes:
        width: Latents.
        k: Of these, so many are active at a position, on average.
    """

    width: Count = 4_096
    k: Count = 32


class FitSettings(RecipeTable):
    """How it is trained.

    Attributes:
        passes: Times that the streams are read.
        batch: Positions of a step.
        learning_rate: Of Adam; it falls to 0 over the last fifth of the steps.
        warmup_steps: Steps over which it rises.
        auxiliary: Weight of the loss by which dead latents learn what is missed.
        dead_after: Positions without firing after which a latent counts as dead.
        threshold_rate: Weight of the newest batch in the mean threshold.
        save_steps: Steps between checkpoints.
    """

    passes: Count = 2
    batch: Count = 2_048
    learning_rate: Positive = 3e-4
    warmup_steps: Count = 100
    auxiliary: Amount = 1 / 32
    dead_after: Count = 300_000
    threshold_rate: Positive = 0.01
    save_steps: Count = 200


class SaeRecipe(RecipeTable):
    """What the recipe says.

    Attributes:
        seed: Of everything random.
        model: Whose stream.
        texts: What is read.
        network: The autoencoder.
        fit: How it is trained.
    """

    seed: int
    model: ModelSettings
    texts: TextSettings = TextSettings()
    network: NetworkSettings = NetworkSettings()
    fit: FitSettings = FitSettings()

    @classmethod
    def parse(cls, content: Mapping[str, Any], name: str) -> Self:
        """Checks the tables of a TOML file.

        Raises:
            DataError: Naming the field that is missing, of a wrong type or out of range.
            UnknownNameError: If there is no such table or field.
        """
        return checked(cls, content, name)
