"""The ``[preferences]`` table of a recipe: what it may say, checked before anything is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from civilly.data.corpus.recipe import SHIPPABLE
from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.errors import DataError, UnknownNameError
from civilly.train.rewards.mixture import Combination, RewardSettings

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Ratio = Annotated[float, Field(ge=1)]


class Source(RecipeTable):
    """What every source says.

    Attributes:
        name: Of the source, in errors and the report.
        kind: How it is read; one of `KINDS`.
        licence: SPDX expression of each data set that texts are from, by the name in their column
            ``source``; one string if all have the same.
    """

    name: str
    kind: str
    licence: str | dict[str, str] = ""

    def licence_of(self, data_set: str) -> str:
        """The licence of texts from a data set; "" if none is stated."""
        return self.licence if isinstance(self.licence, str) else self.licence.get(data_set, "")


class ReadingsSource(Source):
    """Readers' labels of outputs (`civilly.data.readings`).

    Attributes:
        paths: Folders of readings, or files; from the recipe's folder on.
        written: Whether civil versions that readers wrote where no output was good may be chosen.
        left_out_systems: Outputs that only these systems wrote are not used, such as faults made
            on purpose.
    """

    paths: list[str]
    written: bool = True
    left_out_systems: list[str] = Field(default_factory=list)


class SamplesSource(Source):
    """A model's own outputs (`civilly.train.preference_data.from_samples`), rated by rewards.

    Attributes:
        paths: Files; from the recipe's folder on.
        rewards: What outputs are worth.
        combine: How several rewards become one.
        chosen_from: From this worth on an output may be chosen.
        rejected_to: Up to this worth it may be rejected.
    """

    paths: list[str]
    rewards: list[RewardSettings]
    combine: Combination = "product"
    chosen_from: float
    rejected_to: float


class JudgementsSource(Source):
    """Outputs that people judged (`civilly.score.human`); their worth is J.

    Attributes:
        judgements: A file, from the recipe's folder on, or a set in ``human/`` of the data folder.
        chosen_from: From this J on an output may be chosen.
        rejected_to: Up to this J it may be rejected.
    """

    judgements: str
    chosen_from: Share = 0.8
    rejected_to: Share = 0.4


class ConfirmSettings(RecipeTable):
    """A language model that must prefer the same side, in both orders.

    Attributes:
        engine: Which (`civilly.engines.open_engine`).
        answer_tokens: The most tokens of an answer; a model that thinks aloud needs hundreds.
    """

    engine: str
    answer_tokens: Count = 24


class Filters(RecipeTable):
    """Which pairs are kept.

    Attributes:
        least_margin: A chosen output is worth at least so much more than the rejected one.
        length_ratio: The longer side has at most so many times the characters of the shorter.
        most_alike: Sides that are more alike teach nothing, and make DPO lower both likelihoods;
            Ratcliff-Obershelp, in [0, 1].
        copies: Where the text itself, returned as it is, may stand: as the rejected side; also as
            the chosen side, where it was found civil; nowhere.
        pairs_per_text: At most so many pairs of a text, of different faults first; and so many
            unpaired outputs of each label.
    """

    least_margin: NotNegative = 0.3
    length_ratio: Ratio = 3.0
    most_alike: Share = 0.97
    copies: Literal["rejected", "both", "nowhere"] = "rejected"
    pairs_per_text: Count = 4


class PreferenceRecipe(RecipeTable):
    """The table ``[preferences]``.

    Attributes:
        seed: Of the order of rows.
        sources: What gives texts with outputs.
        filters: See `Filters`.
        confirm: See `ConfirmSettings`; None: no model is asked.
        authored: Folder of the authored pairs, part of which is held out; from the recipe's folder.
        leaks: What happens to texts that repeat evaluation texts.
        licences: Which are allowed.
        unlicensed: What happens to texts under another licence, or none.
    """

    seed: int
    sources: list[SerializeAsAny[Source]]
    filters: Filters = Filters()
    confirm: ConfirmSettings | None = None
    authored: str | None = "authored_pairs"
    leaks: Literal["refuse", "take_out"] = "refuse"
    licences: list[str] = Field(default_factory=lambda: list(SHIPPABLE))
    unlicensed: Literal["refuse", "leave_out"] = "refuse"

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> PreferenceRecipe:
        """Checks the seed and the table ``[preferences]``; other tables do not matter here.

        Raises:
            DataError: Naming what is missing, of a wrong type, out of range, or there twice.
            UnknownNameError: If there is no such setting or kind of source.
        """
        table = content.get("preferences")
        given = table.get("sources") if isinstance(table, Mapping) else None
        if not isinstance(table, Mapping) or not isinstance(given, list) or not given:
            raise DataError(
                "The recipe names no sources of preferences.",
                mend="add a table [[preferences.sources]] for each",
            )
        sources = [_source(each, number) for number, each in enumerate(given, start=1)]
        name, times = Counter(source.name for source in sources).most_common(1)[0]
        if times > 1:
            raise DataError(f"{times} sources are called {name!r}.", mend="rename one of them")
        seed = {"seed": content["seed"]} if "seed" in content else {}
        return checked(cls, {**table, **seed, "sources": sources}, "the recipe's preferences")


KINDS: Mapping[str, type[Source]] = {
    "readings": ReadingsSource,
    "samples": SamplesSource,
    "judgements": JudgementsSource,
}


def _source(content: Any, number: int) -> Source:
    if not isinstance(content, Mapping):
        raise DataError(f"source {number} is no table.", mend="write [[preferences.sources]]")
    name = f"source {content.get('name', number)!r}"
    kind = str(content.get("kind"))
    if kind not in KINDS:
        raise UnknownNameError(f"kind of {name}", kind, KINDS)
    return checked(KINDS[kind], content, name)
