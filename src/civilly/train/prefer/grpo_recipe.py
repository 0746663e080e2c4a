"""The recipe of GRPO: what it may say, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.train.audit.recipe import AuditSettings
from civilly.train.recipe import AdapterSettings, BaseSettings, Share
from civilly.train.rewards.mixture import Combination, RewardSettings

Positive = Annotated[float, Field(gt=0)]
Least0 = Annotated[float, Field(ge=0)]


class GrpoSettings(RecipeTable):
    """How answers are sampled and weighed (`civilly.train.prefer.grpo`).

    Attributes:
        name: ``grpo``.
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
        several: Of several rewards: ``combine`` them as the recipe says, then scale; or
            ``scale_each``, then add them up by their weights (GDPO).
        ratio: One per ``token``, or one per ``sequence`` (GSPO).
        average: Over every ``token`` alike (DAPO), within each ``sequence`` first (GRPO), or by a
            ``constant`` length (Dr. GRPO).
    """

    name: Literal["grpo"] = "grpo"
    texts: Count = 4
    samples: Annotated[int, Field(ge=2)] = 8
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    iterations: Count = 1
    kl: Least0 = 0.04
    clip_low: Positive = 0.2
    clip_high: Positive = 0.2
    scale: Literal["group", "batch", "none"] = "group"
    several: Literal["combine", "scale_each"] = "combine"
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
    batch_size: Count = 8
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
        loss: How rewrites are sampled and weighed.
        corpus: Where the texts come from (`civilly.data.corpus.build`); civil sides are handed to
            rewards as references.
        rewards: What is optimised (`civilly.train.rewards.mixture`).
        combine: How several rewards become one.
        base: Which model.
        adapter: What of it is trained.
        training: How the optimiser goes.
        audit: The referees (`civilly.train.audit`).
    """

    seed: int
    loss: GrpoSettings
    corpus: dict[str, Any]
    rewards: Annotated[list[RewardSettings], Field(min_length=1)]
    combine: Combination = "product"
    base: BaseSettings = BaseSettings()
    adapter: AdapterSettings = AdapterSettings()
    training: GrpoTraining = GrpoTraining()
    audit: AuditSettings = AuditSettings()

    @classmethod
    def parse(cls, content: Mapping[str, Any], name: str) -> Self:
        """Checks the tables of a TOML file.

        Raises:
            DataError: Naming the field that is missing, of a wrong type or out of range.
            UnknownNameError: If there is no such table or field.
        """
        return checked(cls, content, name)
