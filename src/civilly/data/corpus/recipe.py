"""The ``[corpus]`` table of a recipe: what it may say, checked before anything is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from civilly.data.recipe_table import Count, RecipeTable, checked
from civilly.errors import DataError

SHIPPABLE = (
    "CC0-1.0", "MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "OpenRAIL++",
)  # fmt: skip
"""Licences under which what is trained on the data may be shipped; SPDX names but for the last."""

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
References = Literal["closest", "all", "sampled"]


class Source(RecipeTable):
    """What every source says.

    Attributes:
        name: Of the source, in errors, tables and the pairs themselves.
        kind: How it is read; one of `KINDS`.
        licence: SPDX name; several with `` AND `` between them if parts differ.
        limit: At most so many texts, drawn at random.
        repeat: How often each pair is in the corpus.
    """

    name: str
    kind: str
    licence: str | None = None
    limit: Count | None = None
    repeat: Count = 1


class Columns(RecipeTable):
    """Which columns are what, where they are not called as `civilly.data.pairs.read_pairs` says.

    Attributes:
        toxic: The toxic side.
        neutral: The civil side, a text or a list of texts; or several columns, empty ones skipped.
        lang: The language code.
        id: What names a row; default: its number.
    """

    toxic: str | None = None
    neutral: str | list[str] | None = None
    lang: str | None = None
    id: str | None = None


class _ParallelSource(Source):
    """Pairs that people wrote.

    Attributes:
        columns: What the columns are called.
        lang: Language of all rows, where no column says it.
        dev_split: Part the pairs by `civilly.data.split.dev_part`: ``train`` is trained on,
            ``tune`` becomes development pairs, ``eval`` is left alone.
        detokenise: Undo Penn-Treebank spacing and capitalise half of the pairs (ParaDetox).
        writing: What a reference takes over from its toxic side: ``ends``, the initial case, the
            final punctuation and emoji; ``all``, also capitals and spacing between, for corpora
            whose annotators changed them (`civilly.data.corpus.harmonise`).
        least_overlap: Pairs whose sides are less alike are noise; Ratcliff-Obershelp, in [0, 1].
        references: ``closest`` keeps the one that edits least, ``all`` makes a pair of each,
            ``sampled`` draws one for every repetition.
    """

    columns: Columns = Columns()
    lang: str | None = None
    dev_split: bool = False
    detokenise: bool = False
    writing: Literal["ends", "all"] = "ends"
    least_overlap: Share = 0.3
    references: References = "closest"


class PairsSource(_ParallelSource):
    """A file of pairs in any format of `civilly.data.io`.

    Attributes:
        path: In the data folder, or absolute.
    """

    path: str


class HubSource(_ParallelSource):
    """A data set of the Hugging Face hub; naming it in a recipe is asking for the download.

    Rows with the same toxic side are one pair with several references.

    Attributes:
        dataset: Its id, or a folder in the hub's layout (in the data folder, or absolute).
        revision: Commit or tag; an id needs one, or the recipe would mean something else tomorrow.
        config: Name of the configuration, if it has several.
        split: Name of the split.
    """

    dataset: str
    revision: str | None = None
    config: str | None = None
    split: str = "train"


class AuthoredSource(Source):
    """Pairs written for this project, a file per language; the ``eval`` part is never used.

    Attributes:
        path: The folder.
        dev_split: Whether the ``tune`` part becomes development pairs, instead of training ones.
    """

    path: str
    dev_split: bool = False


class DistilledSource(Source):
    """Pairs that a language model wrote, a file per language; nothing of them is held out.

    Attributes:
        path: The folder.
        languages: Of which languages; default: all.
    """

    path: str
    languages: list[str] | None = None


class BuiltSource(Source):
    """A folder that ``civilly data build`` wrote: its pairs, under the licences that it states.

    Attributes:
        path: The folder.
    """

    path: str


class SyntheticSource(Source):
    """A folder that ``civilly synth detoxify`` wrote: its pairs, under the licences of its rows.

    Attributes:
        path: The folder.
        languages: Of which languages; default: all.
    """

    path: str
    languages: list[str] | None = None


class LabelledFile(RecipeTable):
    """Labelled texts whose civil ones count as clean.

    Attributes:
        path: In the data folder.
        lang: Their language.
    """

    path: str
    lang: str


class CopiesSource(Source):
    """Clean sentences to be given back unchanged.

    Attributes:
        per_language: At most so many of each language.
        clean_sources: Which sources of the files in ``clean/``.
        clean_labelled: Further clean texts.
        languages: Of which languages; default: all.
    """

    per_language: Count
    clean_sources: list[str]
    clean_labelled: list[LabelledFile] = Field(default_factory=list)
    languages: list[str] | None = None


class InsertionsSource(CopiesSource):
    """Clean sentences with an insult put in.

    Attributes:
        languages: Of which languages.
        term_sources: Which word lists.
        single_source_languages: Where a word that only one list has counts, too.
    """

    languages: list[str]
    term_sources: list[str]
    single_source_languages: list[str]


KINDS: Mapping[str, type[Source]] = {
    "pairs": PairsSource,
    "hub": HubSource,
    "authored": AuthoredSource,
    "distilled": DistilledSource,
    "built": BuiltSource,
    "synthetic": SyntheticSource,
    "insertions": InsertionsSource,
    "copies": CopiesSource,
}
"""The kinds of sources and what each may say."""


class CorpusRecipe(RecipeTable):
    """The corpus of a recipe.

    Attributes:
        seed: Of everything random.
        sources: In order; of duplicates the first stays.
        longest_characters: Longer toxic sides are left out; None: no bound.
        leaks: What happens to pairs that repeat an evaluation text.
        licences: Which ones are allowed, without regard to case.
        unlicensed: What happens to sources under another licence, or none.
        deduplicate: Whether a toxic side that another pair of its language already has, but for
            case, punctuation, mentions and links, is left out.
        temperature: Languages are sampled with a share ∝ n^(1/temperature); None: as they are.
        size: Pairs after sampling; default: as many as there are.
        languages: Of which languages; pairs of others are passed over. Default: all.
    """

    seed: int
    sources: list[SerializeAsAny[Source]]
    longest_characters: Count | None = None
    leaks: Literal["refuse", "take_out"] = "refuse"
    licences: list[str] = Field(default_factory=lambda: list(SHIPPABLE))
    unlicensed: Literal["refuse", "leave_out"] = "refuse"
    deduplicate: bool = False
    temperature: Positive | None = None
    size: Count | None = None
    languages: list[str] | None = None

    @classmethod
    def parse(cls, recipe: Mapping[str, Any]) -> CorpusRecipe:
        """Checks the seed and the table ``[corpus]`` of a recipe; other tables do not matter here.

        Args:
            recipe: The parsed TOML file.

        Raises:
            DataError: Naming what is missing, of a wrong type, out of range, or there twice.
            UnknownNameError: If there is no such setting.
        """
        table = recipe.get("corpus")
        given = table.get("sources") if isinstance(table, Mapping) else None
        if not isinstance(table, Mapping) or not isinstance(given, list) or not given:
            raise DataError(
                "The recipe names no sources.", mend="add a table [[corpus.sources]] for each"
            )
        sources = [_source(each, number) for number, each in enumerate(given, start=1)]
        name, times = Counter(source.name for source in sources).most_common(1)[0]
        if times > 1:
            raise DataError(f"{times} sources are called {name!r}.", mend="rename one of them")
        seed = {"seed": recipe["seed"]} if "seed" in recipe else {}
        return checked(cls, {**table, **seed, "sources": sources}, "the recipe's corpus")


def _source(content: Any, number: int) -> Source:
    name = f"source {number}"
    if not isinstance(content, Mapping):
        raise DataError(f"{name} is no table.", mend="write [[corpus.sources]]")
    name = f"source {content.get('name', number)!r}"
    kind = str(content.get("kind"))
    if kind not in KINDS:
        raise DataError(f"{name} has the kind {kind!r}.", allowed=", ".join(KINDS))
    return checked(KINDS[kind], content, name)
