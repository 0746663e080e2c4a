"""The recipe of a sweep: which settings are searched, over what, and within which budget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self

from pydantic import Field, model_validator

from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.errors import DataError
from civilly.train.recipe import SftRecipe, Share, with_setting

SEARCHED_TABLES = ("adapter", "base", "corpus", "training")
"""Tables whose fields can be searched: what ``validation`` says must be the same for all trials."""

Scalar = str | int | float | bool
Number = int | float


class Suggester(Protocol):
    """What of a trial of Optuna chooses values."""

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Any:
        """One of some values."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        """A whole number in [low, high]."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """A number in [low, high]."""
        ...


class Search(RecipeTable):
    """What one setting may be: ``choices``, or all from ``low`` to ``high``.

    Attributes:
        choices: Values, of which one may be a list (names of layers, say).
        low: The least; whole numbers at both ends search whole numbers alone.
        high: The greatest.
        log: Search the logarithm evenly; ``low`` must be above 0.
        when: The setting is searched only in trials in which each of these settings, searched
            before it, has one of these values; in others it is as the recipe's table says.
    """

    choices: Annotated[list[Any], Field(min_length=1)] | None = None
    low: Number | None = None
    high: Number | None = None
    log: bool = False
    when: dict[str, list[Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give either choices = [...], or low = ... and high = ...")
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices go without low, high and log")
            if len(set(map(label, self.choices))) < len(self.choices):
                raise ValueError("a choice stands twice")
        else:
            low, high = self.ends
            if low >= high or (self.log and low <= 0):
                raise ValueError("low must be below high, and above 0 with log = true")
        return self

    @property
    def ends(self) -> tuple[Number, Number]:
        """Least and greatest value, of a search without choices."""
        assert self.low is not None and self.high is not None
        return self.low, self.high

    def values(self) -> list[Any]:
        """The values that stand in the recipe."""
        return list(self.ends) if self.choices is None else self.choices

    def allows(self, value: Any) -> bool:
        """Whether a trial may have a value."""
        if self.choices is not None:
            return value in self.choices
        low, high = self.ends
        whole = isinstance(low, int) and isinstance(high, int)
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        return fits and low <= value <= high

    def value(self, kept: Any) -> Any:
        """The value that Optuna keeps as ``kept``."""
        return kept if self.choices is None else {label(c): c for c in self.choices}[kept]

    def suggest(self, trial: Suggester, name: str) -> Any:
        """The value that a trial takes."""
        if self.choices is not None:
            return self.value(trial.suggest_categorical(name, list(map(label, self.choices))))
        low, high = self.ends
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(name, low, high, log=self.log)
        return trial.suggest_float(name, low, high, log=self.log)


def label(value: Any) -> Scalar:
    """How Optuna keeps a choice: scalars as they are, all else as JSON."""
    return value if isinstance(value, Scalar) else json.dumps(value, ensure_ascii=False)


class SweepSettings(RecipeTable):
    """The table ``[sweep]``.

    Attributes:
        search: What is searched, by ``table.field``.
        trials: End after so many trials, pruned and failed ones among them.
        minutes: Begin no trial once all together have taken so long.
        first: Settings of the first trials, each some of the searched ones; the rest is drawn.
        random_trials: Trials drawn evenly, before earlier ones guide the draw.
        prune_below: A trial is ended at a validation at which its best J so far lies below this
            quantile of the finished trials' J then, in [0, 1); .5 is the median, 0 prunes none.
        prune_after: Trials that must have finished before any is pruned.
    """

    search: Annotated[dict[str, Search], Field(min_length=1)]
    trials: Count | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    first: list[dict[str, Any]] = Field(default_factory=list)
    random_trials: Annotated[int, Field(ge=0)] = 10
    prune_below: Share = 0.5
    prune_after: Count = 5

    @model_validator(mode="after")
    def _ends_and_refers_to_what_is_searched(self) -> Self:
        if self.trials is None and self.minutes is None:
            raise ValueError("give trials = ..., minutes = ..., or both")
        before: set[str] = set()
        for name, search in self.search.items():
            if not before.issuperset(search.when):
                raise ValueError(f"'when' of {name} may name settings that are searched before it")
            before.add(name)
        for settings in self.first:
            for name, value in settings.items():
                if name not in self.search or not self.search[name].allows(value):
                    raise ValueError(f"'first' has {name} = {value!r}, which is not searched")
        return self


@dataclass(frozen=True, slots=True)
class SweepRecipe:
    """A recipe of `civilly.train.sft` with a table ``[sweep]``, checked.

    Attributes:
        settings: The table ``[sweep]``.
        base: All other tables, as they stand in the file.
    """

    settings: SweepSettings
    base: dict[str, Any]

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> SweepRecipe:
        """Checks the tables of a TOML file, and every value that may be tried alone.

        Args:
            content: The parsed file.

        Raises:
            DataError: Naming what is missing, of a wrong type, out of range or not searchable.
            UnknownNameError: If there is no such table or field.
        """
        if not isinstance(content.get("sweep"), dict):
            raise DataError("The recipe has no table [sweep].", mend="see recipes/sweep.toml")
        base = {table: fields for table, fields in content.items() if table != "sweep"}
        recipe = SftRecipe.parse(base, "the recipe")
        if recipe.validation.every_steps is None:
            raise DataError(
                "A sweep compares the J of validations, and the recipe asks for none.",
                mend="every_steps under [validation]",
            )
        settings = checked(SweepSettings, content["sweep"], "[sweep]")
        for name, search in settings.search.items():
            if name.partition(".")[0] not in SEARCHED_TABLES:
                raise DataError(
                    f"[sweep.search] has {name!r}.",
                    allowed=", ".join(f"{table}.field" for table in SEARCHED_TABLES),
                )
            for value in search.values():
                SftRecipe.parse(with_setting(base, name, value), f"[sweep.search] {name!r}")
        return cls(settings, base)

    def choose(self, trial: Suggester) -> dict[str, Any]:
        """The settings of a trial, by ``table.field``."""
        chosen: dict[str, Any] = {}
        for name, search in self.settings.search.items():
            if all(chosen.get(other) in allowed for other, allowed in search.when.items()):
                chosen[name] = search.suggest(trial, name)
        return chosen

    def with_settings(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe of a trial.

        ``validation.every_steps`` counts steps of the recipe's own size: a trial with other batches
        is validated after as many pairs, so that trials can be compared on the way.

        Args:
            chosen: Settings, by ``table.field``.
        """
        content = self.base
        for name, value in chosen.items():
            content = with_setting(content, name, value)
        own, changed = (SftRecipe.parse(each, "the trial") for each in (self.base, content))
        assert own.validation.every_steps is not None
        pairs = own.validation.every_steps * _pairs_per_step(own)
        every = max(1, round(pairs / _pairs_per_step(changed)))
        return with_setting(content, "validation.every_steps", every)


def _pairs_per_step(recipe: SftRecipe) -> int:
    return recipe.training.batch_size * recipe.training.accumulation
