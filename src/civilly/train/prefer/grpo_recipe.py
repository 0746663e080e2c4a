"""The recipe of GRPO: what it may say, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.errors import DataError
from civilly.train.audit.recipe import AuditSettings
from civilly.train.recipe import AdapterSettings, BaseSettings, Share

Positive = Annotated[float, Field(gt=0)]
Least0 = Annotated[float, Field(ge=0)]


class GrpoSettings(RecipeTable):
    """How answers are sampled and weighed (`civilly.train.prefer.grpo`).

    Attributes:
        texts: Texts per step.
        samples: Rewrites that are sampled of each, G.
        temperature: Of the sampling; 1 samples from the model itself.
        top_p: Share of the probability that is sampled from, in (0, 1].
        iterations: Steps of the optimiser on the same samples.
        kl: β, weight of the divergence from the start; 0: none is computed.
        clip_low: ε below 1.
        clip_high: ε above 1.
        scale: What the rewards' distance from their mean is divided by: the standard deviation in
            the ``group``, in the ``batch``, or ``none`` (Dr. GRPO).
        several: Of several rewards: ``sum`` first, then scale; or ``scale_each`` and sum (GDPO).
        ratio: One per ``token``, or one per ``sequence`` (GSPO).
        average: Over every ``token`` alike (DAPO), within each ``sequence`` first (GRPO), or by a
            ``constant`` length (Dr. GRPO).
    """

    texts: Count = 4
    samples: Annotated[int, Field(ge=2)] = 8
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    iterations: Count = 1
    kl: Least0 = 0.04
    clip_low: Positive = 0.2
    clip_high: Positive = 0.2
    scale: Literal["group", "batch", "none"] = "group"
    several: Literal["sum", "scale_each"] = "sum"
    ratio: Literal["token", "sequence"] = "token"
    average: Literal["token", "sequence", "constant"] = "token"


class GrpoTraining(RecipeTable):
    """How the optimiser goes.

    Attributes:
        steps: Batches of texts that are sampled.
        batch_size: Rewrites whose gradient is computed at once; it changes memory, not results.
        learning_rate: The highest; it falls linearly to 0 after the warm-up if ``decay``.
        warmup_ratio: Share of the steps over which it rises, in [0, 1).
        decay: Whether it falls.
        weight_decay: Of AdamW.
        most_norm: Gradients are shortened to this norm.
        precision: As in a fine-tuning.
        save_steps: Steps between checkpoints.
        stop_after_steps: End here, although the learning rate follows the whole schedule.
    """

    steps: Count = 200
    batch_size: Count = 32
    learning_rate: Positive = 5e-5
    warmup_ratio: Share = 0.05
    decay: bool = False
    weight_decay: Least0 = 0.0
    most_norm: Positive = 1.0
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    save_steps: Count = 25
    stop_after_steps: Count | None = None


class GrpoRecipe(RecipeTable):
    """The recipe of a training by GRPO.

    Attributes:
        seed: Of everything random.
        loss: ``grpo``.
        corpus: Where the texts come from (`civilly.data.corpus.build`); civil sides are handed to
            rewards as references.
        rewards: What is optimised, by name, with weights (`civilly.train.rewards`).
        base: Which model.
        adapter: What of it is trained.
        grpo: How rewrites are sampled and weighed.
        training: How the optimiser goes.
        audit: The referees (`civilly.train.audit`).
    """

    seed: int
    loss: Literal["grpo"]
    corpus: dict[str, Any]
    rewards: dict[str, Any]
    base: BaseSettings = BaseSettings()
    adapter: AdapterSettings = AdapterSettings()
    grpo: GrpoSettings = GrpoSettings()
    training: GrpoTraining = GrpoTraining()
    audit: AuditSettings = AuditSettings()

    @classmethod
    def parse(cls, content: Mapping[str, Any], name: str) -> Self:
        """Checks the tables of a TOML file.

        Raises:
            DataError: Naming the field that is missing, of a wrong type or out of range.
            UnknownNameError: If there is no such table or field.
        """
        recipe = checked(cls, content, name)
        if not recipe.rewards:
            raise DataError(f"{name} names no reward.", mend="[rewards] with a table for each")
        return recipe
