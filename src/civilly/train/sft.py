"""Supervised fine-tuning on pairs of toxic and civil sentences, by a recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.data.corpus.build import DEV_FILE, Corpus, build_corpus
from civilly.data.files import write_bytes
from civilly.data.pairs import Pair, count_by_source, read_pairs
from civilly.data.split import dev_part
from civilly.errors import CivillyError, DataError, MissingExtraError
from civilly.train.recipe import SftRecipe, ValidationSettings

RESULT_FILE, LOG_FILE, CONFIG_FILE = "result.json", "log.json", "config.json"


def train_sft(
    content: Mapping[str, Any],
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    take_out_leaks: bool = False,
    embedded: Path | None = None,
    callbacks: Sequence[Any] = (),
) -> Path:
    """Fine-tunes a model by a recipe, on pairs that repeat no held-out or official text.

    Args:
        content: The recipe's tables (`civilly.train.recipe.SftRecipe`).
        data: The data folder that the recipe's sources lie in.
        out: Run folder: ``config.json`` (all settings, examples by source), checkpoints,
            ``adapter/`` or, of a model that was trained as a whole, ``model/``; ``log.json``;
            ``result.json`` with the last validation.
        resume: Go on from the newest checkpoint in ``out``.
        take_out_leaks: Leave pairs that repeat held-out or official texts out, as a recipe with
            ``leaks = "take_out"`` under ``[corpus]`` does; otherwise they are refused.
        embedded: Folder of the embedded model in Hugging Face form; default: the shipped one.
        callbacks: Further callbacks of transformers.

    Returns:
        The folder that the engines take.

    Raises:
        MissingExtraError: If torch, transformers or peft are not installed.
        DataError: If the recipe is wrong, a licence is not allowed, or no pairs are left.
        LeakError: If pairs leak and are not to be taken out; nothing was trained then.
        ModelError: If the base model cannot be loaded.
    """
    try:
        import peft  # noqa: F401 - asked for before anything is computed
        import torch  # noqa: F401
        from transformers.trainer_utils import get_last_checkpoint, set_seed
    except ImportError as error:
        raise MissingExtraError("Training", "train", str(error.name)) from error
    from civilly.train.base_model import encode_pairs, load_trainee
    from civilly.train.trainer import build_trainer

    recipe = SftRecipe.parse(content, "the recipe")
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = get_last_checkpoint(str(out))
    if checkpoint and not resume:
        raise CivillyError(
            f"{out} already holds checkpoints of another run.",
            mend="--resume to go on with it, or another --out",
        )
    corpus = _corpus(recipe, data, out, take_out=take_out_leaks)
    set_seed(recipe.seed)
    trainee = load_trainee(recipe.base, recipe.adapter, recipe.training.precision, embedded)
    trainer = build_trainer(
        recipe,
        trainee,
        encode_pairs(corpus.train, trainee),
        out,
        _validation(recipe, corpus, data, trainee),
        callbacks,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    _write(out / LOG_FILE, trainer.state.log_history)
    scores = [row for row in trainer.state.log_history if "eval_J" in row]
    best: dict[str, float] = max(scores, key=lambda row: float(row["eval_J"]), default={})
    _write(out / RESULT_FILE, best)
    return trainee.save(out, trainer.model)


def _corpus(recipe: SftRecipe, data: Path, out: Path, *, take_out: bool) -> Corpus:
    """The recipe's corpus without leaks; writes what it is into the run folder."""
    corpus = build_corpus(recipe.model_dump(), data, take_out_leaks=take_out)
    notes = {
        "recipe": recipe.model_dump(),
        "examples": count_by_source(corpus.train),
        "left_out": corpus.dropped,
    }
    _write(out / CONFIG_FILE, notes)
    return corpus


def _validation(recipe: SftRecipe, corpus: Corpus, data: Path, trainee: Any) -> Any:
    if recipe.validation.every_steps is None:
        return None
    from civilly.train.validation import validator

    pairs = tuning_pairs(corpus, data, recipe.validation)
    return validator(trainee, pairs, recipe.validation.suite)


def tuning_pairs(corpus: Corpus, data: Path, settings: ValidationSettings) -> list[Pair]:
    """The first pairs of the ``tune`` part in each language, which no training sees.

    Args:
        corpus: Its development pairs are meant, besides the official ones.
        data: The data folder.
        settings: How many of each, and how long.

    Raises:
        DataError: If there are none.
    """
    official = [p for p in read_pairs(data / DEV_FILE) if dev_part(p.id) == "tune"]
    chosen: dict[str, dict[str, Pair]] = {}
    for pair in [*official, *corpus.dev]:
        row = chosen.setdefault(pair.lang, {})
        fits = len(pair.toxic) <= (settings.longest_characters or len(pair.toxic))
        if fits and len(row) < settings.pairs:
            row.setdefault(pair.id, pair)
    pairs = [pair for row in chosen.values() for pair in row.values()]
    if not pairs:
        raise DataError(
            "There are no pairs to validate on.",
            mend="dev_split = true in a source, or no every_steps under [validation]",
        )
    return pairs


def _write(path: Path, content: Any) -> None:
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
