"""Plot of style against content: STA against SIM, with labels that keep out of each other's way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from civilly.data.values import short
from civilly.leaderboard.plots import Axis, axis_of, shortened, svg, tag
from civilly.leaderboard.standings import Board, Column
from civilly.score.joint import JOINT

WIDTH, HEIGHT, MARGIN = 640, 440, 44
RADIUS = 5
LETTER = 6.7
"""Mean width of a letter in pixels, for labels of 11 pixels."""
TETHERED = 16
"""A label farther than this from its point is tied to it by a line."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Label:
    """Where a label stands.

    Attributes:
        left: Left end of the text, in pixels.
        base: Its base line.
        width: Its estimated width.
    """

    left: float
    base: float
    width: float

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        return self.left, self.base - 9, self.left + self.width, self.base + 3

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of the label nearest to another point."""
        left, top, right, bottom = self.box
        return min(max(x, left), right), min(max(y, top), bottom)


def scatter_plot(board: Board, column: Column) -> str:
    """STA against SIM of the ranked systems; dotted lines join points of equal product."""
    cells = column.cells
    points = {i: (cells["STA"][i].mean.mean, cells["SIM"][i].mean.mean) for i in column.ranked}
    x = axis_of([sta for sta, _ in points.values()], MARGIN, WIDTH - 14)
    y = axis_of([sim for _, sim in points.values()], HEIGHT - MARGIN, 14)
    places = {i: (x(sta), y(sim)) for i, (sta, sim) in points.items()}
    names = {i: shortened(board.systems[i].name) for i in points}
    labels = place_labels(names, places)
    marks = [*_frame(x, y), *_products(x, y)]
    for index, (sta, sim) in points.items():
        joint = cells[JOINT][index]
        scores = f"STA {short(sta)}, SIM {short(sim)}, J {short(joint.mean.mean)}"
        title = tag("title", escape(f"{board.systems[index].name}: {scores}"))
        best = " best" if joint.rank == 1 else ""
        mark = _mark(places[index], labels[index], escape(names[index]))
        marks.append(tag("g", title + mark, class_=f"mark point{best}", data_system=index))
    summary = f"STA against SIM of {len(points)} systems in {column.name}"
    return svg("".join(marks), WIDTH, HEIGHT, summary)


def _mark(place: tuple[float, float], label: Label, name: str) -> str:
    x, y = place
    to_x, to_y = label.nearest(x, y)
    far = abs(to_x - x) + abs(to_y - y) > TETHERED
    line = tag("line", x1=x, y1=y, x2=round(to_x, 1), y2=round(to_y, 1)) if far else ""
    circle = tag("circle", cx=x, cy=y, r=RADIUS)
    return line + circle + tag("text", name, x=round(label.left, 1), y=round(label.base, 1))


def _frame(x: Axis, y: Axis) -> Iterator[str]:
    for t in x.ticks:
        yield tag("line", x1=x(t), x2=x(t), y1=y.begin, y2=y.end, class_="grid")
        yield tag("text", short(t, 2), x=x(t), y=y.begin + 15, class_="tick")
    for t in y.ticks:
        yield tag("line", x1=x.begin, x2=x.end, y1=y(t), y2=y(t), class_="grid")
        yield tag("text", short(t, 2), x=x.begin - 6, y=y(t) + 4, class_="tick left")
    across, down = (x.begin + x.end) / 2, (y.begin + y.end) / 2
    yield tag("text", "STA: no longer toxic →", x=across, y=HEIGHT - 8, class_="axis")
    turn = f"rotate(-90 12 {down})"
    yield tag("text", "SIM: same content →", x=12, y=down, class_="axis", transform=turn)


def _products(x: Axis, y: Axis) -> Iterator[str]:
    """Curves on which STA · SIM is a multiple of .1."""
    for product in (k / 10 for k in range(1, 10)):
        low, high = max(x.low, product / y.high), min(x.high, product / max(y.low, 1e-9))
        if high - low > 1e-6:
            steps = [low + (high - low) * k / 24 for k in range(25)]
            path = " ".join(f"{x(sta)},{y(product / sta)}" for sta in steps)
            yield tag("polyline", points=path, class_="product")
            yield tag(
                "text", short(product, 1), x=x(high) - 3, y=y(product / high) - 4, class_="product"
            )


def place_labels(
    names: Mapping[int, str], places: Mapping[int, tuple[float, float]]
) -> dict[int, Label]:
    """Where labels stand so that they hide few points and labels.

    Greedy: in the given order, each takes the cheapest place around its point, where hiding
    something is dear and distance cheap.
    """
    reach = RADIUS + 1.5
    taken = [(x - reach, y - reach, x + reach, y + reach) for x, y in places.values()]
    chosen: dict[int, Label] = {}
    for index, name in names.items():
        offered = _around(*places[index], LETTER * len(name))
        chosen[index] = min(offered, key=lambda label: _cost(label, places[index], taken))
        taken.append(chosen[index].box)
    return chosen


def _around(x: float, y: float, width: float) -> Iterator[Label]:
    for rise in (0, -12, 12, -24, 24, -36, 36, -48, 48):
        for out in (9, 24):
            yield Label(x + out, y + 4 + rise, width)
            yield Label(x - out - width, y + 4 + rise, width)
        if rise:
            yield Label(x - width / 2, y + 4 + rise * 1.2, width)


def _cost(label: Label, place: tuple[float, float], taken: list[Box]) -> float:
    to_x, to_y = label.nearest(*place)
    left, top, right, bottom = label.box
    outside = max(0.0, MARGIN - left) + max(0.0, right - WIDTH) + max(0.0, bottom - HEIGHT + MARGIN)
    hidden = sum(_overlap(label.box, box) for box in taken)
    return (
        3 * hidden + 50 * (outside + max(0.0, -top)) + abs(to_x - place[0]) + abs(to_y - place[1])
    )


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0
