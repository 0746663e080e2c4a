"""Which settings of a sweep mattered: the share of J's variance that each explains alone."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import TrialState, create_trial

LEAST_TRIALS = 8
"""Complete trials without which no importance is given."""
SHUFFLES, QUANTILE = 40, 0.95
TREES = 32
_SEED = 12_345


@dataclass(frozen=True, slots=True)
class Importance:
    """How much a setting mattered.

    Attributes:
        share: Share of the variance of J that the setting explains alone, in [0, 1], after a random
            forest that was fitted to the complete trials (fANOVA, Hutter et al. 2014).
        chance: The share that it exceeds in one of twenty sweeps without any effect: the .95
            quantile of its shares when the J are shuffled among the trials.
    """

    share: float
    chance: float


def importances(study: optuna.Study) -> dict[str, Importance]:
    """The importance of each setting that all complete trials have, the largest first.

    Pruned trials stay out: their J is that of a shorter training.

    Returns:
        Nothing if there are fewer than `LEAST_TRIALS` complete trials, or all have one J.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scores = [float(trial.values[0]) for trial in trials if trial.values]
    if len(trials) < LEAST_TRIALS or len(set(scores)) < 2:
        return {}
    common = set.intersection(*(set(trial.params) for trial in trials))
    names = [name for name in trials[0].params if name in common]
    distributions = {name: _evened(trials[0].distributions[name]) for name in names}
    settings = [
        {name: _scaled(trial.params[name], trial.distributions[name]) for name in names}
        for trial in trials
    ]
    found = _shares(settings, distributions, scores)
    rng = random.Random(_SEED)
    shuffled = [
        _shares(settings, distributions, rng.sample(scores, len(scores))) for _ in range(SHUFFLES)
    ]
    return {
        name: Importance(share, sorted(each[name] for each in shuffled)[int(QUANTILE * SHUFFLES)])
        for name, share in found.items()
    }


def _is_logarithmic(distribution: BaseDistribution) -> bool:
    return bool(getattr(distribution, "log", False))


def _evened(distribution: BaseDistribution) -> BaseDistribution:
    """The range over which fANOVA averages: of a logarithmic search, that of the logarithms.

    Optuna would average over the plain values, of which most lie in the last decade.
    """
    if isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log:
        return FloatDistribution(math.log(distribution.low), math.log(distribution.high))
    return distribution


def _scaled(value: Any, distribution: BaseDistribution) -> Any:
    return math.log(value) if _is_logarithmic(distribution) else value


def _shares(
    settings: Sequence[Mapping[str, Any]],
    distributions: Mapping[str, BaseDistribution],
    scores: Sequence[float],
) -> dict[str, float]:
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            create_trial(params=dict(chosen), distributions=dict(distributions), value=score)
            for chosen, score in zip(settings, scores, strict=True)
        ]
    )
    shares = FanovaImportanceEvaluator(n_trees=TREES, seed=_SEED).evaluate(study)
    return {name: float(share) for name, share in shares.items()}
