"""The report of a sweep: a page that needs no network, Markdown with plots, and a CSV."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from civilly import __version__, registry
from civilly.data.files import write_bytes
from civilly.data.io import format_table
from civilly.data.table import Row, Table
from civilly.leaderboard.page import content_hash, page_style, plot_style
from civilly.leaderboard.tables import markdown_row, markdown_text
from civilly.score.intervals import Interval, bootstrap_mean
from civilly.score.joint import JOINT
from civilly.score.significance import paired_bootstrap
from civilly.toolbox import Toolbox
from civilly.train.recipe import SftRecipe
from civilly.train.sweep.importance import Importance
from civilly.train.sweep.plots import Point, history_plot, importance_plot, setting_plot
from civilly.train.sweep.space import SweepRecipe, label
from civilly.train.sweep.study import Outcome, best, trial_folder
from civilly.train.trainer import VALIDATIONS_FILE

PAGE_FILE, MARKDOWN_FILE, CSV_FILE, PLOTS_FOLDER = "index.html", "sweep.md", "trials.csv", "plots"
NOTES = {
    "history": "Mean J of the best validation of each trial, with its 95 % interval. Circles came "
    "to their end, the coloured one is the best; crosses were pruned, exclamation marks failed. "
    "The dashed line is the best so far.",
    "importance": "Share of the variance of J over the complete trials that each setting explains "
    "alone (fANOVA). The stroke is what chance gives in one of twenty sweeps in which nothing "
    "matters: only a longer bar says something.",
    "trials": "J with its 95 % bootstrap interval over the sentences, and the difference from the "
    "best trial on the same sentences, paired. The best of many is favoured by chance: train it "
    "anew, and judge it on other sentences.",
    "method": "Settings drawn by a tree-structured Parzen estimator, trials pruned below a "
    "quantile of earlier ones at the same validation (Optuna). J of a trial is the highest mean "
    "over its validations, which rewrite held-out sentences greedily.",
}


@dataclass(frozen=True, slots=True)
class SweepReport:
    """All that a report says.

    Attributes:
        sweep: The recipe.
        found: The trials, in order.
        points: Those with a J, in order.
        differences: By number of a trial, its J less that of the best, paired, with an interval.
        importances: By setting, the largest first.
        signature: Of the suite that gave J.
    """

    sweep: SweepRecipe
    found: Sequence[Outcome]
    points: Sequence[Point]
    differences: Mapping[int, Interval]
    importances: Mapping[str, Importance]
    signature: str

    @property
    def summary(self) -> str:
        """How many trials, how they ended, over how many sentences, in how long."""
        states = [each.state for each in self.found]
        counted = [f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed")]
        minutes = sum(each.seconds for each in self.found) / 60
        sentences = f" · J over {self.points[0].joint.n} sentences" if self.points else ""
        trials = f"{len(states)} trials: {', '.join(counted)}"
        return f"{trials}{sentences} · {minutes:.0f} minutes"

    @property
    def columns(self) -> list[str]:
        """Headings of `rows`."""
        return ["trial", "", JOINT, "from the best", *self.sweep.settings.search, "minutes"]

    @property
    def rows(self) -> list[list[str]]:
        """The trials for people: complete ones from the best down, pruned ones, failed ones."""
        order = {"complete": 0, "pruned": 1, "failed": 2}
        points = {point.number: point for point in self.points}
        numbers = sorted(
            range(1, len(self.found) + 1),
            key=lambda n: (
                order[self.found[n - 1].state],
                -points[n].joint.mean if n in points else 0.0,
            ),
        )
        return [self._row(number, points.get(number)) for number in numbers]

    def _row(self, number: int, point: Point | None) -> list[str]:
        outcome = self.found[number - 1]
        state = outcome.error.splitlines()[0][:80] if outcome.error else outcome.state
        joint = "" if point is None else str(point.joint)
        less = str(self.differences[number]) if number in self.differences else ""
        return [
            str(number),
            "best" if point and point.best else state,
            joint,
            less,
            *(shown(outcome.settings[n]) if n in outcome.settings else ""
              for n in self.sweep.settings.search),
            f"{outcome.seconds / 60:.1f}",
        ]  # fmt: skip


def shown(value: Any) -> str:
    """A value of a setting, in three digits if it is a fraction."""
    return f"{value:.3g}" if isinstance(value, float) else str(label(value))


def make_report(
    found: Sequence[Outcome], importances: Mapping[str, Importance], sweep: SweepRecipe, out: Path
) -> SweepReport:
    """Reads the scores of all trials of a sweep and compares them.

    Args:
        found: The trials, in order.
        importances: What mattered (`civilly.train.sweep.importance`).
        sweep: The recipe.
        out: The sweep's folder.
    """
    winner = best(found)
    scores = {
        number: best_validation(trial_folder(out, each.name) / VALIDATIONS_FILE)
        for number, each in enumerate(found, 1)
        if each.state != "failed"
    }
    points = [
        Point(number, found[number - 1], bootstrap_mean(each), found[number - 1] is winner)
        for number, each in scores.items()
    ]
    differences = {}
    if winner is not None:
        top = next(scores[point.number] for point in points if point.best)
        for point in (p for p in points if not p.best):
            pairs = zip(scores[point.number], top, strict=True)
            differences[point.number], _ = paired_bootstrap([[a - b for a, b in pairs]])
    suite = SftRecipe.parse(sweep.base, "the recipe").validation.suite
    signature = registry.create("score", suite, Toolbox(None, {})).signature
    return SweepReport(sweep, found, points, differences, importances, signature)


def best_validation(path: Path) -> list[float]:
    """J of each sentence at the validation with the highest mean.

    Args:
        path: The file that a training wrote; of a step that stands twice, the last counts.
    """
    lines = path.read_text("utf-8").splitlines()
    by_step = {row["step"]: row[JOINT] for row in map(json.loads, lines)}
    return max(by_step.values(), key=lambda scores: sum(scores) / len(scores))


def write_report(report: SweepReport, out: Path) -> None:
    """Writes the page, the Markdown, the table and the plots into the sweep's folder.

    Raises:
        DataError: If they cannot be written.
    """
    drawn = plots(report)
    (out / PLOTS_FOLDER).mkdir(exist_ok=True)
    for name, content in drawn.items():
        write_bytes(out / PLOTS_FOLDER / f"{name}.svg", standing_alone(content).encode())
    write_bytes(out / CSV_FILE, csv(report))
    write_bytes(out / MARKDOWN_FILE, markdown(report, PLOTS_FOLDER).encode())
    write_bytes(out / PAGE_FILE, page(report, drawn).encode())


def plots(report: SweepReport) -> dict[str, str]:
    """All plots, by name: ``history``, ``importance`` if known, and each setting."""
    failed = [n for n, each in enumerate(report.found, 1) if each.state == "failed"]
    drawn = {"history": history_plot(report.points, failed, len(report.found))}
    if report.importances:
        drawn["importance"] = importance_plot(report.importances)
    for name, search in report.sweep.settings.search.items():
        drawn[name] = setting_plot(name, search, report.points)
    return drawn


def standing_alone(plot: str) -> str:
    """A plot as a file of its own, with the size, style and ground that the page would give it."""
    style = f"<style>{plot_style()}{_asset('page.css')}svg {{ background: var(--card); }}</style>"
    head, end, rest = plot.partition(">")
    width, height = re.findall(r'viewBox="0 0 (\S+) (\S+)"', head)[0]
    size = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    return head.replace("<svg", size, 1) + end + style + rest


def csv(report: SweepReport) -> bytes:
    """One row per trial, in order, with all that is known of it."""
    points = {point.number: point.joint for point in report.points}
    last = max((max(each.validations, default=0) for each in report.found), default=0)
    rows: list[Row] = []
    for number, each in enumerate(report.found, 1):
        joint, less = points.get(number), report.differences.get(number)
        rows.append(
            {
                "trial": number,
                "folder": each.name,
                "state": each.state,
                **_interval(JOINT, joint),
                "n": joint.n if joint else "",
                **_interval("difference", less),
                "seconds": round(each.seconds, 1),
                **{
                    name: label(each.settings[name]) if name in each.settings else ""
                    for name in report.sweep.settings.search
                },
                **{f"validation_{k}": each.validations.get(k, "") for k in range(1, last + 1)},
                "error": each.error,
            }
        )
    return format_table(Table(list(rows[0]) if rows else ["trial"], rows, "csv"), "csv")


def _interval(name: str, interval: Interval | None) -> Row:
    ends = (interval.mean, interval.low, interval.high) if interval else ("", "", "")
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def markdown(report: SweepReport, folder: str) -> str:
    """The report for a repository.

    Args:
        report: What it says.
        folder: Where the plots lie, seen from the file.
    """
    drawn = plots(report)
    lines = ["# Sweep", "", f"{report.summary}. Signature: `{report.signature}`.", ""]
    lines += [f"![History]({folder}/history.svg)", "", NOTES["history"], ""]
    if report.importances:
        lines += [f"![What mattered]({folder}/importance.svg)", "", NOTES["importance"], ""]
        lines += [markdown_row(["setting", "share of the variance", "by chance up to"])]
        lines += ["|---|---|---|"]
        lines += [
            markdown_row([f"`{name}`", f"{each.share:.0%}", f"{each.chance:.0%}"])
            for name, each in report.importances.items()
        ]
        lines += [""]
    lines += [
        f"![{name}]({folder}/{name}.svg)" for name in drawn if name not in ("history", "importance")
    ]
    lines += ["", NOTES["trials"], "", markdown_row([f"{c}" for c in report.columns])]
    lines += ["|---" * len(report.columns) + "|"]
    lines += [markdown_row([markdown_text(cell) for cell in row]) for row in report.rows]
    return "\n".join([*lines, "", NOTES["method"]]) + "\n"


def page(report: SweepReport, drawn: Mapping[str, str]) -> str:
    """The page; a content security policy forbids all but our own style, the network too.

    Args:
        report: What it says.
        drawn: The plots.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = page_style() + _asset("page.css")
    marked = {name: Markup(plot) for name, plot in drawn.items()}
    return environment.from_string(_asset("page.html.jinja")).render(
        report=report,
        notes=NOTES,
        history=marked.pop("history"),
        importance=marked.pop("importance", None),
        settings=list(marked.values()),
        style=Markup(style),
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        version=__version__,
    )


def _asset(name: str) -> str:
    return (files("civilly.train.sweep") / name).read_text(encoding="utf-8")
