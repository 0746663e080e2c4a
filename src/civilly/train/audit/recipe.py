"""The table ``[audit]`` of a recipe: which referees, which texts, when a training ends."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable
from civilly.train.rewards.mixture import RewardSettings


class Referee(RecipeTable):
    """Who judges a rewrite without having been trained towards.

    Attributes:
        metric: ``reader``, or any metric or suite of `civilly.score` (``judge``, ``embedded``,
            ``textdetox2025``, …).
        weights: Of ``reader`` alone: the judge's file of another course; default: the shipped one.
        engine: Of ``judge``: an engine as ``--engine`` takes it.
        options: Of the metric.
    """

    metric: str
    weights: str | None = None
    engine: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class AuditSettings(RecipeTable):
    """What is looked at, and what follows from it.

    Attributes:
        referees: By the name that the page shows; each gives a number in [0, 1] per text.
        rewards: Of a run without rewards, as a fine-tuning is one: what stands for them.
        texts: Held-out texts per language that every checkpoint rewrites: of the official
            development pairs those of the part ``tune``.
        authored: Folder of pairs written for this project, whose part ``tune`` adds the other
            languages.
        longest_characters: Longer ones are passed over; None: none is too long.
        confidence: Of the intervals by which reward and referees part, before it is divided
            among the referees.
        checkpoints: So many in a row must say so.
        patience: Checkpoints without a better mean of the referees after which a training ends;
            0: never, and the training does not ask them.
    """

    referees: dict[str, Referee] = Field(default_factory=dict)
    rewards: list[RewardSettings] = Field(
        default_factory=lambda: [RewardSettings(name="reader")], min_length=1
    )
    texts: Count = 8
    authored: str | None = None
    longest_characters: Count | None = 160
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    checkpoints: Count = 2
    patience: Annotated[int, Field(ge=0)] = 0
