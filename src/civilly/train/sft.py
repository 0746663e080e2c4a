"""Supervised fine-tuning on pairs of toxic and civil sentences, by a recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.data.corpus import build_corpus, count_by_source, evaluation_texts, without_leaks
from civilly.data.files import write_bytes
from civilly.data.pairs import Pair, read_authored, read_pairs
from civilly.data.split import dev_part
from civilly.errors import CivillyError, DataError, MissingExtraError
from civilly.train.recipe import SftRecipe

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
        DataError: If the recipe is wrong, or leaves no pairs.
        LeakError: If pairs leak and are not to be taken out; nothing was trained then.
        ModelError: If the base model cannot be loaded.
    """
    try:
        import peft  # noqa: F401 - asked for before anything is computed
        import torch
        from transformers.trainer_utils import get_last_checkpoint, set_seed
    except ImportError as error:
        raise MissingExtraError("Training", "train", str(error.name)) from error
    from civilly.train.base_model import encode_pairs, load_trainee
    from civilly.train.trainer import build_trainer
    from civilly.train.validation import validator

    recipe = SftRecipe.parse(content, "the recipe")
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = get_last_checkpoint(str(out))
    if checkpoint and not resume:
        raise CivillyError(
            f"{out} already holds checkpoints of another run.",
            mend="--resume to go on with it, or another --out",
        )
    validated = tuning_pairs(recipe, data) if recipe.validation.every_steps else []
    corpus = _corpus(recipe, data, out, validated, take_out=take_out_leaks)
    set_seed(recipe.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    trainee = load_trainee(recipe.base, recipe.adapter, recipe.training.precision, embedded)
    trainer = build_trainer(
        recipe,
        trainee,
        encode_pairs(corpus, trainee),
        out,
        validator(trainee, validated, recipe.validation.suite) if validated else None,
        callbacks,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    _write(out / LOG_FILE, trainer.state.log_history)
    scores = [row for row in trainer.state.log_history if "eval_J" in row]
    best: dict[str, float] = max(scores, key=lambda row: float(row["eval_J"]), default={})
    _write(out / RESULT_FILE, best)
    return trainee.save(out, trainer.model)


def _corpus(
    recipe: SftRecipe, data: Path, out: Path, validated: Sequence[Pair], *, take_out: bool
) -> list[Pair]:
    """The recipe's pairs without those to validate on and leaks; notes in the run folder."""
    wanted = recipe.corpus.get("leaks", "refuse")
    if wanted not in ("refuse", "take_out"):
        raise CivillyError(
            f"The recipe says leaks = {wanted!r} under [corpus].", allowed='"refuse", "take_out"'
        )
    held = {pair.id for pair in validated}
    pairs, leaks = without_leaks(
        [pair for pair in build_corpus(recipe.model_dump(), data) if pair.id not in held],
        evaluation_texts(data, authored_folder(recipe.corpus)) + [p.toxic for p in validated],
        take_out=take_out or wanted == "take_out",
    )
    if not pairs:
        raise DataError("The recipe leaves no pairs to train on.", mend="look at [corpus] sources")
    notes = {
        "recipe": recipe.model_dump(),
        "examples": count_by_source(pairs),
        "leaks_taken_out": leaks,
    }
    _write(out / CONFIG_FILE, notes)
    return pairs


def tuning_pairs(recipe: SftRecipe, data: Path) -> list[Pair]:
    """The first pairs of the ``tune`` part in each language, which no training sees.

    Raises:
        DataError: If there are none.
    """
    found = read_pairs(data / "parallel" / "multiparadetox_dev.jsonl.gz")
    folder = authored_folder(recipe.corpus)
    found += read_authored(folder) if folder else []
    longest = recipe.validation.longest_characters or max((len(p.toxic) for p in found), default=0)
    chosen: dict[str, list[Pair]] = {}
    for pair in found:
        row = chosen.setdefault(pair.lang, [])
        fits = dev_part(pair.id) == "tune" and len(pair.toxic) <= longest
        if fits and len(row) < recipe.validation.pairs:
            row.append(pair)
    pairs = [pair for row in chosen.values() for pair in row]
    if not pairs:
        raise DataError(
            "There are no pairs to validate on.",
            mend="a recipe with fewer limits (longest_characters), or without every_steps",
        )
    return pairs


def authored_folder(corpus: Mapping[str, Any]) -> Path | None:
    """Where the recipe's authored pairs lie, a part of which is held out."""
    for source in corpus["sources"]:
        if source["kind"] == "authored":
            return Path(source["path"])
    return None


def _write(path: Path, content: Any) -> None:
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
