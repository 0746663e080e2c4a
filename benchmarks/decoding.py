"""Decoding and selection: quality against speed, on pairs that nothing was trained on.

Usage: CIVILLY_THREADS=1 taskset -c 0 python benchmarks/decoding.py [--data DATA] [--rows 5]

The ``tune`` part of the dev pairs and of the pairs written for this project, the same rows for
every setting. Speed is processor time of rewriting, model loaded, against that of greedy decoding
in the same process, before, between and after the others; so other programs on the machine matter
little. Writes results/decoding.md and results/decoding.svg.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from civilly import registry
from civilly.engines.hardware import default_threads
from civilly.leaderboard.plots import Axis, axis_of, tag
from civilly.leaderboard.scatter import HEIGHT, MARGIN, RADIUS, WIDTH, place_labels
from civilly.pipeline import Detoxifier, Toolbox
from civilly.score.intervals import Interval, bootstrap_mean
from civilly.select.rerank import levenshtein_similarity
from civilly.types import Rewrite
from rewriting import RESULTS, Row, Scored, first_of_each, held_out, held_out_authored
from rewriting import scored_rewrites as scored_outputs

ONCE = {"second_look": "off"}


@dataclass(frozen=True)
class Setting:
    """One way to decode and select.

    Attributes:
        name: For the table.
        options: Options of the method `tuned`.
        n: Candidates per text, or None for what the options mean.
        select: The selector.
        strength: The dial.
        deletion: Whether deletions stand beside the model's candidates.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    n: int | None = None
    select: str | None = None
    strength: float = 0.5
    deletion: bool = True

    def open(self) -> Detoxifier:
        """The pipeline."""
        kind = Detoxifier if self.deletion else WithoutDeletion
        return kind(
            n_candidates=self.n, options=self.options, select=self.select, strength=self.strength
        )


class WithoutDeletion(Detoxifier):
    """Only what the model says."""

    _fallback = None


GREEDY = Setting("greedy alone", ONCE, deletion=False)
DEFAULT = Setting("greedy + deletion + second look (default)")
SETTINGS = (
    GREEDY,
    Setting("greedy + deletion", ONCE),
    DEFAULT,
    *(Setting(f"beam {n} + deletion", {"decoding": "beam", **ONCE}, n) for n in (2, 4, 8)),
    Setting("sample 4 + deletion", {"decoding": "sample", **ONCE}, 4),
    Setting("sample 4 + deletion, consensus", {"decoding": "sample", **ONCE}, 4, "consensus"),
)
STRENGTHS = tuple(Setting(f"{s:g}", strength=s) for s in (0.0, 1.0))
"""Beside the default, which is the middle of the dial."""
REFERENCE_EVERY = 4
"""Greedy decoding is timed before every so many settings, and once more at the end."""


@dataclass(frozen=True)
class Outcome:
    """What a setting gave.

    Attributes:
        scored: Components and product per row.
        joint: J of the suite `embedded` per row.
        kept: Levenshtein similarity to the input per row.
        speed: Sentences per processor second, by those of greedy decoding.
    """

    scored: Scored
    joint: list[float]
    kept: list[float]
    speed: float


def rewritten(detoxifier: Detoxifier, rows: Sequence[Row]) -> tuple[list[Rewrite], float]:
    """The rewrites and the processor seconds they took."""
    texts, langs = [row.text.text for row in rows], [row.text.lang for row in rows]
    began = time.process_time()
    made = detoxifier.rewrite(texts, langs)
    return made, time.process_time() - began


def measured(settings: Sequence[Setting], rows: Sequence[Row]) -> dict[str, Outcome]:
    """Runs every setting, with greedy decoding before, between and after them."""
    greedy = GREEDY.open()
    rewritten(greedy, rows[:2])
    references, runs = [], []
    for number, setting in enumerate(settings):
        if number % REFERENCE_EVERY == 0:
            references.append(rewritten(greedy, rows)[1])
        detoxifier = setting.open()
        rewritten(detoxifier, rows[:2])
        runs.append(rewritten(detoxifier, rows))
        print(f"{setting.name}: {runs[-1][1]:.1f} s", flush=True)
    references.append(rewritten(greedy, rows)[1])
    print("greedy: " + ", ".join(f"{seconds:.1f} s" for seconds in references), flush=True)
    usual = sum(references) / len(references)
    return {
        setting.name: outcome(made, rows, usual / seconds)
        for setting, (made, seconds) in zip(settings, runs, strict=True)
    }


def outcome(made: Sequence[Rewrite], rows: Sequence[Row], speed: float) -> Outcome:
    """Scores the rewrites of a setting.

    Args:
        made: What the pipeline gave for the rows.
        rows: Inputs and references.
        speed: See `Outcome`.
    """
    scored = scored_outputs(made, rows)
    suite = registry.create("score", "embedded", Toolbox(None, {}))
    references = [row.references for row in rows]
    joint = suite.score([row.text for row in rows], scored.outputs, references)
    kept = [levenshtein_similarity(r.text, r.rewritten) for r in made]
    return Outcome(scored, joint, kept, speed)


def average(values: Sequence[float]) -> Interval:
    """Mean over the rows, as many of each language, with its interval.

    The rows are resampled all together: within a language there are too few for a bootstrap.
    """
    return bootstrap_mean(values)


def deltas(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Row by row, ``one`` less ``other``."""
    return [a - b for a, b in zip(one, other, strict=True)]


def table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """A line per setting."""
    usual = outcomes[DEFAULT.name]
    lines = [
        "| setting | sentences/s, greedy = 1 | product | less the default's | J | "
        "less the default's | p(toxic) after |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, o in outcomes.items():
        product = deltas(o.scored.product, usual.scored.product)
        joint = deltas(o.joint, usual.joint)
        lines.append(
            f"| {name} | {o.speed:.2f} | **{average(o.scored.product)}** "
            f"| {average(product) if o is not usual else '–'} | {average(o.joint)} "
            f"| {average(joint) if o is not usual else '–'} "
            f"| {average(o.scored.after)} |"
        )
    return lines


def verdict(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Whether anything is better than the default beyond chance, and what it dominates."""
    usual = outcomes[DEFAULT.name]
    others = {name: o for name, o in outcomes.items() if o is not usual}
    lines = []
    for measure, values in (
        ("product", {name: o.scored.product for name, o in outcomes.items()}),
        ("J", {name: o.joint for name, o in outcomes.items()}),
    ):
        found = {name: average(deltas(values[name], values[DEFAULT.name])) for name in others}
        better = [name for name, delta in found.items() if delta.low > 0]
        worse = [name for name, delta in found.items() if delta.high < 0]
        lines.append(
            f"- {measure}: better than the default (interval of the paired difference above 0): "
            f"{', '.join(better) or 'none'}; worse: {', '.join(worse) or 'none'}."
        )
    front = [
        name
        for name, o in outcomes.items()
        if not any(
            other.speed > o.speed
            and average(other.scored.product).mean >= average(o.scored.product).mean
            for other in outcomes.values()
        )
    ]
    return [*lines, f"- Nothing is both faster and as good in the product: {', '.join(front)}."]


def strengths_table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """What the dial does."""
    lines = [
        "| strength | similarity to the input | p(toxic) after | product | J |",
        "|---|---|---|---|---|",
    ]
    for name, o in outcomes.items():
        lines.append(
            f"| {name} | {average(o.kept)} | {average(o.scored.after)} "
            f"| {average(o.scored.product)} | {average(o.joint)} |"
        )
    return lines


def plot(outcomes: Mapping[str, Outcome]) -> str:
    """Product against relative speed, both with their names; an SVG that stands alone."""
    means = {name: average(o.scored.product) for name, o in outcomes.items()}
    speeds = {name: math.log2(o.speed) for name, o in outcomes.items()}
    x = Axis(math.floor(min(speeds.values())), 0.5, MARGIN + 8, WIDTH - 14)
    ends = [end for mean in means.values() for end in (mean.low, mean.high)]
    y = axis_of(ends, HEIGHT - MARGIN, 14)
    names = dict(enumerate(outcomes))
    places = {i: (x(speeds[name]), y(means[name].mean)) for i, name in names.items()}
    labels = place_labels(names, places)
    marks = list(_frame(x, y))
    for i, name in names.items():
        across, down = places[i]
        kind = "default" if name == DEFAULT.name else "mark"
        low, high = y(means[name].low), y(means[name].high)
        marks += [
            tag("line", x1=across, x2=across, y1=low, y2=high, class_=kind),
            tag("circle", cx=across, cy=down, r=RADIUS, class_=kind),
            tag("text", escape(name), x=round(labels[i].left), y=round(labels[i].base)),
        ]
    style = tag("style", _STYLE)
    ground = tag("rect", width=WIDTH, height=HEIGHT, class_="ground")
    summary = "Product of civility, similarity and fluency against speed, by way of decoding"
    return tag(
        "svg",
        style + ground + "".join(marks),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=summary,
    )


_STYLE = (
    "text{font:11px sans-serif;fill:#222}.ground{fill:#fff}.grid{stroke:#ddd}"
    ".mark{stroke:#567;fill:#fff;stroke-width:1.5}.default{stroke:#b40;fill:#b40;stroke-width:2}"
    ".tick{fill:#666;text-anchor:middle}.left{text-anchor:end}.axis{text-anchor:middle}"
)


def _frame(x: Axis, y: Axis) -> list[str]:
    """Grid, ticks and the names of the axes; ``x`` is in powers of two."""
    marks = []
    for power in range(int(x.low), 1):
        marks += [
            tag("line", x1=x(power), x2=x(power), y1=y.begin, y2=y.end, class_="grid"),
            tag("text", f"{2.0**power:g}", x=x(power), y=y.begin + 15, class_="tick"),
        ]
    for t in y.ticks:
        marks += [
            tag("line", x1=x.begin, x2=x.end, y1=y(t), y2=y(t), class_="grid"),
            tag("text", f"{t:.2f}", x=x.begin - 6, y=y(t) + 4, class_="tick left"),
        ]
    across, down = (x.begin + x.end) / 2, (y.begin + y.end) / 2
    turn = f"rotate(-90 12 {down})"
    return [
        *marks,
        tag("text", "sentences/s, greedy = 1 →", x=across, y=HEIGHT - 8, class_="axis"),
        tag("text", "product →", x=12, y=down, class_="axis", transform=turn),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=5, help="the most rows a language")
    arguments = parser.parse_args()
    rows = first_of_each(
        held_out(arguments.data, "tune") + held_out_authored("tune"), arguments.rows
    )
    everything = measured([*SETTINGS, *STRENGTHS], rows)
    outcomes = {setting.name: everything[setting.name] for setting in SETTINGS}
    least, most = (everything[setting.name] for setting in STRENGTHS)
    dial = {"0": least, "0.5": outcomes[DEFAULT.name], "1": most}
    threads = default_threads()
    languages = len({row.text.lang for row in rows})
    lines = [
        f"n = {len(rows)} texts of the `tune` part, at most {arguments.rows} in each of "
        f"{languages} languages; means over the texts; {threads} thread(s). Product: "
        "civility · similarity to the reference · fluency; J: suite `embedded`, with references.",
        "",
        *table(outcomes),
        "",
        "![Product against speed](benchmarks/results/decoding.svg)",
        "",
        *verdict(outcomes),
        "",
        "## Strength",
        "",
        "The default at three strengths; at 1 with a beam of 4.",
        "",
        *strengths_table(dial),
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "decoding.md").write_text("\n".join(lines) + "\n", "utf-8")
    (RESULTS / "decoding.svg").write_text(plot(outcomes) + "\n", "utf-8")


if __name__ == "__main__":
    main()
