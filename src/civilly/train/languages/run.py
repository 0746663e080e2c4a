"""Trains one adapter for each language, one after the other, each in a run folder of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.data.corpus.build import Corpus, build_corpus
from civilly.data.corpus.folder_writer import write_corpus
from civilly.errors import CivillyError, UnknownNameError
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.train.languages.recipe import HUMAN_KINDS, LanguagesRecipe
from civilly.train.languages.report import COST_FILE, Row, read_rows, write_report
from civilly.train.run_folder import RESULT_FILE, read_json, write_json
from civilly.train.sft import train_sft

CORPUS_FOLDER = "corpus"
"""In the run folder of a language: its pairs, their report and card, as of ``data build``."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the languages are trained and with what, besides the recipe.

    Attributes:
        data: The data folder that the recipe's sources lie in.
        out: Folder of the runs, one for each language.
        take_out_leaks: See `civilly.train.finetuning.Options`.
        embedded: Folder of the embedded model in Hugging Face form; None: the shipped one.
    """

    data: Path
    out: Path
    take_out_leaks: bool = False
    embedded: Path | None = None


def train_languages(
    content: Mapping[str, Any],
    place: Workplace,
    *,
    langs: Sequence[str] = (),
    resume: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Trains by a template, language by language.

    In the folder: ``LANG/corpus`` (pairs, report, card), ``LANG/`` as `civilly.train.sft` leaves
    it, ``languages.json`` and ``README.md`` about all that are done.

    Args:
        content: The recipe's tables (`civilly.train.languages.recipe.LanguagesRecipe`).
        place: Where.
        langs: Which of the recipe's languages; none: all.
        resume: Go on: languages that are done stay, one that was killed goes on from its newest
            checkpoint.
        progress: Takes a line about each language.

    Returns:
        A row about each language that is done, also by earlier calls, in the recipe's order.

    Raises:
        DataError: If the recipe is wrong, or a folder holds a run of another one.
        UnknownNameError: If a language is none of the recipe's.
        CivillyError: As `civilly.train.sft.train_sft`, naming the language.
    """
    recipe = LanguagesRecipe.parse(content, "the recipe")
    for lang in langs:
        if lang not in recipe.languages.names:
            raise UnknownNameError("language of the recipe", lang, recipe.languages.names)
    for lang in langs or recipe.languages.names:
        try:
            _train_one(recipe, lang, place, resume=resume, progress=progress)
        except CivillyError as error:
            error.args = (f"{lang}: {error}", *error.args[1:])
            error.problem = f"{lang}: {error.problem}"
            raise
        gc.collect()  # the model of a language, before the next one is loaded
        write_report(read_rows(place.out, recipe), place.out)
    return read_rows(place.out, recipe)


def _train_one(
    recipe: LanguagesRecipe,
    lang: str,
    place: Workplace,
    *,
    resume: bool,
    progress: Callable[[str], None],
) -> None:
    run = place.out / lang
    folder = run / CORPUS_FOLDER
    done = (run / RESULT_FILE).exists()
    if not done:
        corpus = corpus_of(recipe, lang, place)
        write_corpus(corpus, folder, lambda text, code: tuned_prompt(text, code).text)
        progress(f"{lang}: {len(corpus.train)} pairs, from {recipe.start_of(lang)}")
    built = {"name": lang, "kind": "built", "path": str(folder)}
    table = {"leaks": "refuse", "sources": [built], "licences": _allowed(recipe)}
    begun = time.monotonic(), time.process_time()
    train_sft(
        recipe.training_of(lang, table), place.data, run, resume=resume, embedded=place.embedded
    )
    if not done:
        _note_cost(run / COST_FILE, time.monotonic() - begun[0], time.process_time() - begun[1])
        progress(f"{lang}: done in {(time.monotonic() - begun[0]) / 60:.1f} minutes")


def corpus_of(recipe: LanguagesRecipe, lang: str, place: Workplace) -> Corpus:
    """What one language learns from, without held-out and official texts.

    Args:
        recipe: The template.
        lang: The language.
        place: Where the data lie.

    Raises:
        DataError: If nothing is left.
        LeakError: If pairs leak and are not to be taken out.
    """
    corpus = build_corpus(recipe.corpus_of(lang), place.data, take_out_leaks=place.take_out_leaks)
    human = [source for source in corpus.recipe.sources if source.kind in HUMAN_KINDS]
    names = {source.name for source in human}
    of_people = [pair for pair in corpus.train if pair.source in names]
    if sum(pair.lang == lang for pair in of_people) >= recipe.languages.enough_human_pairs:
        corpus = Corpus(
            corpus.recipe.model_copy(update={"sources": human}),
            of_people,
            corpus.dev,
            {name: licence for name, licence in corpus.licences.items() if name in names},
            {name: reasons for name, reasons in corpus.dropped.items() if name in names},
            corpus.left_out,
        )
    share = recipe.share_of(lang)
    if share < 1:
        kept = max(1, round(share * len(corpus.train)))
        for pair in corpus.train[kept:]:
            corpus.drop(pair.source, "sampling", 1)
        corpus.train = corpus.train[:kept]  # they are shuffled: a quarter is part of a half
    return corpus


def _allowed(recipe: LanguagesRecipe) -> list[str]:
    from civilly.data.corpus.recipe import SHIPPABLE

    return list(recipe.corpus.get("licences", SHIPPABLE))


def _note_cost(path: Path, seconds: float, processor: float) -> None:
    """Adds what a training took to what it took before it was stopped."""
    before = read_json(path)
    write_json(
        path,
        {
            "seconds": round(before.get("seconds", 0) + seconds, 1),
            "processor_seconds": round(before.get("processor_seconds", 0) + processor, 1),
        },
    )
