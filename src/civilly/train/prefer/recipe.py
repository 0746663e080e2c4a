"""The recipe of learning from preferences: that of any fine-tuning, the preferences, the loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable
from civilly.train.prefer.losses import UNPAIRED, loss_named
from civilly.train.recipe import FineTuningRecipe, ValidationSettings

Weight = Annotated[float, Field(ge=0)]


class PreferenceData(RecipeTable):
    """Where the preferences lie; files as ``civilly data preferences`` writes them.

    Attributes:
        train: ``prompt, chosen, rejected, lang``, or ``prompt, completion, label, lang`` of a loss
            of single answers; prompts are texts, not instructions.
        held: Preferences in the first form, never trained on, that a validation asks about; None:
            it only rewrites.
        languages: Only of these; None: of all.
        limit: So many of ``train``, chosen by the seed; None: all.
        longest_characters: Rows with a longer text on any side are left out; None: none is.
        leaks: Whether rows that repeat held-out or official texts are taken out, or refused.
    """

    train: str
    held: str | None = None
    languages: list[str] | None = None
    limit: Count | None = None
    longest_characters: Count | None = None
    leaks: Literal["refuse", "take_out"] = "refuse"


class LossSettings(RecipeTable):
    """What is learnt of the preferences.

    Attributes:
        name: A file of `civilly.train.prefer.losses`.
        beta: Its β; None: as its authors have it.
        sft: Weight of the chosen, or good, answers' cross-entropy per token, which holds against
            both sides of a pair becoming less likely (Pal et al. 2024, arXiv 2402.13228); None: as
            its authors have it.
        margin: What it asks beyond a tie (`civilly.train.prefer.losses.Loss`); None: as its
            authors have it.
        good, bad: Weights of good and of bad answers, for a loss of single answers.
        reference: Folder of the adapter of the reference model, or the name of one that ships;
            ``start``: the model as it is before it is trained.
    """

    name: str = "dpo"
    beta: Annotated[float, Field(gt=0)] | None = None
    sft: Weight | None = None
    margin: Weight | None = None
    good: Weight = 1.0
    bad: Weight = 1.0
    reference: str = "start"

    @property
    def paired(self) -> bool:
        """Whether it asks for two answers to a prompt."""
        return self.name not in UNPAIRED

    def filled_in(self) -> tuple[float, float, float]:
        """β, the weight of the cross-entropy and the margin, the authors' where none is given.

        Raises:
            UnknownNameError: If there is no such loss.
        """
        module = loss_named(self.name)
        given = (self.beta, module.BETA), (self.sft, module.SFT), (self.margin, module.MARGIN)
        beta, sft, margin = (theirs if mine is None else mine for mine, theirs in given)
        return beta, sft, margin


class PreferValidation(ValidationSettings):
    """How it is judged on the way: as any fine-tuning, and by held preferences.

    Attributes:
        held: So many of the held preferences are asked about, spread over the languages.
        decides: The score whose best weights are kept: the share of held preferences that the
            model ``preferred`` as people do, or the ``J`` of its rewrites.
    """

    held: Count = 160
    decides: Literal["preferred", "J"] = "preferred"


class PreferRecipe(FineTuningRecipe):
    """The recipe of learning from preferences.

    Attributes:
        preferences: Where they lie.
        loss: What is learnt of them.
        validation: How it is judged on the way.
    """

    preferences: PreferenceData
    loss: LossSettings = LossSettings()
    validation: PreferValidation = PreferValidation()
