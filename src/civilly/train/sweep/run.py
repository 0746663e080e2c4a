"""Search over models and hyper-parameters: many short fine-tunings, judged by their mean J."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import tomlkit
import torch
from filelock import FileLock, Timeout
from transformers import TrainerCallback

from civilly.data.files import write_bytes
from civilly.errors import CivillyError, DataError, MissingExtraError
from civilly.model.adapter import ADAPTER_FOLDER, FULL_FOLDER
from civilly.score.joint import JOINT
from civilly.train.run_folder import RESULT_FILE
from civilly.train.sft import train_sft
from civilly.train.sweep.importance import importances
from civilly.train.sweep.report import SweepReport, make_report, write_report
from civilly.train.sweep.space import SweepRecipe
from civilly.train.sweep.study import (
    Outcome,
    best,
    draw,
    finish,
    folder_name,
    open_study,
    outcomes,
    take_up,
    trial_folder,
)

BEST_FILE = "best.toml"
FAILURES = 3
"""If so many trials fail before one does not, it is the recipe that is wrong."""
_J = f"eval_{JOINT}"


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a sweep trains and with what, besides its recipe.

    Attributes:
        data: The data folder that the recipe's sources lie in.
        out: Folder of the sweep.
        take_out_leaks: See `civilly.train.finetuning.Options`.
        embedded: Folder of the embedded model in Hugging Face form; None: the shipped one.
        callbacks: Further callbacks of transformers.
    """

    data: Path
    out: Path
    take_out_leaks: bool = False
    embedded: Path | None = None
    callbacks: Sequence[Any] = ()

    def folder(self, name: str) -> Path:
        """The run folder of a trial."""
        return trial_folder(self.out, name)


def run_sweep(
    content: Mapping[str, Any],
    place: Workplace,
    *,
    resume: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> SweepReport:
    """Trains with one setting after another, and keeps the best by its mean J.

    Settings are drawn by a tree-structured Parzen estimator (Bergstra et al. 2011, as Optuna has
    it). The draw of a trial depends on the seed, its place and the trials before it, not on how
    often the sweep was stopped in between.

    In the folder: ``sweep.db`` (all trials, as Optuna keeps them), ``trials/`` with the run folder
    of each, without checkpoints, ``best.toml``, ready for ``civilly train sft``, and the report
    (`civilly.train.sweep.report`). The adapter or model is kept of the best trial alone.

    Args:
        content: The recipe's tables, with ``[sweep]`` (`civilly.train.sweep.space`).
        place: Where.
        resume: Go on with the sweep in the folder: a trial that was killed goes on from its newest
            checkpoint, and none that finished is repeated. ``trials`` and ``minutes`` may change.
        progress: Takes a line about each trial.

    Returns:
        What the report says.

    Raises:
        MissingExtraError: If peft is not installed.
        DataError: If the recipe is wrong, or the folder holds a sweep of another one.
        CivillyError: If the folder holds a sweep and ``resume`` is not set, if another process
            works in it, or if the first trials all fail.
    """
    sweep = SweepRecipe.parse(content)
    place.out.mkdir(parents=True, exist_ok=True)
    with _alone(place.out), open_study(place.out) as study:
        take_up(study, sweep, resume=resume)
        found = outcomes(study, sweep)
        fresh = 0
        while _budget_left(sweep, found):
            _run_next(study, sweep, place)
            found = outcomes(study, sweep)
            _tidy(found, place)
            _write_best(found, sweep, place.out)
            progress(_line(found, sweep))
            fresh += 1
            failed = [each.error for each in found[-fresh:] if each.state == "failed"]
            if fresh == len(failed) == FAILURES:
                raise CivillyError(
                    f"The first {FAILURES} trials of this run failed, the last with: {failed[-1]}",
                    mend="correct the recipe, and choose another --out",
                )
        _tidy(found, place)
        _write_best(found, sweep, place.out)
        report = make_report(found, importances(study), sweep, place.out)
        write_report(report, place.out)
        return report


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One process at a time: a trial found under way is then known to have been killed."""
    lock = FileLock(out / "sweep.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CivillyError(
            f"Another process works in {str(out)!r}.", mend="wait for it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _budget_left(sweep: SweepRecipe, found: Sequence[Outcome]) -> bool:
    trials, minutes = sweep.settings.trials, sweep.settings.minutes
    spent = sum(each.seconds for each in found) / 60
    return (trials is None or len(found) < trials) and (minutes is None or spent < minutes)


def _run_next(study: optuna.Study, sweep: SweepRecipe, place: Workplace) -> None:
    """Draws a trial, trains it and writes down how it ended, also if it failed."""
    started = time.monotonic()
    trial, settings = draw(study, sweep)
    joint, error = None, ""
    try:
        joint = _train(
            trial, sweep.with_settings(settings), place, place.folder(folder_name(trial))
        )
    except optuna.TrialPruned:
        pass
    except MissingExtraError:
        raise
    except Exception as failure:  # the settings may be at fault: no memory, a wrong combination
        error = f"{type(failure).__name__}: {failure}"
    finish(study, trial, time.monotonic() - started, joint=joint, error=error)
    _free_memory()


def _train(trial: optuna.Trial, recipe: Mapping[str, Any], place: Workplace, folder: Path) -> float:
    """Trains and validates; returns the best mean J."""
    every = recipe["validation"]["every_steps"]
    train_sft(
        recipe,
        place.data,
        folder,
        resume=True,
        take_out_leaks=place.take_out_leaks,
        embedded=place.embedded,
        callbacks=[*place.callbacks, _reporter(trial, every)],
    )
    result = json.loads((folder / RESULT_FILE).read_text("utf-8"))
    if _J not in result:
        raise DataError(
            "The trial ended before its first validation.",
            mend="fewer every_steps under [validation], or more pairs",
        )
    return float(result[_J])


def _reporter(trial: optuna.Trial, every: int) -> Any:
    """Tells Optuna the J of each validation, and ends a trial that is worse than others then."""

    class Reporter(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            for row in state.log_history:  # of a trial that goes on from a checkpoint
                if _J in row:
                    trial.report(row[_J], math.ceil(row["step"] / every))

        def on_evaluate(
            self, args: Any, state: Any, control: Any, metrics: Mapping[str, float], **_: Any
        ) -> None:
            trial.report(metrics[_J], math.ceil(state.global_step / every))
            if not control.should_training_stop and trial.should_prune():
                raise optuna.TrialPruned

    return Reporter()


def _free_memory() -> None:
    """Trainer and model refer to each other, so only the collector frees them."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _tidy(found: Sequence[Outcome], place: Workplace) -> None:
    """Removes the checkpoints of finished trials, and what they made unless it is the best."""
    winner = best(found)
    for each in found:
        folder = place.folder(each.name)
        unneeded = list(folder.glob("checkpoint-*"))
        if each is not winner:
            unneeded += [folder / ADAPTER_FOLDER, folder / FULL_FOLDER]
        for path in unneeded:
            shutil.rmtree(path, ignore_errors=True)


def _write_best(found: Sequence[Outcome], sweep: SweepRecipe, out: Path) -> None:
    """Writes the recipe of the best trial, if one came to its end."""
    winner = best(found)
    if winner is None:
        return
    head = f"# The best of {len(found)} trials: mean J {winner.joint:.4f}, {winner.name}.\n\n"
    recipe = sweep.with_settings(winner.settings)
    write_bytes(out / BEST_FILE, (head + tomlkit.dumps(recipe)).encode())


def _line(found: Sequence[Outcome], sweep: SweepRecipe) -> str:
    """How the last trial ended."""
    last, winner = found[-1], best(found)
    count = f"{len(found)}/{sweep.settings.trials}" if sweep.settings.trials else str(len(found))
    score = "" if last.joint is None else f" J {last.joint:.4f}"
    top = "" if winner is None else f"; best {winner.joint:.4f} ({winner.name})"
    why = f": {last.error.splitlines()[0]}" if last.error else ""
    return f"trial {count} ({last.name}) {last.state}{score}, {last.seconds:.0f} s{top}{why}"
