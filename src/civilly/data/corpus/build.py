"""Assembles the corpus of a recipe: licences, sources, duplicates, leaks, balance of languages."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from civilly.data.corpus.balance import sample_languages
from civilly.data.corpus.folder_reader import built_licences
from civilly.data.corpus.licences import refused_licences
from civilly.data.corpus.recipe import (
    AuthoredSource,
    BuiltSource,
    CorpusRecipe,
    HubSource,
    PairsSource,
    Source,
    SyntheticSource,
)
from civilly.data.corpus.sources import Read, read_source
from civilly.data.corpus.synthetic_reader import synthetic_licence
from civilly.data.leaks import find_leaks, normalise
from civilly.data.pair_leaks import refuse_leaks
from civilly.data.pairs import Pair, read_authored, read_inputs, read_pairs
from civilly.data.split import dev_part
from civilly.errors import DataError

DEV_FILE = Path("parallel", "multiparadetox_dev.jsonl.gz")
"""The official development pairs, in the data folder; two parts of them are never trained on."""


@dataclass(slots=True)
class Corpus:
    """What a recipe gives.

    Attributes:
        recipe: The recipe, defaults filled in.
        train: Pairs to train on, one reference each, shuffled.
        dev: Pairs of the ``tune`` part, with all references; none of them is trained on.
        licences: The licence of each source whose pairs are in.
        dropped: Texts of each source that were left out, by the reason (a key of
            `civilly.data.corpus.card.REASONS`).
        left_out: Sources that were left out for their licence, with that licence.
    """

    recipe: CorpusRecipe
    train: list[Pair] = field(default_factory=list)
    dev: list[Pair] = field(default_factory=list)
    licences: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def drop(self, source: str, reason: str, texts: int) -> None:
        """Counts texts of a source that are left out."""
        if texts:
            self.dropped.setdefault(source, Counter())[reason] += texts


def build_corpus(
    recipe: Mapping[str, Any],
    data: Path,
    *,
    take_out_leaks: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Corpus:
    """The corpus of a recipe; the same recipe and data give the same corpus.

    Args:
        recipe: The parsed recipe: ``seed``, and ``corpus`` as in `CorpusRecipe`.
        data: The data folder.
        take_out_leaks: Leave pairs that repeat evaluation texts out, even if the recipe does not
            say so.
        tell: Called with a line for each step that is done.

    Raises:
        DataError: If the recipe is wrong, a source is missing, its licence is not allowed, or
            nothing is left.
        LeakError: If pairs repeat evaluation texts and are not to be taken out.
    """
    corpus = Corpus(CorpusRecipe.parse(recipe))
    settings = corpus.recipe
    rng = random.Random(settings.seed)
    seen: set[tuple[str, str]] = set()
    for source in _licensed(corpus):
        read = read_source(source, data, rng, settings.languages)
        corpus.dev += read.dev
        for reason, texts in read.dropped.items():
            corpus.drop(source.name, reason, texts)
        examples = _examples(source, read, corpus, seen, rng)
        corpus.train += examples
        if tell:
            tell(f"{source.name}: {len(examples)} pairs, {len(read.dev)} kept apart")
    rng.shuffle(corpus.train)
    if tell:
        tell(f"looking for leaks in {len(corpus.train)} pairs")
    _take_out_leaks(corpus, data, take_out_leaks)
    if settings.temperature is not None or settings.size is not None:
        size = settings.size or len(corpus.train)
        sampled = sample_languages(corpus.train, settings.temperature or 1.0, size, rng)
        _count_dropped(corpus, "sampling", _names(corpus.train) - _names(sampled))
        corpus.train = sampled
    if not corpus.train:
        raise DataError("The recipe leaves no pairs to train on.", mend="look at [corpus] sources")
    return corpus


def _licensed(corpus: Corpus) -> list[Source]:
    """The sources whose licences are allowed; notes the licences."""
    licensed = []
    for source in corpus.recipe.sources:
        licences = {source.name: source.licence or ""}
        if isinstance(source, (BuiltSource, SyntheticSource)):
            if source.licence is not None:
                raise DataError(
                    f"source {source.name!r} states a licence, but is built from other sources.",
                    mend="leave it out: the licences that the folder states count",
                )
            folder = Path(source.path)
            licences = (
                {source.name: synthetic_licence(folder)}
                if isinstance(source, SyntheticSource)
                else built_licences(folder)
            )
        refused = [
            part
            for licence in licences.values()
            for part in refused_licences(licence, corpus.recipe.licences)
        ]
        if not refused:
            licensed.append(source)
            for name, licence in licences.items():
                known = corpus.licences.setdefault(name, licence)
                if known != licence:
                    corpus.licences[name] = f"{known} AND {licence}"
        elif corpus.recipe.unlicensed == "leave_out":
            corpus.left_out[source.name] = ", ".join(dict.fromkeys(refused))
        else:
            raise DataError(
                f"source {source.name!r} has the licence: {', '.join(dict.fromkeys(refused))}.",
                allowed=", ".join(corpus.recipe.licences),
                mend='state its licence; or licences = […] or unlicensed = "leave_out" '
                "under [corpus]",
            )
    return licensed


def _examples(
    source: Source,
    read: Read,
    corpus: Corpus,
    seen: set[tuple[str, str]],
    rng: random.Random,
) -> list[Pair]:
    """The examples of a source: without duplicates, limited, short enough, repeated."""
    settings, pairs = corpus.recipe, read.train
    if settings.deduplicate:
        pairs = _without_duplicates(pairs, seen)
        corpus.drop(source.name, "duplicate", len(read.train) - len(pairs))
    if source.limit and len(pairs) > source.limit:
        corpus.drop(source.name, "limit", len(pairs) - source.limit)
        pairs = rng.sample(pairs, source.limit)
    if settings.deduplicate:
        seen.update(map(_key, pairs))
    if settings.longest_characters:
        short = [pair for pair in pairs if len(pair.toxic) <= settings.longest_characters]
        corpus.drop(source.name, "too_long", len(pairs) - len(short))
        pairs = short
    sampled = isinstance(source, (PairsSource, HubSource)) and source.references == "sampled"
    return [
        replace(pair, neutral=(reference,))
        for _ in range(source.repeat)
        for pair in pairs
        for reference in ([rng.choice(pair.neutral)] if sampled else pair.neutral)
    ]


def _without_duplicates(pairs: Iterable[Pair], seen: set[tuple[str, str]]) -> list[Pair]:
    """The first pair of each toxic side that is not ``seen``."""
    first: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        first.setdefault(_key(pair), pair)
    return [pair for key, pair in first.items() if key not in seen]


def _key(pair: Pair) -> tuple[str, str]:
    """What two duplicates have in common; a text without letters is its own key."""
    return pair.lang, normalise(pair.toxic) or pair.toxic


def _take_out_leaks(corpus: Corpus, data: Path, take_out: bool) -> None:
    evaluation = evaluation_texts(data, _authored_folder(corpus.recipe))
    evaluation += [pair.toxic for pair in corpus.dev]
    take_out = take_out or corpus.recipe.leaks == "take_out"
    kept, leaking = without_leaks(corpus.train, evaluation, take_out=take_out)
    _count_dropped(corpus, "leak", _names(leaking))
    corpus.train = kept


def _names(pairs: Iterable[Pair]) -> set[tuple[str, str]]:
    return {(pair.source, pair.id) for pair in pairs}


def _count_dropped(corpus: Corpus, reason: str, names: set[tuple[str, str]]) -> None:
    for source, texts in sorted(Counter(source for source, _ in names).items()):
        corpus.drop(source, reason, texts)


def _authored_folder(recipe: CorpusRecipe) -> Path | None:
    """Where the recipe's authored pairs lie, a part of which is held out."""
    found = (source for source in recipe.sources if isinstance(source, AuthoredSource))
    return next((Path(source.path) for source in found), None)


def evaluation_texts(data: Path, authored: Path | None) -> list[str]:
    """Toxic sides that no training may see: all held-out pairs and the official inputs."""
    dev = read_pairs(data / DEV_FILE)
    texts = [pair.toxic for pair in dev if dev_part(pair.id) != "train"]
    if authored:
        texts += [p.toxic for p in read_authored(authored) if dev_part(p.id) == "eval"]
    for name in ("textdetox2025_dev.tsv", "textdetox2025_test.tsv"):
        path = data / "inputs" / name
        if path.exists():
            texts += [given.text for given in read_inputs(path)]
    return texts


def without_leaks(
    corpus: Sequence[Pair], evaluation: Sequence[str], *, take_out: bool
) -> tuple[list[Pair], list[Pair]]:
    """The pairs that repeat no evaluation text, and those that do; both in order.

    Raises:
        LeakError: If there are such pairs and they are not to be taken out.
    """
    toxic = sorted({pair.toxic for pair in corpus})
    leaking = {toxic[leak.training]: leak.kind for leak in find_leaks(toxic, evaluation)}
    if not take_out:
        refuse_leaks(
            {f"{p.source} {p.id}": leaking[p.toxic] for p in corpus if p.toxic in leaking},
            mend='--take-out-leaks, or leaks = "take_out" under [corpus] in the recipe',
        )
    kept = [pair for pair in corpus if pair.toxic not in leaking]
    return kept, [pair for pair in corpus if pair.toxic in leaking]
