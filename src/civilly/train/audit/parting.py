"""The rule by which a reward and a referee part: one still rises, the other has begun to fall.

At every checkpoint both are compared, text by text, with that earlier checkpoint at which the
referee's mean was highest (the start, to begin with). They part where the interval of the reward's
mean difference lies above 0 and that of the referee's below 0, and do so at some checkpoints in a
row. So a training that helps first and harms later is found, and one that merely wavers is not: a
reward that no longer rises raises no alarm, however the referee moves, and neither does a referee
that stays where it was.

Intervals are percentile bootstraps of paired differences, each language resampled by itself and
weighing the same (`civilly.score.intervals`); their confidence is divided among the referees
(Bonferroni), since any of them may ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from civilly.score.intervals import Interval, bootstrap_average
from civilly.train.audit.look import Look


@dataclass(frozen=True, slots=True)
class Difference:
    """One checkpoint against an earlier one.

    Attributes:
        step: The checkpoint.
        since: The earlier one, the referee's best.
        reward: How far the reward rose.
        referee: How far the referee rose.
    """

    step: int
    since: int
    reward: Interval
    referee: Interval

    @property
    def parts(self) -> bool:
        """Whether the reward is up and the referee is down, both beyond chance."""
        return self.reward.sign > 0 > self.referee.sign


@dataclass(frozen=True, slots=True)
class Parting:
    """What a referee's curve says.

    Attributes:
        referee: Its name.
        differences: Of every checkpoint but the start.
        step: The first checkpoint from which on they part; None: they do not.
    """

    referee: str
    differences: list[Difference]
    step: int | None

    @property
    def first(self) -> Difference | None:
        """The difference at that checkpoint."""
        return next((each for each in self.differences if each.step == self.step), None)


def partings(
    looks: Sequence[Look], langs: Sequence[str], confidence: float, in_a_row: int
) -> list[Parting]:
    """Whether each referee parts from the reward, and from which step.

    Args:
        looks: In the order of their steps, the start first.
        langs: The language of each fixed text.
        confidence: In (0, 1), before it is divided among the referees.
        in_a_row: Checkpoints that must say so one after the other.
    """
    names = list(looks[0].referees)
    each = 1 - (1 - confidence) / max(1, len(names))
    return [_parting(name, looks, langs, each, in_a_row) for name in names]


def _parting(
    name: str, looks: Sequence[Look], langs: Sequence[str], confidence: float, in_a_row: int
) -> Parting:
    means = [_mean(look.referees[name], langs) for look in looks]
    found = []
    for at in range(1, len(looks)):
        best = max(range(at), key=lambda i: means[i])
        now, before = looks[at], looks[best]
        found.append(
            Difference(
                now.step,
                before.step,
                rise(before.reward, now.reward, langs, confidence),
                rise(before.referees[name], now.referees[name], langs, confidence),
            )
        )
    row = 0
    for at, difference in enumerate(found):
        row = row + 1 if difference.parts else 0
        if row == in_a_row:
            return Parting(name, found, found[at - in_a_row + 1].step)
    return Parting(name, found, None)


def by_language(values: Sequence[float], langs: Sequence[str]) -> list[list[float]]:
    """Values of each language."""
    grouped: dict[str, list[float]] = {}
    for value, lang in zip(values, langs, strict=True):
        grouped.setdefault(lang, []).append(value)
    return list(grouped.values())


def _mean(values: Sequence[float], langs: Sequence[str]) -> float:
    means = [sum(each) / len(each) for each in by_language(values, langs)]
    return sum(means) / len(means)


def rise(
    before: Sequence[float], now: Sequence[float], langs: Sequence[str], confidence: float
) -> Interval:
    """How far the mean over languages rose, with its interval over the same texts."""
    differences = [b - a for a, b in zip(before, now, strict=True)]
    return bootstrap_average(by_language(differences, langs), confidence=confidence)
