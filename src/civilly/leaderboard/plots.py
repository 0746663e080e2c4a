"""Plots as SVG: what all need, and means with intervals.

Colours, fonts and dark mode come from the page's style sheet through class names. Every mark of a
system carries ``data-system`` so that the page can highlight it everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from civilly.data.values import short
from civilly.leaderboard.runs import MEASURES
from civilly.leaderboard.standings import Board, Column

ROW = 19
LABELS = 132
WIDTH = 360
LONGEST_LABEL = 20


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values of [low, high] to pixels, with ticks at round numbers."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value is drawn."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    @property
    def ticks(self) -> list[float]:
        """Multiples of .05, .1 or .2: at most seven."""
        step = next(s for s in (0.05, 0.1, 0.2) if (self.high - self.low) / s <= 6.01 or s == 0.2)
        first = math.ceil(self.low / step - 1e-9)
        count = int((self.high - first * step) / step + 1e-9) + 1
        return [round((first + i) * step, 2) for i in range(count)]


def axis_of(values: Sequence[float], begin: float, end: float) -> Axis:
    """An axis around some values, in [0, 1], its ends multiples of .05."""
    low = math.floor(min(values) * 20 + 1e-9) / 20
    high = math.ceil(max(values) * 20 - 1e-9) / 20
    if high - low < 0.1:
        low, high = max(0.0, low - 0.05), min(1.0, max(high, low + 0.05) + 0.05)
    return Axis(low, high, begin, end)


def tag(name: str, content: str = "", **attributes: object) -> str:
    """An element; ``content`` is markup, attribute values are escaped; ``_`` becomes ``-``."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{pairs}>{content}</{name}>"


def interval_plot(board: Board, column: Column, measure: str, axis: Axis) -> str:
    """Means of the ranked systems with their intervals, best first; rank 1 is filled."""
    cells = column.cells[measure]
    order = sorted(column.ranked, key=lambda i: (-cells[i].mean.mean, i))
    bottom = len(order) * ROW + 8
    marks = [
        tag("line", x1=axis(t), x2=axis(t), y1=4, y2=bottom, class_="grid")
        + tag("text", short(t, 2), x=axis(t), y=bottom + 14, class_="tick")
        for t in axis.ticks
    ]
    for place, index in enumerate(order):
        y = place * ROW + ROW / 2 + 4
        name, cell = board.systems[index].name, cells[index]
        low, high = cell.mean.span
        best = " best" if cell.rank == 1 else ""
        marks.append(
            tag(
                "g",
                tag("title", escape(f"{name}: {cell.mean}, rank {cell.rank}, n = {cell.mean.n}"))
                + tag("text", escape(shortened(name)), x=LABELS - 10, y=y + 4, class_="name")
                + tag("line", x1=axis(low), x2=axis(high), y1=y, y2=y)
                + tag("circle", cx=axis(cell.mean.mean), cy=y, r=4.2),
                class_=f"mark{best}",
                data_system=index,
            )
        )
    best_name = board.systems[order[0]].name
    summary = (
        f"{measure} in {column.name} of {len(order)} systems with 95 % intervals; "
        f"highest: {best_name}, {cells[order[0]].mean}"
    )
    return svg("".join(marks), WIDTH, bottom + 22, summary)


def interval_axis(board: Board, measure: str) -> Axis:
    """One axis for all columns of a measure, so that they can be compared."""
    cells = [
        column.cells[measure][i].mean for column in board.columns.values() for i in column.ranked
    ]
    ends = [end for mean in cells for end in mean.span]
    return axis_of(ends, LABELS, WIDTH - 12)


def shortened(name: str) -> str:
    """A name that fits beside a plot."""
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def svg(content: str, width: float, height: float, summary: str) -> str:
    """A plot of some size in pixels; ``summary`` is read to those who cannot see it."""
    view = f"0 0 {width:g} {height:g}"
    return tag("svg", content, viewBox=view, role="img", aria_label=summary, class_="plot")


def all_interval_plots(board: Board) -> dict[str, dict[str, str]]:
    """`interval_plot` of every measure and column."""
    found: dict[str, dict[str, str]] = {}
    for measure in MEASURES:
        axis = interval_axis(board, measure)
        found[measure] = {
            name: interval_plot(board, column, measure, axis)
            for name, column in board.columns.items()
        }
    return found
