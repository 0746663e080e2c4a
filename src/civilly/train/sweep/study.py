"""The trials of a sweep, as Optuna keeps them on disk, and what they came to."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from civilly.data.values import as_json
from civilly.errors import CivillyError, DataError
from civilly.train.sweep.space import SweepRecipe, label

STUDY_FILE = "sweep.db"
KILLS = 3
"""A trial in which the process ended so often is not begun again: it may be the reason."""
_NAME = "sweep"
_RECIPE, _FOLDER, _KILLS, _SECONDS, _ERROR = "recipe", "folder", "kills", "seconds", "error"

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to.

    Attributes:
        name: Of its run folder.
        state: ``complete``; ``pruned``, ended at a validation; or ``failed``.
        settings: What was drawn, by ``table.field``.
        joint: The best mean J of its validations, in [0, 1]; None if there was none.
        validations: Mean J by number of the validation, from 1.
        seconds: How long it took, without what a killed process had spent on it.
        error: Why it failed, or "".
    """

    name: str
    state: State
    settings: dict[str, Any]
    joint: float | None
    validations: dict[int, float]
    seconds: float
    error: str


@contextlib.contextmanager
def open_study(out: Path) -> Iterator[optuna.Study]:
    """The study in a sweep's folder, made if there is none.

    Args:
        out: The folder.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{out / STUDY_FILE}")
    try:
        yield optuna.create_study(
            storage=storage, study_name=_NAME, direction="maximize", load_if_exists=True
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()


def take_up(study: optuna.Study, sweep: SweepRecipe, *, resume: bool) -> None:
    """Prepares a new study, or one that was stopped; no other process may use it.

    Raises:
        CivillyError: If it has trials and ``resume`` is not set.
        DataError: If it is of another recipe; only ``trials`` and ``minutes`` may differ.
    """
    ignored = {"trials", "minutes"}
    recipe = {**sweep.base, "sweep": sweep.settings.model_dump(exclude=ignored)}
    recipe = json.loads(as_json(recipe))
    known = study.user_attrs.get(_RECIPE)
    if known is None:
        for settings in sweep.settings.first:
            kept = {name: label(value) for name, value in settings.items()}
            study.enqueue_trial(kept, skip_if_exists=True)
        study.set_user_attr(_RECIPE, recipe)
    elif not resume:
        raise CivillyError(
            "The folder already holds a sweep.", mend="--resume to go on with it, or another --out"
        )
    elif known != recipe:
        differ = [t for t in {**known, **recipe} if known.get(t) != recipe.get(t)]
        raise DataError(
            f"The folder holds a sweep of another recipe: {', '.join(sorted(differ))} differ.",
            allowed="other trials and minutes",
            mend="another --out",
        )
    _begin_killed_again(study)
    study.pruner = _pruner(sweep)


def _begin_killed_again(study: optuna.Study) -> None:
    """Lines up the trials that a process left under way, with the same settings."""
    waiting = study.get_trials(states=(TrialState.WAITING,))
    lined_up = {trial.user_attrs.get(_FOLDER) for trial in waiting}
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        kills = trial.user_attrs.get(_KILLS, 0) + 1
        if kills < KILLS and folder_name(trial) not in lined_up:
            attributes = {_FOLDER: folder_name(trial), _KILLS: kills}
            study.enqueue_trial(trial.params, user_attrs=attributes)
        study.tell(trial.number, state=TrialState.FAIL)


def _pruner(sweep: SweepRecipe) -> optuna.pruners.BasePruner:
    if sweep.settings.prune_below == 0:
        return optuna.pruners.NopPruner()
    kept = 100 * (1 - sweep.settings.prune_below)
    return optuna.pruners.PercentilePruner(kept, n_startup_trials=sweep.settings.prune_after)


def draw(study: optuna.Study, sweep: SweepRecipe) -> tuple[optuna.Trial, dict[str, Any]]:
    """The next trial and its settings.

    The sampler is seeded anew by the trial's place, so that a sweep that is taken up does not
    repeat the draws it began with.
    """
    place = len(_finished(study))
    words = np.random.SeedSequence([abs(sweep.base["seed"]), place]).generate_state(1)
    study.sampler = optuna.samplers.TPESampler(
        seed=int(words[0]), n_startup_trials=sweep.settings.random_trials
    )
    trial = study.ask()
    return trial, sweep.choose(trial)


def finish(
    study: optuna.Study,
    trial: optuna.Trial,
    seconds: float,
    *,
    joint: float | None = None,
    error: str = "",
) -> None:
    """Writes down how a trial ended: with a J, with an error, or else pruned.

    Args:
        study: Its study.
        trial: The trial.
        seconds: How long it took.
        joint: Its mean J, if it came to its end.
        error: Why it failed.
    """
    trial.set_user_attr(_SECONDS, seconds)
    if error:
        trial.set_user_attr(_ERROR, error)
        study.tell(trial, state=TrialState.FAIL)
    elif joint is None:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, joint)


def folder_name(trial: optuna.Trial | FrozenTrial) -> str:
    """The run folder of a trial; one that is begun again keeps its own."""
    return str(trial.user_attrs.get(_FOLDER, f"{trial.number:04d}"))


def trial_folder(out: Path, name: str) -> Path:
    """Where in a sweep's folder a trial has its run folder."""
    return out / "trials" / name


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    """All trials that are over, without those that were killed and begun again."""
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    return [trial for trial in ended if trial.state != TrialState.FAIL or _error(trial)]


def _error(trial: FrozenTrial) -> str:
    """Why a trial failed; "" if it did not, or was killed and is begun again."""
    if trial.state != TrialState.FAIL:
        return ""
    killed = "" if trial.user_attrs.get(_KILLS, 0) + 1 < KILLS else f"killed {KILLS} times"
    return str(trial.user_attrs.get(_ERROR, killed))


def outcomes(study: optuna.Study, sweep: SweepRecipe) -> list[Outcome]:
    """The trials that are over, in the order in which they were drawn."""
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    search = sweep.settings.search
    return [
        Outcome(
            name=folder_name(trial),
            state=states[trial.state],
            settings={name: search[name].value(kept) for name, kept in trial.params.items()},
            joint=max(trial.intermediate_values.values(), default=None),
            validations=dict(sorted(trial.intermediate_values.items())),
            seconds=float(trial.user_attrs.get(_SECONDS, 0.0)),
            error=_error(trial),
        )
        for trial in _finished(study)
    ]


def best(found: Sequence[Outcome]) -> Outcome | None:
    """The complete trial with the highest J, the earliest of equals."""
    complete = [each for each in found if each.state == "complete"]
    return max(complete, key=lambda each: each.joint or 0.0, default=None)
