"""What the filters take of a published synthetic set, and what they are worth.

Usage: python benchmarks/synthetic_filters.py [--work DIR] [--texts N] [--readings N]

The set is that of `synthetic_pool.py`. The thresholds of three filters are swept, each alone, on
two measures of quality that no filter was made by: what blind readers said of rewrites that the
judge was not trained on (`civilly.data.kept_apart`, all languages and kinds of rewrites), and, of
the set, chrF to what people made of the same texts. Writes
results/synthetic_filters.md and .svg.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from civilly import registry
from civilly.data.files import write_bytes
from civilly.data.pairs import data_folder
from civilly.data.readings import Reading
from civilly.leaderboard.plots import Axis, axis_of, tag
from civilly.synth.filters import FilterTools, Sample, open_filters
from civilly.synth.folder import ACCEPTED_FILE, REJECTED_FILE, read_rows
from civilly.synth.prompts import DETOXIFY
from civilly.toolbox import Toolbox
from civilly.types import Text
from measures import Floats, auc, interval, table
from reader import kept_apart
from synthetic_pool import Both, filtered, pool
from synthetic_training import POOL

RESULTS = Path(__file__).parent / "results"
SWEPT = ("similarity", "reading", "toxicity")
LEVELS = tuple(round(step / 20, 2) for step in range(21))
SHOWN = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9)
"""Thresholds in the table."""
RESAMPLES = 1000
LEAST_ROWS = 20
"""Of fewer rows that stay no mean is shown."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows with the values of the swept filters and how good they are.

    Attributes:
        name: What is measured, for people.
        texts: Number of the text of each row: rows of one text are drawn together.
        quality: Of each row, in [0, 1].
        values: By filter, one per row.
    """

    name: str
    texts: Floats
    quality: Floats
    values: Mapping[str, Floats]

    def at(self, name: str, threshold: float) -> tuple[float, float, float, float]:
        """Share of rows that a filter leaves; their mean quality, and its 95 % interval.

        Texts are resampled with all their rows; NaN where fewer than `LEAST_ROWS` stay.
        """
        stays = self.values[name] >= threshold
        share = float(stays.mean())
        if stays.sum() < LEAST_ROWS:
            return (share, *[float("nan")] * 3)
        size = int(self.texts.max()) + 1
        hits = np.bincount(self.texts, np.where(stays, self.quality, 0.0), size)
        rows = np.bincount(self.texts, stays, size)
        drawn = np.random.default_rng(0).integers(0, size, (RESAMPLES, size))
        totals = rows[drawn].sum(axis=1)
        means = hits[drawn].sum(axis=1)[totals > 0] / totals[totals > 0]
        low, high = np.percentile(means, [2.5, 97.5])
        return share, float(hits.sum() / rows.sum()), float(low), float(high)


def some(rows: Sequence[Reading], most: int | None) -> list[Reading]:
    """All rows of texts drawn at random, as many texts as have at most so many rows."""
    found: list[Reading] = []
    by_text: dict[str, list[Reading]] = {}
    for row in rows:
        by_text.setdefault(row.text, []).append(row)
    texts = sorted(by_text)
    random.Random(0).shuffle(texts)
    for text in texts:
        if most is not None and len(found) + len(by_text[text]) > most:
            break
        found += by_text[text]
    return found


def of_readings(data: Path, path: Path, most: int | None) -> Measured:
    """Rewrites that readers called good, or not, and what the filters say of them.

    Args:
        data: The data folder.
        path: Where what the filters say is kept.
        most: The most rewrites; None: all.
    """
    rows = some(kept_apart(None), most)
    if not path.exists():
        samples = [Sample(r.text, r.rewrite, r.rewrite, r.lang, "", DETOXIFY) for r in rows]
        values = {
            each.name: each.measure(samples)
            for each in open_filters(FilterTools(data))
            if each.name in SWEPT
        }
        write_bytes(path, (json.dumps(values) + "\n").encode())
    known = json.loads(path.read_text("utf-8"))
    numbers: dict[tuple[str, str], int] = {}
    return Measured(
        "read blindly: share of good ones",
        np.array([numbers.setdefault((r.lang, r.text), len(numbers)) for r in rows]),
        np.array([float(r.fault == "good") for r in rows]),
        {name: np.array(known[name], dtype=np.float64) for name in SWEPT},
    )


def of_set(texts: Sequence[Both], folder: Path) -> Measured:
    """The published set, the first civil side of each text, by chrF to the people's."""
    found = [*read_rows(folder / ACCEPTED_FILE), *read_rows(folder / REJECTED_FILE)]
    first = {row["source_id"]: row for row in found if row["candidate"] == 0}
    rows = [first[each.made.id] for each in texts]
    chrf = registry.create("score", "chrf", Toolbox(None, {}))
    quality = chrf.score(
        [Text(row["toxic"], "en") for row in rows],
        [row["neutral"][0] for row in rows],
        [list(each.human.neutral) for each in texts],
    )
    return Measured(
        "the set: chrF to what people made of the same text",
        np.arange(len(rows)),
        np.array(quality),
        {name: np.array([row["filters"][name] for row in rows]) for name in SWEPT},
    )


def sweep_table(found: Measured) -> str:
    """What is left, and how good it is, at some thresholds of each filter."""
    body = []
    for threshold in SHOWN:
        line: list[str] = [f"{threshold:g}"]
        for name in SWEPT:
            share, mean, low, high = found.at(name, threshold)
            line += [
                f"{share:.0%}",
                "–" if np.isnan(mean) else f"{mean:.2f} [{low:.2f}, {high:.2f}]",
            ]
        body.append(line)
    return table(["threshold", *(c for n in SWEPT for c in (f"{n}: kept", "quality"))], body)


def areas(found: Measured) -> str:
    """How well each filter alone tells good rewrites from others: AUC with its interval."""
    groups = [np.flatnonzero(found.texts == text) for text in range(int(found.texts.max()) + 1)]

    def area(name: str) -> str:
        return interval(lambda i: auc(found.values[name][i], found.quality[i]), groups)

    return ", ".join(f"`{name}` {area(name)}" for name in SWEPT)


def taken(report: Mapping[str, Any]) -> str:
    """How many rows each filter took."""
    return table(
        ["filter", "threshold", "took", "failed", "alone"],
        [
            [
                each["name"],
                "" if each["threshold"] is None else f"{each['threshold']:g}",
                each["took"], each["failed"], each["alone"],
            ]
            for each in report["filters"]
        ],
    )  # fmt: skip


WIDTH, HEIGHT, MARGIN = 380, 300, 46
_STYLE = (
    "text{font:11px sans-serif;fill:#222}.ground{fill:#fff}.grid{stroke:#ddd}"
    ".tick{fill:#666;text-anchor:middle}.left{text-anchor:end}.axis{text-anchor:middle}"
    "polyline{fill:none;stroke-width:2}polygon{opacity:.15}"
    ".similarity{stroke:#06c}.reading{stroke:#b40}.toxicity{stroke:#283}"
    "polygon.similarity,text.similarity{fill:#06c;stroke:none}"
    "polygon.reading,text.reading{fill:#b40;stroke:none}"
    "polygon.toxicity,text.toxicity{fill:#283;stroke:none}"
)


def panel(found: Measured, left: int) -> str:
    """Quality against the share kept, a curve with its band for each filter."""
    curves = {}
    for name in SWEPT:
        points = dict.fromkeys(found.at(name, level) for level in LEVELS)
        curves[name] = [point for point in points if not np.isnan(point[1])]
    ends = [end for points in curves.values() for point in points for end in point[2:]]
    x = Axis(0.0, 1.0, left + MARGIN, left + WIDTH - 12)
    y = axis_of(ends, HEIGHT - MARGIN, 28)
    marks = [
        tag("line", x1=x(t), x2=x(t), y1=y.begin, y2=y.end, class_="grid")
        + tag("text", f"{t:.1f}", x=x(t), y=y.begin + 15, class_="tick")
        for t in x.ticks
    ] + [
        tag("line", x1=x.begin, x2=x.end, y1=y(t), y2=y(t), class_="grid")
        + tag("text", f"{t:.2f}", x=x.begin - 6, y=y(t) + 4, class_="tick left")
        for t in y.ticks
    ]
    for place, (name, points) in enumerate(curves.items()):
        band = [(p[0], p[2]) for p in points] + [(p[0], p[3]) for p in reversed(points)]
        marks += [
            tag("polygon", points=" ".join(f"{x(a)},{y(b)}" for a, b in band), class_=name),
            tag("polyline", points=" ".join(f"{x(p[0])},{y(p[1])}" for p in points), class_=name),
            tag("text", name, x=x.end - 70, y=y.end + 14 + 14 * place, class_=name),
        ]
    across = (x.begin + x.end) / 2
    return "".join([
        *marks,
        tag("text", escape(found.name), x=across, y=16, class_="axis"),
        tag("text", "share of rows kept", x=across, y=HEIGHT - 8, class_="axis"),
    ])  # fmt: skip


def plot(measured: Sequence[Measured]) -> str:
    """The panels side by side, as SVG."""
    width = WIDTH * len(measured)
    ground = tag("rect", width=width, height=HEIGHT, class_="ground")
    panels = "".join(panel(found, place * WIDTH) for place, found in enumerate(measured))
    return tag(
        "svg",
        tag("style", _STYLE) + ground + panels,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {HEIGHT}",
        role="img",
        aria_label="Quality of the rows that a filter keeps against their share, by filter",
    )


def page(report: Mapping[str, Any], readings: Measured, made: Measured) -> str:
    """The Markdown."""
    return "\n\n".join([
        "# What the filters take",
        f"`synthetic_pseudoparadetox_en`, {report['texts']} texts drawn at random (seed 0, none "
        f"near a held-out or official text), {report['candidates']} civil sides by Llama 3 8B: "
        f"{report['accepted']} texts accepted. For measuring only: Llama's terms apply.",
        taken(report),
        "## Thresholds swept, each filter alone",
        "![Quality against the share kept](benchmarks/results/synthetic_filters.svg)",
        f"Read blindly: {len(readings.quality)} rewrites of {int(readings.texts.max()) + 1} texts "
        "drawn at random from 15 languages, that the judge was not trained on; quality is the "
        "share that readers called good. Area under the curve, good against all others: "
        f"{areas(readings)}.",
        sweep_table(readings),
        f"The set: the first civil side of {len(made.quality)} texts; quality is chrF to what "
        "people made of the same text.",
        sweep_table(made),
    ]) + "\n"  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/synthetic"))
    parser.add_argument("--texts", type=int, default=POOL, help="of the set")
    parser.add_argument("--readings", type=int, help="the most rewrites that were read")
    given = parser.parse_args()
    data, work = data_folder(given.data), given.work
    work.mkdir(parents=True, exist_ok=True)
    kept = work / f"readings-{given.readings or 'all'}.json"
    readings = of_readings(data, kept, given.readings)
    texts = pool(data, given.texts)
    folder = work / f"set-{len(texts)}"
    report = filtered(texts, data, folder)
    measured = [readings, of_set(texts, folder)]
    (RESULTS / "synthetic_filters.svg").write_text(plot(measured) + "\n", "utf-8")
    (RESULTS / "synthetic_filters.md").write_text(page(report, *measured), "utf-8")


if __name__ == "__main__":
    main()
