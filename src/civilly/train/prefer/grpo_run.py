"""Trains a writer by GRPO: samples, rewards, steps, checkpoints; resumable to the same weights."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from civilly.data.corpus.build import Corpus, build_corpus
from civilly.data.files import write_bytes
from civilly.data.hub_access import require_hub
from civilly.data.pairs import Pair, count_by_source
from civilly.data.values import as_json
from civilly.errors import CivillyError, MissingExtraError
from civilly.train.prefer.grpo_recipe import GrpoRecipe
from civilly.train.recipe import EMBEDDED, LARGE
from civilly.train.run_folder import (
    CONFIG_FILE,
    RESULT_FILE,
    as_read_back,
    read_json,
    refuse_another_recipe,
    write_json,
)

if TYPE_CHECKING:
    from civilly.train.audit.watch import Watch
    from civilly.train.finetuning import Options
    from civilly.train.prefer.grpo_loop import GrpoLoop

STEPS_FILE = "steps.jsonl"
"""Of a run folder: what each step saw."""
PRECISION = "computed_in"


def train_grpo(
    content: Mapping[str, Any], data: Path, out: Path, **options: Unpack[Options]
) -> Path:
    """Trains a model by GRPO towards rewards.

    Args:
        content: The recipe's tables (`civilly.train.prefer.grpo_recipe.GrpoRecipe`).
        data: The data folder that the recipe's sources lie in.
        out: Run folder: ``config.json``, ``steps.jsonl``, ``checkpoint-N/`` with the adapter alone,
            ``state.pt`` to go on from, ``adapter/`` (or ``model/``), ``result.json``.
        options: How it is begun.

    Returns:
        The folder that the engines take.

    Raises:
        MissingExtraError: If torch, transformers or peft are not installed.
        DataError: If the recipe is wrong, a licence is not allowed, or no texts are left.
        LeakError: If texts leak and are not to be taken out; nothing was trained then.
        ModelError: If the base model cannot be loaded.
    """
    recipe = GrpoRecipe.parse(content, "the recipe")
    if recipe.base.name not in (EMBEDDED, LARGE) and not (out / RESULT_FILE).exists():
        require_hub(recipe.base.name)
    try:
        import peft  # noqa: F401 - asked for before anything is computed
        import torch  # noqa: F401
        from transformers.trainer_utils import set_seed
    except ImportError as error:
        raise MissingExtraError("Training", "train", str(error.name)) from error
    from civilly.train.base_model import load_trainable
    from civilly.train.hardware import computed_in
    from civilly.train.prefer.grpo_loop import STATE_FILE, GrpoLoop
    from civilly.train.rewards.mixture import Rewards

    out.mkdir(parents=True, exist_ok=True)
    begun = _begun(out, recipe, resume=options.get("resume", False))
    rewards = Rewards(recipe.rewards, recipe.combine)
    take_out = options.get("take_out_leaks", False)
    corpus = build_corpus(recipe.model_dump(), data, take_out_leaks=take_out)
    set_seed(recipe.seed)
    # A run that is resumed goes on as it was begun, whatever would be faster by now.
    precision = (begun and read_json(out / CONFIG_FILE).get(PRECISION)) or computed_in(
        recipe.training.precision
    )
    trainable = load_trainable(recipe.base, recipe.adapter, precision, options.get("embedded"))
    loop = GrpoLoop(recipe, trainable, rewards)
    if begun:
        loop.restore(out / STATE_FILE)
    _note(out / CONFIG_FILE, recipe, corpus, precision)
    _forget_steps_after(out / STEPS_FILE, loop.step)
    watch = None
    if recipe.audit.patience:
        from civilly.train.audit.watch import open_watch

        watch = open_watch(recipe, trainable, loop.start, rewards, data, out)
        watch.begin(loop.start, loop.step)
    _go(loop, recipe, corpus.train, out, watch)
    if watch:
        watch.put_back_best(trainable, loop.start)
    made = trainable.save(out, trainable.model)
    best = {"best_step": watch.best} if watch else {}
    write_json(out / RESULT_FILE, {"steps": loop.step, **best})  # last: with it, the run is done
    return made


def _begun(out: Path, recipe: GrpoRecipe, *, resume: bool) -> bool:
    """Whether a run folder has a state to go on from.

    Raises:
        CivillyError: If it has, and the run is not to be resumed.
        DataError: If it was begun with another recipe; it may stop earlier or later.
    """
    from civilly.train.prefer.grpo_loop import STATE_FILE

    if not (out / STATE_FILE).exists():
        return False
    if not resume:
        raise CivillyError(
            f"{out} already holds checkpoints or weights of another run.",
            mend="--resume to go on with it, or another --out",
        )
    before, now = read_json(out / CONFIG_FILE)["recipe"], as_read_back(recipe)
    for tables in (before, now):
        tables.get("training", {}).pop("stop_after_steps", None)
    refuse_another_recipe(out, before, now)
    return True


def _note(path: Path, recipe: GrpoRecipe, corpus: Corpus, precision: str) -> None:
    content = {
        "recipe": recipe.model_dump(),
        "texts": count_by_source(corpus.train),
        "left_out": corpus.dropped,
        PRECISION: precision,
    }
    write_json(path, content)


def _forget_steps_after(path: Path, step: int) -> None:
    """Drops what a run noted after its newest checkpoint: it takes those steps again."""
    if path.exists():
        lines = path.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        write_bytes(path, "".join(kept).encode())


def _go(
    loop: GrpoLoop, recipe: GrpoRecipe, pairs: Sequence[Pair], out: Path, watch: Watch | None
) -> None:
    """Takes the steps that are left; leaves a checkpoint every so often, and at the end."""
    training = recipe.training
    last = min(training.steps, training.stop_after_steps or training.steps)
    while loop.step < last:
        begun = time.monotonic()
        seen = loop.advance(_texts_of(pairs, loop.step, recipe))
        row = {"step": loop.step, **seen, "seconds": time.monotonic() - begun}
        with (out / STEPS_FILE).open("a", encoding="utf-8") as file:
            file.write(as_json(row) + "\n")
        if loop.step % training.save_steps == 0 or loop.step == last:
            _checkpoint(loop, out)
            if watch and watch.ends(loop.step):
                return


def _checkpoint(loop: GrpoLoop, out: Path) -> None:
    """The weights alone, small; and, of the newest, all to go on from."""
    from civilly.train.prefer.grpo_loop import STATE_FILE

    loop.trainable.save(out / f"checkpoint-{loop.step}", loop.model)
    loop.save(out / STATE_FILE)


def _texts_of(pairs: Sequence[Pair], step: int, recipe: GrpoRecipe) -> list[Pair]:
    """The pairs of a step: all of them in an order of their own before any comes again."""
    count, chosen = recipe.loss.texts, []
    for place in range(step * count, (step + 1) * count):
        turn, at = divmod(place, len(pairs))
        order = list(range(len(pairs)))
        random.Random(recipe.seed + turn).shuffle(order)
        chosen.append(pairs[order[at]])
    return chosen
