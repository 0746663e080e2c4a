"""The recipe of one training for each language: what they share, and what is different in some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field

from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.errors import DataError, UnknownNameError
from civilly.languages import CODES
from civilly.train.recipe import SftRecipe, with_setting

SHARED, BASE = "shared", "base"
"""What a language starts from: the adapter that ships for all of them, or the plain base."""
SHARED_ADAPTER = "tuned"
"""Name of the adapter that ships."""
HUMAN_KINDS = ("pairs", "hub")
"""Kinds of sources whose pairs people wrote."""

PartOf = Annotated[float, Field(gt=0, le=1)]


class LanguageSettings(RecipeTable):
    """What is special about one language; what is not given is as in the tables for all.

    Attributes:
        start: ``shared`` (a small new adapter onto the one that ships), ``base`` (the embedded
            model alone), or a model: a hub id, or a folder in Hugging Face form.
        related: Languages whose pairs are learnt from, too.
        share: Of the pairs, in (0, 1]: for learning curves.
        rank: Of the adapter.
        alpha: Of the adapter.
        learning_rate: The highest.
        epochs: Times that the corpus is read.
    """

    start: str | None = None
    related: list[str] = Field(default_factory=list)
    share: PartOf | None = None
    rank: Count | None = None
    alpha: Count | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None


class ForAll(RecipeTable):
    """What holds for every language that does not say otherwise.

    Attributes:
        names: Which languages, in this order.
        start: See `LanguageSettings`.
        share: See `LanguageSettings`.
        enough_human_pairs: A language with so many pairs that people wrote learns from them alone;
            the others from the written ones, too.
    """

    names: list[str] = Field(default_factory=lambda: list(CODES))
    start: str = SHARED
    share: PartOf = 1.0
    enough_human_pairs: Count = 300


class LanguagesRecipe(SftRecipe):
    """A template: the tables of `civilly.train.recipe.SftRecipe`, and of single languages.

    Attributes:
        languages: What holds for every language.
        language: What is special about one, by its code.
    """

    languages: ForAll = ForAll()
    language: dict[str, LanguageSettings] = Field(default_factory=dict)

    @classmethod
    def parse(cls, content: Mapping[str, Any], name: str) -> Self:
        """Checks the tables of a TOML file; see `civilly.train.recipe.FineTuningRecipe.parse`.

        Raises:
            DataError: Naming the field that is missing, of a wrong type or out of range.
            UnknownNameError: If there is no such table, field or language.
        """
        recipe = checked(cls, content, name)
        named = [*recipe.languages.names, *recipe.language]
        for lang in [
            *named,
            *(other for each in recipe.language.values() for other in each.related),
        ]:
            if lang not in CODES:
                raise UnknownNameError("language", lang, CODES, where=f" in {name}")
        if recipe.adapter.start is not None or recipe.adapter.onto is not None:
            raise DataError(
                f"{name}, adapter: what a language starts from stands elsewhere here.",
                mend='start = "shared", "base" or a model, under [languages] or [language.CODE]',
            )
        return recipe

    def start_of(self, lang: str) -> str:
        """What a language starts from; see `LanguageSettings`."""
        return self._of(lang).start or self.languages.start

    def share_of(self, lang: str) -> float:
        """The share of its pairs that a language learns from."""
        return self._of(lang).share or self.languages.share

    def corpus_of(self, lang: str) -> dict[str, Any]:
        """What `civilly.data.corpus.build.build_corpus` takes for a language."""
        corpus = {**self.corpus, "languages": [lang, *self._of(lang).related]}
        return {"seed": self.seed, "corpus": corpus}

    def training_of(self, lang: str, corpus: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe of one language's training, as `civilly.train.sft.train_sft` takes it.

        Args:
            lang: The language.
            corpus: Its table ``[corpus]``.
        """
        content = self.model_dump(exclude={"languages", "language", "corpus"})
        content["corpus"] = dict(corpus)
        start = self.start_of(lang)
        if start == SHARED:
            content = with_setting(content, "adapter.onto", SHARED_ADAPTER)
        elif start != BASE:
            content = with_setting(content, "base.name", start)
        own = self._of(lang)
        for table, name in (
            ("adapter", "rank"), ("adapter", "alpha"),
            ("training", "learning_rate"), ("training", "epochs"),
        ):  # fmt: skip
            value = getattr(own, name)
            if value is not None:
                content = with_setting(content, f"{table}.{name}", value)
        return content

    def _of(self, lang: str) -> LanguageSettings:
        return self.language.get(lang, LanguageSettings())
