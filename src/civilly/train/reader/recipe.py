"""The recipe of the readers: what it may say, checked before anything is read or loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.errors import DataError

DETECTOR, JUDGE = "detector", "judge"
"""The readers; also names of their files."""

Amount = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class SourceSettings(RecipeTable):
    """Where examples come from; folders and files beside the recipe.

    Attributes:
        cases: Folder of detection cases.
        readings: Folders of readings of rewrites.
        pairs: Folders of pairs written for this project; both readers learn from them.
        authored: Such folders that ``sets`` reads, too: the judge alone learns from them here.
        sets: Recipe of the n-gram detector, whose published sets are read.
        judgements: People's judgements in ``human/`` of the data folder.
    """

    cases: str = "readings/cases"
    readings: list[str] = Field(default_factory=lambda: ["readings/pairs"])
    pairs: list[str] = Field(default_factory=lambda: ["distilled_pairs"])
    authored: list[str] = Field(default_factory=lambda: ["authored_pairs"])
    sets: str = "detector.toml"
    judgements: str = "textdetox2024"


class ReaderSettings(RecipeTable):
    """How a reader is trained.

    Attributes:
        rank: Rank r of the LoRA.
        alpha: The update is scaled by alpha / r.
        dropout: Share of the LoRA's inputs that is dropped.
        learning_rate: Of the LoRA, the highest; after the warm-up it falls as a cosine.
        head_rate: Of the heads, likewise.
        weight_decay: Of AdamW.
        warmup_steps: Steps over which the rates rise.
        epochs: Times that the examples are read.
        batch_tokens: Tokens of a step.
        save_steps: Steps between checkpoints.
        start: A reader's file to go on from, or ``"detector"``: the detector of the same run.
        of_start: Share of the weights of ``start`` in the result, the rest is what was trained: in
            between, what is new is learnt and little forgotten (Wortsman et al. 2022, WiSE-FT).
        frozen_layers: So many of the lowest layers keep what they start with.
    """

    rank: Count = 16
    alpha: Count = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    learning_rate: Positive = 8e-4
    head_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup_steps: Count = 60
    epochs: Count = 1
    batch_tokens: Count = 1400
    save_steps: Count = 100
    start: str | None = None
    of_start: Share = 0.0
    frozen_layers: Amount = 0

    @property
    def scale(self) -> float:
        """What the LoRA's update is multiplied with."""
        return self.alpha / self.rank


class SetLimits(RecipeTable):
    """Examples of the published sets, per language and kind.

    Attributes:
        core: Pairs of toxic and civil sentences of the kind that the detector is for.
        twins: Other pairs: made by putting a listed word into a sentence, or by disguising one.
        benign: Harmless sentences with words that look rude.
        clean: Sentences of everyday text.
        terms: Listed insults alone.
        toxic: Texts that people called toxic.
    """

    core: Amount = 900
    twins: Amount = 200
    benign: Amount = 120
    clean: Amount = 500
    terms: Amount = 80
    toxic: Amount = 600


class DetectorLoss(RecipeTable):
    """What counts how much in the detector's loss.

    Attributes:
        words: The cross-entropy of the tokens.
        texts: That of the texts, against which threat and self-harm are weighed.
        threat: See ``texts``.
        self_harm: See ``texts``.
        insults: A token of an insult, against one that is none.
    """

    words: Positive = 1.5
    texts: Positive = 1.3
    threat: Positive = 0.7
    self_harm: Positive = 0.9
    insults: Positive = 2.0


class CalibrationSettings(RecipeTable):
    """How the detector's logits become probabilities.

    Attributes:
        clean: Sentences of everyday text, per language, that are not trained on.
        clean_rate: The most of them that may reach p = 0.5; 0: none of them.
        tail: Share of them whose logits say where ``clean_rate`` is reached.
        threat_rate: The most of them, in all languages together, that may be flagged as threats.
        least_clean: With fewer sentences a language has no such limit.
        own: How far a language may differ from all together in texts; 0: not at all.
        insults: A word of an insult counts so much, against one that is none.
    """

    clean: Amount = 1000
    clean_rate: Share = 0.02
    tail: Share = 0.15
    threat_rate: Share = 0.003
    least_clean: Count = 100
    own: Annotated[float, Field(ge=0)] = 0.2
    insults: Positive = 1.5


class DetectorSettings(ReaderSettings):
    """The detector.

    Attributes:
        repeats: Times that a case is read in an epoch.
        newer: From this number on, a case is of a portion that an earlier course did not read.
        newer_repeats: Times that such a case is read; None: like the others.
        pair_share: Share of the written pairs' sides that is read.
        pair_spans: Whether what a civil version replaces counts as an insult, word by word: it is a
            difference, and takes in civil words beside the insult.
        sets: See `SetLimits`.
        loss: See `DetectorLoss`.
        calibration: See `CalibrationSettings`.
    """

    head_rate: Positive = 8e-4
    repeats: Count = 3
    newer: Count | None = None
    newer_repeats: Count | None = None
    pair_share: Share = 0.3
    pair_spans: bool = True
    sets: SetLimits = SetLimits()
    loss: DetectorLoss = DetectorLoss()
    calibration: CalibrationSettings = CalibrationSettings()

    def times(self, case: int | None) -> int:
        """How often an epoch reads a sentence.

        Args:
            case: Its number if it is a detection case.
        """
        if case is None:
            return 1
        newer = self.newer is not None and case >= self.newer
        return self.newer_repeats or self.repeats if newer else self.repeats


class JudgeSettings(ReaderSettings):
    """The judge.

    Attributes:
        made: Good pairs, in all languages together and over all epochs, of which faults are made.
        human_share: Share of the human judgements that an epoch reads.
        ranking: Weight of the loss that puts the better of two rewrites of a text first.
    """

    rank: Count = 24
    alpha: Count = 48
    learning_rate: Positive = 1e-3
    epochs: Count = 3
    made: Amount = 6000
    human_share: Share = 0.5
    ranking: Annotated[float, Field(ge=0)] = 0.5


class ReaderRecipe(RecipeTable):
    """The recipe of the readers; without a table, that reader is not trained.

    Attributes:
        seed: Of everything random.
        sources: See `SourceSettings`.
        detector: See `DetectorSettings`.
        judge: See `JudgeSettings`.
    """

    seed: int
    sources: SourceSettings = SourceSettings()
    detector: DetectorSettings | None = None
    judge: JudgeSettings | None = None

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
        recipe = checked(cls, content, name)
        if recipe.detector is None and recipe.judge is None:
            raise DataError(f"{name} trains nothing.", mend="a table [detector], [judge] or both")
        if recipe.detector is None and recipe.judge and recipe.judge.start == DETECTOR:
            raise DataError(
                f"{name}, judge.start: there is no detector in it.", mend="a table [detector]"
            )
        return recipe
