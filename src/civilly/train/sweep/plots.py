"""Plots of a sweep as SVG: trial after trial, what mattered, each setting against J.

A filled circle is a trial that came to its end, the coloured one the best; a cross was pruned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from civilly.data.values import short
from civilly.leaderboard.plots import Axis, axis_of, svg, tag
from civilly.score.intervals import Interval
from civilly.train.sweep.importance import Importance
from civilly.train.sweep.space import Search, label
from civilly.train.sweep.study import Outcome

WIDTH, HEIGHT = 640, 260
PANEL = 300
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 40
ROW, NAMES = 24, 190
LETTERS = 16
"""Letters of a choice that fit below a panel."""


@dataclass(frozen=True, slots=True)
class Point:
    """A trial with a J.

    Attributes:
        number: Its place, from 1.
        outcome: What it came to.
        joint: Mean J of its best validation, with an interval.
        best: Whether no other complete trial has a higher J.
    """

    number: int
    outcome: Outcome
    joint: Interval
    best: bool

    def mark(self, x: float, y: Axis) -> str:
        """The trial at some place, with its interval."""
        at = y(self.joint.mean)
        said = f"trial {self.number}, {self.outcome.state}: J {self.joint}"
        low, high = self.joint.span
        bar = tag("line", x1=x, x2=x, y1=y(low), y2=y(high), class_="bar")
        return tag(
            "g",
            tag("title", escape(said)) + bar + self._shape(x, at),
            class_=f"trial {self.outcome.state}{' best' if self.best else ''}",
        )

    def _shape(self, x: float, y: float) -> str:
        if self.outcome.state == "pruned":
            return tag("path", d=f"M{x - 4},{y - 4}l8,8m0,-8l-8,8")
        return tag("circle", cx=x, cy=y, r=4)


def history_plot(points: Sequence[Point], failed: Sequence[int], trials: int) -> str:
    """J of each trial in order, and the best until then; failed trials stand at the foot.

    Args:
        points: The trials with a J, in order.
        failed: Numbers of the trials without.
        trials: Number of all.
    """
    x = Axis(0.5, trials + 0.5, LEFT, WIDTH - RIGHT)
    y = _joint_axis(points, HEIGHT)
    marks = [*_frame(y, WIDTH, "mean J")]
    step = max(1, math.ceil(trials / 20))
    for number in range(1, trials + 1, step):
        marks.append(tag("text", str(number), x=x(number), y=y.begin + 15, class_="tick"))
    marks.append(tag("text", "trial", x=(LEFT + WIDTH) / 2, y=HEIGHT - 6, class_="axis"))
    corners: list[str] = []
    top = -1.0
    for point in (p for p in points if p.outcome.state == "complete" and p.joint.mean > top):
        if corners:
            corners.append(f"{x(point.number)},{y(top)}")
        top = max(top, point.joint.mean)
        corners.append(f"{x(point.number)},{y(top)}")
    if corners:
        corners.append(f"{x.end},{y(top)}")
        marks.append(tag("polyline", points=" ".join(corners), class_="so-far"))
    marks += [point.mark(x(point.number), y) for point in points]
    for number in failed:
        title = tag("title", f"trial {number}: failed")
        marks.append(tag("text", title + "!", x=x(number), y=y.begin - 3, class_="failure"))
    return svg("".join(marks), WIDTH, HEIGHT, f"mean J of {trials} trials in order")


def importance_plot(found: Mapping[str, Importance]) -> str:
    """The share of J's variance that each setting explains; a tick marks what chance gives."""
    most = max(max(each.share, each.chance) for each in found.values())
    x = axis_of([0.0, most], NAMES, WIDTH - 2 * RIGHT)
    bottom = len(found) * ROW + 6
    marks = []
    for t in x.ticks:
        marks.append(tag("line", x1=x(t), x2=x(t), y1=2, y2=bottom, class_="grid"))
        marks.append(tag("text", f"{t:.0%}", x=x(t), y=bottom + 14, class_="tick"))
    for row, (name, each) in enumerate(found.items()):
        y = row * ROW + 6
        said = f"{name}: {each.share:.0%} of the variance; by chance up to {each.chance:.0%}"
        width = round(x(each.share) - x.begin, 1)
        line = tag("line", x1=x(each.chance), x2=x(each.chance), y1=y - 3, y2=y + ROW - 5)
        marks.append(
            tag(
                "g",
                tag("title", escape(said))
                + tag("text", escape(name), x=NAMES - 8, y=y + 12, class_="name")
                + tag("rect", x=x.begin, y=y, width=width, height=ROW - 8)
                + line,
                class_="share sure" if each.share > each.chance else "share",
            )
        )
    return svg("".join(marks), WIDTH, bottom + 20, "share of the variance of J by setting")


def setting_plot(name: str, search: Search, points: Sequence[Point]) -> str:
    """J against the values of one setting, of the trials that have it."""
    shown = [point for point in points if name in point.outcome.settings]
    y = _joint_axis(points, HEIGHT)
    place = Place.of(search)
    marks = [*_frame(y, PANEL, "mean J")]
    for at, text in place.ticks():
        marks.append(tag("line", x1=at, x2=at, y1=y.begin, y2=y.end, class_="grid"))
        marks.append(tag("text", escape(text), x=at, y=y.begin + 15, class_="tick"))
    scale = f"{name}, logarithmic" if search.log else name
    middle = (LEFT + PANEL - RIGHT) / 2
    marks.append(tag("text", escape(scale), x=middle, y=HEIGHT - 6, class_="axis"))
    for point in shown:
        # Trials of one choice stand beside each other, in order.
        nudge = (point.number % 9 - 4) * 4 if search.choices is not None else 0
        marks.append(point.mark(round(place(point.outcome.settings[name]) + nudge, 1), y))
    return svg("".join(marks), PANEL, HEIGHT, f"mean J of {len(shown)} trials against {name}")


@dataclass(frozen=True, slots=True)
class Place:
    """Maps the values of a setting to pixels.

    Attributes:
        search: What the setting may be.
        axis: Over the number of the choice, the value, or its decimal logarithm.
    """

    search: Search
    axis: Axis

    @classmethod
    def of(cls, search: Search) -> Place:
        """The place of a setting's values in a panel."""
        if search.choices is not None:
            low, high = -0.5, len(search.choices) - 0.5
        else:
            low, high = (math.log10(end) if search.log else float(end) for end in search.ends)
        return cls(search, Axis(low, high, LEFT + 8, PANEL - RIGHT - 8))

    def __call__(self, value: Any) -> float:
        """Where a value is drawn."""
        if self.search.choices is not None:
            return self.axis(self.search.choices.index(value))
        return self.axis(math.log10(value) if self.search.log else value)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Places with a text."""
        if self.search.choices is not None:
            for choice in self.search.choices:
                text = str(label(choice))
                shown = text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
                yield self(choice), shown
        else:
            for value in round_values(*self.search.ends, log=self.search.log):
                yield self(value), f"{value:g}"


def round_values(low: float, high: float, *, log: bool) -> list[float]:
    """Round numbers in [low, high], at most seven: 1, 2 and 5 times powers of ten.

    Args:
        low: At least this; above 0 if ``log``.
        high: At most this, above ``low``.
        log: Even in the logarithm.
    """
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [float(f"{f}e{d}") for d in decades for f in factors]
            found = [value for value in found if low <= value <= high]
            if len(found) <= 7:
                break
        return found[:: math.ceil(len(found) / 7)] if found else [low, high]
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next(step * f for f in (1, 2, 5, 10) if (high - low) / (step * f) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{step * k:.12g}") for k in range(first, int(high / step + 1e-9) + 1)]


def _joint_axis(points: Sequence[Point], height: float) -> Axis:
    """From the lowest to the highest end of an interval."""
    ends = [end for point in points for end in point.joint.span]
    return axis_of(ends or [0.0, 1.0], height - BOTTOM, TOP)


def _frame(y: Axis, width: float, name: str) -> Iterator[str]:
    for t in y.ticks:
        yield tag("line", x1=LEFT, x2=width - RIGHT, y1=y(t), y2=y(t), class_="grid")
        yield tag("text", short(t, 2), x=LEFT - 6, y=y(t) + 4, class_="tick left")
    middle = (y.begin + y.end) / 2
    turn = f"rotate(-90 11 {middle})"
    yield tag("text", name, x=11, y=middle, class_="axis", transform=turn)
