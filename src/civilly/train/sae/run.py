"""Trains sparse autoencoders by a recipe, from the texts to folders that `load_sae` reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.engines.residual import open_subject
from civilly.errors import CivillyError, MissingExtraError
from civilly.model.sparse.layouts import save_sae
from civilly.train.run_folder import (
    CONFIG_FILE,
    RESULT_FILE,
    as_read_back,
    read_json,
    refuse_another_recipe,
    write_json,
)
from civilly.train.sae.recipe import SaeRecipe

Progress = Callable[[str], None]
STREAMS = "streams"
"""Folder of the shards in the run folder; it goes when all is trained."""


def train_sae(
    content: Mapping[str, Any],
    data: Path,
    out: Path,
    written: Path,
    *,
    resume: bool = False,
    progress: Progress,
) -> Path:
    """Trains a sparse autoencoder for each layer that the recipe names.

    Args:
        content: The recipe's tables (`civilly.train.sae.recipe.SaeRecipe`).
        data: The data folder.
        out: Run folder: ``config.json`` (all settings), ``layer_N/`` in Gemma Scope 2's layout
            (float32), ``result.json`` (texts, the course). While it runs, the streams: 2 bytes ×
            width × layers a token.
        written: The recipe's folder.
        resume: Go on from the newest shard and checkpoint in the run folder.
        progress: Is told how it goes.

    Returns:
        The run folder. The same recipe and data give the same weights on one machine, resumed or
        not.

    Raises:
        MissingExtraError: If torch or transformers are not installed.
        DataError: If the recipe or a training file is wrong.
        ModelError: If the model has no such layer.
        CivillyError: If the run folder holds another run.
    """
    recipe = SaeRecipe.parse(content, "the recipe")
    try:
        import torch  # noqa: F401 - asked for before anything is read
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Training an autoencoder", "train", str(error.name)) from error
    from civilly.train.sae.fit import fit

    out.mkdir(parents=True, exist_ok=True)
    _begin(out, recipe, resume=resume)
    result = read_json(out / RESULT_FILE)
    if "texts" not in result:
        result["texts"] = _streams(recipe, data, out, written, progress)
        write_json(out / RESULT_FILE, result)
    for layer in recipe.model.layers:
        name = f"layer_{layer}"
        if name in result:
            continue
        checkpoint = out / f"{name}.checkpoint.pt"
        sae, result[name] = fit(recipe, layer, out / STREAMS, checkpoint, progress)
        save_sae(sae, out / name, "fp32")
        write_json(out / RESULT_FILE, result)  # with it, this layer is done
        checkpoint.unlink(missing_ok=True)
    shutil.rmtree(out / STREAMS, ignore_errors=True)
    return out


def _streams(
    recipe: SaeRecipe, data: Path, out: Path, written: Path, progress: Progress
) -> dict[str, Any]:
    """Writes the streams; what ``result.json`` says of the texts."""
    from civilly.train.sae.shards import write_shards
    from civilly.train.sae.texts import read_corpus

    model = recipe.model
    subject = open_subject(model.name, adapter=model.adapter, precision=model.precision)
    for layer in model.layers:
        subject.require_layer(layer)

    def encode(texts: Sequence[str]) -> list[tuple[int, ...]]:
        return [tokens.ids for tokens in subject.encode(texts)]

    corpus = read_corpus(recipe.texts, data, written, recipe.seed, encode)
    progress(f"{len(corpus.rows)} texts, {sum(corpus.tokens.values())} tokens")
    write_shards(subject, corpus.rows, model.layers, out / STREAMS, progress)
    return {
        "tokens": corpus.tokens, "texts": corpus.texts, "all_tokens": sum(corpus.tokens.values()),
        "left_out_as_leaks": corpus.leaks, "passes": recipe.fit.passes,
    }  # fmt: skip


def _begin(out: Path, recipe: SaeRecipe, *, resume: bool) -> None:
    """Notes the recipe in an empty run folder, or compares it with the one that is noted."""
    before = read_json(out / CONFIG_FILE)
    if not before:
        write_json(out / CONFIG_FILE, as_read_back(recipe))
        return
    if not resume:
        raise CivillyError(
            f"{out} already holds another run.",
            mend="--resume to go on with it, or another --out",
        )
    refuse_another_recipe(out, before, as_read_back(recipe))


def model_of(content: Mapping[str, Any]) -> str:
    """The model that a recipe names."""
    return SaeRecipe.parse(content, "the recipe").model.name
