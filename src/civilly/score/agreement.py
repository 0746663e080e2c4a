"""How well a metric agrees with people: rank correlations with bootstrap intervals.

Sentence level: Spearman's rho and Kendall's tau-b over all rows of a language. System level:
Spearman's rho over the systems' means, and pairwise accuracy (Kocmi et al. 2021), the share of
pairs of systems that the metric orders as people do. Intervals come from a cluster bootstrap:
source sentences are drawn with replacement, each with the outputs of all its systems, because rows
of one sentence are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.errors import DataError, MissingExtraError
from civilly.score.human import Judgement
from civilly.score.intervals import SEED, Interval

STATISTICS = ("spearman", "kendall", "system_spearman", "pairwise_accuracy")
RESAMPLES = 1_000
MEAN = "mean"
"""Name of the row that averages the languages."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of one metric with people in one language.

    Each statistic is None where it is undefined: a constant metric, or fewer than two systems.

    Attributes:
        lang: Language code, or `MEAN`.
        rows: Number of judged outputs.
        sentences: Number of source sentences.
        systems: Number of systems; for `MEAN` the most of a language.
        spearman: Sentence level, in [-1, 1].
        kendall: Sentence level, tau-b, in [-1, 1].
        system_spearman: System level, in [-1, 1].
        pairwise_accuracy: System level, in [0, 1]; pairs that people tie are left out, a pair that
            the metric ties counts one half.
    """

    lang: str
    rows: int
    sentences: int
    systems: int
    spearman: Interval | None
    kendall: Interval | None
    system_spearman: Interval | None
    pairwise_accuracy: Interval | None

    def as_row(self) -> dict[str, Any]:
        """All fields, intervals as ``{"value", "low", "high"}``."""
        row = asdict(self)
        for name in STATISTICS:
            interval = getattr(self, name)
            if interval is not None:
                row[name] = {"value": interval.mean, "low": interval.low, "high": interval.high}
        return row


def agreement(
    scores: Sequence[float],
    judgements: Sequence[Judgement],
    target: str,
    resamples: int = RESAMPLES,
    statistics: Sequence[str] = STATISTICS,
) -> list[Agreement]:
    """Agreement per language, then the mean of the languages.

    Args:
        scores: The metric, one number per judgement.
        judgements: What people said.
        target: ``STA``, ``SIM``, ``FL`` or ``J``.
        resamples: Draws of the bootstrap; 0: no intervals (both ends are the value).
        statistics: Which of `STATISTICS` to compute; the others are None.

    Returns:
        One row per language in order of appearance; with several languages a last row `MEAN`,
        whose interval comes from the languages' independent draws.

    Raises:
        DataError: If the lengths differ, a score is not a number or nothing was judged.
        MissingExtraError: If scipy is not installed.
    """
    values = np.asarray(scores, dtype=np.float64)
    if len(values) != len(judgements) or not len(values):
        raise DataError(
            f"{len(values)} scores for {len(judgements)} judged outputs.",
            allowed="one score for each of one judged output or more",
            mend="check that the scores belong to these judgements",
        )
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0]) + 1
        raise DataError(f"Row {row}: the score is not a number.", mend="fill in or remove the row")
    human = np.array([judgement.scores[target] for judgement in judgements])
    langs = list(dict.fromkeys(judgement.lang for judgement in judgements))
    samples = []
    for lang in langs:
        chosen = [i for i, judgement in enumerate(judgements) if judgement.lang == lang]
        rows = _Rows.of([judgements[i] for i in chosen], values[chosen], human[chosen])
        samples.append((lang, rows, rows.draws(resamples, statistics)))
    found = [_summary(lang, [rows], draws) for lang, rows, draws in samples]
    if len(langs) > 1:
        means = {s: np.mean([draws[s] for _, _, draws in samples], axis=0) for s in statistics}
        found.append(_summary(MEAN, [rows for _, rows, _ in samples], means))
    return found


def _summary(lang: str, rows: Sequence[_Rows], draws: Mapping[str, Floats]) -> Agreement:
    """Intervals from draws, whose first is the statistic on the data themselves."""
    count = sum(len(part.metric) for part in rows)
    spread = min(len(part.clusters) for part in rows) > 1
    intervals = {
        name: _interval(draws[name], count, spread) if name in draws else None
        for name in STATISTICS
    }
    return Agreement(
        lang,
        count,
        sum(len(part.clusters) for part in rows),
        max(part.systems for part in rows),
        **intervals,
    )


def _interval(draws: Floats, count: int, spread: bool) -> Interval | None:
    """The value with its interval, which one sentence (no ``spread``) does not have."""
    value, resampled = float(draws[0]), draws[1:]
    if np.isnan(value):
        return None
    resampled = resampled[np.isfinite(resampled)]
    if not len(resampled) or not spread:
        return Interval(value, None, None, count)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high), count)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one language."""

    metric: Floats
    human: Floats
    system: Indices
    systems: int
    clusters: list[Indices]

    @classmethod
    def of(cls, judgements: Sequence[Judgement], metric: Floats, human: Floats) -> _Rows:
        """Rows with their systems numbered and grouped by source sentence."""
        names = {s: i for i, s in enumerate(dict.fromkeys(j.system for j in judgements))}
        groups: dict[str, list[int]] = {}
        for row, judgement in enumerate(judgements):
            groups.setdefault(judgement.text, []).append(row)
        system = np.array([names[j.system] for j in judgements])
        return cls(metric, human, system, len(names), [np.array(g) for g in groups.values()])

    def draws(self, resamples: int, statistics: Sequence[str]) -> dict[str, Floats]:
        """Each statistic on all rows, then on every resample."""
        rng = np.random.default_rng(SEED)
        count = len(self.clusters)
        chosen = [np.arange(len(self.metric))]
        for _ in range(resamples):
            drawn = rng.integers(0, count, count)
            chosen.append(np.concatenate([self.clusters[i] for i in drawn]))
        return {name: np.array([self._value(name, rows) for rows in chosen]) for name in statistics}

    def _value(self, statistic: str, rows: Indices) -> float:
        metric, human = self.metric[rows], self.human[rows]
        if statistic in ("system_spearman", "pairwise_accuracy"):
            metric, human = self._system_means(rows)
        return _STATISTIC[statistic](metric, human)

    def _system_means(self, rows: Indices) -> tuple[Floats, Floats]:
        system = self.system[rows]
        counts = np.bincount(system, minlength=self.systems)
        seen = counts > 0
        metric = np.bincount(system, self.metric[rows], self.systems)[seen] / counts[seen]
        human = np.bincount(system, self.human[rows], self.systems)[seen] / counts[seen]
        return metric, human


def spearman(metric: Floats, human: Floats) -> float:
    """Spearman's rho, ties at their mean rank; NaN where a side is constant."""
    from scipy.stats import rankdata

    if len(metric) < 2:
        return float("nan")
    left, right = rankdata(metric), rankdata(human)
    left, right = left - left.mean(), right - right.mean()
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / scale if scale > 0 else float("nan")


def kendall(metric: Floats, human: Floats) -> float:
    """Kendall's tau-b; NaN where a side is constant."""
    from scipy.stats import kendalltau

    return float(kendalltau(metric, human).statistic)


def pairwise_accuracy(metric: Floats, human: Floats) -> float:
    """Share of the pairs which people order that the metric orders alike; its ties count half."""
    left, right = np.triu_indices(len(metric), 1)
    by_people = np.sign(np.round(human[left] - human[right], 9))
    by_metric = np.sign(np.round(metric[left] - metric[right], 9))
    ordered = by_people != 0
    if not ordered.any():
        return float("nan")
    return float((1 + (by_people * by_metric)[ordered]).mean() / 2)


_STATISTIC: dict[str, Callable[[Floats, Floats], float]] = {
    "spearman": spearman,
    "kendall": kendall,
    "system_spearman": spearman,
    "pairwise_accuracy": pairwise_accuracy,
}


def require_scipy() -> None:
    """Checks that scipy is there.

    Raises:
        MissingExtraError: If it is not.
    """
    try:
        import scipy  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Agreement with people", "score", "scipy") from error
