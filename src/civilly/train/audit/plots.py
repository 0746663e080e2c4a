"""Curves over the steps of a training as SVG; colours and dark mode come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from civilly.data.values import short
from civilly.leaderboard.plots import Axis, svg, tag
from civilly.score.intervals import Interval

WIDTH, HEIGHT = 760, 340
SMALL_WIDTH, SMALL_HEIGHT = 300, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 130, 14, 36
ROW = 15
"""Least distance of two names at the curves' ends."""
SHAPES = 5
"""Kinds of strokes that the style sheet tells apart."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What is drawn.

    Attributes:
        name: What people read.
        points: A mean per look, perhaps with an interval.
    """

    name: str
    points: Sequence[Interval]


class Scale(Axis):
    """An axis of any numbers, with ticks at 1, 2 or 5 times a power of ten."""

    @property
    def ticks(self) -> list[float]:
        """At most six."""
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        count = int((self.high - first * step) / step + 1e-9) + 1
        return [round((first + i) * step, 6) for i in range(count)]


def scale_of(curves: Sequence[Curve], begin: float, end: float) -> Scale:
    """An axis from 0, or below, to a little above all intervals."""
    ends = [end for curve in curves for point in curve.points for end in point.span]
    low, high = min(0.0, *ends), max(*ends, 0.1)
    return Scale(low, high + 0.03 * (high - low), begin, end)


def curves_plot(steps: Sequence[int], curves: Sequence[Curve], parting: int | None) -> str:
    """The reward, which comes first, and the referees; a line stands where they part."""
    x = Scale(0, max(1, steps[-1]), LEFT, WIDTH - RIGHT)
    y = scale_of(curves, HEIGHT - BOTTOM, TOP)
    marks = [*_frame(x, y), _parting(x, y, parting, named=True)]
    marks += [_curve(curve, steps, x, y, at) for at, curve in enumerate(curves)]
    taken = -math.inf
    for at, curve in sorted(enumerate(curves), key=lambda each: y(each[1].points[-1].mean)):
        taken = max(taken + ROW, y(curve.points[-1].mean) + 4)
        name = tag("text", escape(curve.name), x=x.end + 8, y=round(taken, 1))
        marks.append(tag("g", name, class_=_classes(at)))
    label = tag("text", "step", x=(x.begin + x.end) / 2, y=HEIGHT - 4, class_="axis")
    said = "the reward and the referees over the steps of the training"
    return svg("".join([*marks, label]), WIDTH, HEIGHT, said)


def small_plot(steps: Sequence[int], curve: Curve, parting: int | None) -> str:
    """One curve by itself."""
    x = Scale(0, max(1, steps[-1]), LEFT, SMALL_WIDTH - 12)
    y = scale_of([curve], SMALL_HEIGHT - 22, TOP)
    marks = [*_frame(x, y), _parting(x, y, parting), _curve(curve, steps, x, y, 1)]
    return svg("".join(marks), SMALL_WIDTH, SMALL_HEIGHT, f"{curve.name} over the steps")


def _classes(at: int) -> str:
    return "curve reward" if at == 0 else f"curve referee-{(at - 1) % SHAPES + 1}"


def _frame(x: Scale, y: Scale) -> list[str]:
    marks = []
    for t in y.ticks:
        marks.append(tag("line", x1=x.begin, x2=x.end, y1=y(t), y2=y(t), class_="grid"))
        marks.append(tag("text", f"{t:g}", x=x.begin - 6, y=y(t) + 4, class_="tick left"))
    marks += [tag("text", f"{t:g}", x=x(t), y=y.begin + 15, class_="tick") for t in x.ticks]
    return marks


def _parting(x: Scale, y: Scale, step: int | None, *, named: bool = False) -> str:
    if step is None:
        return ""
    line = tag("line", x1=x(step), x2=x(step), y1=y.begin, y2=y.end)
    name = tag("text", f"they part: step {step}", x=x(step) + 5, y=y.end + 8) if named else ""
    return tag("g", line + name, class_="parting")


def _curve(curve: Curve, steps: Sequence[int], x: Scale, y: Scale, at: int) -> str:
    corners, points = [], []
    for step, point in zip(steps, curve.points, strict=True):
        corners.append(f"{x(step)},{y(point.mean)}")
        low, high = point.span
        said = f"{curve.name}, step {step}: {short(point.mean)}"
        said += f" [{point.ends()}]" if point.low is not None else ""
        points.append(
            tag(
                "g",
                tag("title", escape(said))
                + tag("line", x1=x(step), x2=x(step), y1=y(low), y2=y(high))
                + tag("circle", cx=x(step), cy=y(point.mean), r=3),
            )
        )
    line = tag("polyline", points=" ".join(corners))
    return tag("g", line + "".join(points), class_=_classes(at))
