"""What an audit says, as JSON and as a page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from civilly import __version__
from civilly.data.files import write_bytes
from civilly.data.pairs import Pair
from civilly.errors import MissingExtraError
from civilly.languages import language
from civilly.leaderboard.page import content_hash, page_style, plot_style, script_json
from civilly.score.intervals import Interval, bootstrap_average
from civilly.train.audit.look import Look
from civilly.train.audit.parting import Difference, Parting, by_language
from civilly.train.audit.plots import Curve, curves_plot, small_plot
from civilly.train.audit.recipe import AuditSettings
from civilly.train.audit.store import FOLDER
from civilly.train.run_folder import write_json

JSON_FILE, PAGE_FILE, PLOT_FILE = "audit.json", "index.html", "curves.svg"
REWARD = "reward"
MEANINGS = {
    "chrF": "chrF to the references, in [0, 1].",
    "length": "Characters per character of the text.",
    "unchanged": "Share of texts that come back as they were.",
    "deletion": "Share of plain deletions: nothing is new, some words are gone.",
    "p_toxic": "p(toxic) by the n-gram model.",
    "language": "Share of outputs in another language than their text.",
    "kl": "Divergence from the start, nats per answer, from one sample each.",
    "distinct_words": "Different words per word of all outputs.",
}


@dataclass(frozen=True, slots=True)
class Report:
    """All that a page says.

    Attributes:
        run: The run's name.
        settings: How it was looked at.
        pairs: The fixed texts.
        looks: In the order of their steps, the start first.
        partings: Of each referee.
    """

    run: str
    settings: AuditSettings
    pairs: Sequence[Pair]
    looks: Sequence[Look]
    partings: Sequence[Parting]

    @property
    def step(self) -> int | None:
        """The first step from which on the reward and any referee part; None: they do not."""
        return min((each.step for each in self.partings if each.step is not None), default=None)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.step is None:
            return "No alarm: no referee falls while the reward rises."
        names = [each.referee for each in self.partings if each.step is not None]
        return (
            f"From step {self.step} on the reward and the referees part: "
            f"{', '.join(names)} of {len(self.partings)}."
        )

    def curves(self) -> dict[str, list[Interval]]:
        """Means over the languages at each look: the reward, the referees, what was counted."""
        langs = [pair.lang for pair in self.pairs]

        def means(values: Sequence[Sequence[float]]) -> list[Interval]:
            return [bootstrap_average(by_language(each, langs)) for each in values]

        looks = self.looks
        alone = [Interval(look.distinct_words, None, None, len(self.pairs)) for look in looks]
        return {
            REWARD: means([look.reward for look in looks]),
            **{n: means([look.referees[n] for look in looks]) for n in looks[0].referees},
            **{n: means([look.measures[n] for look in looks]) for n in looks[0].measures},
            "kl": means([look.kl for look in looks]),
            "distinct_words": alone,
        }


def as_json(report: Report) -> dict[str, Any]:
    """For programs: verdict, means with intervals, differences; texts are in ``step-N.json``."""

    def ends(interval: Interval) -> dict[str, float | None]:
        return {"mean": interval.mean, "low": interval.low, "high": interval.high}

    def difference(each: Difference) -> dict[str, Any]:
        both = {REWARD: ends(each.reward), "referee": ends(each.referee)}
        return {"step": each.step, "since": each.since, "parts": each.parts, **both}

    return {
        "run": report.run,
        "step": report.step,
        "verdict": report.verdict,
        "texts": len(report.pairs),
        "settings": report.settings.model_dump(),
        "steps": [look.step for look in report.looks],
        "means": {name: list(map(ends, each)) for name, each in report.curves().items()},
        "referees": {
            each.referee: {
                "step": each.step,
                "differences": list(map(difference, each.differences)),
            }
            for each in report.partings
        },
        "civilly": __version__,
    }


def write_report(report: Report, run: Path) -> None:
    """Writes ``audit.json``, the page and its main plot into ``audit/`` of a run folder.

    Raises:
        MissingExtraError: If Jinja is not installed.
        DataError: If they cannot be written.
    """
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / JSON_FILE, as_json(report))
    write_bytes(folder / PLOT_FILE, standing_alone(main_plot(report)).encode())
    write_bytes(folder / PAGE_FILE, page(report).encode())


def main_plot(report: Report) -> str:
    """The reward beside all referees."""
    curves = report.curves()
    shown = [Curve(REWARD, curves[REWARD])]
    shown += [Curve(name, curves[name]) for name in report.looks[0].referees]
    return curves_plot([look.step for look in report.looks], shown, report.step)


def standing_alone(plot: str) -> str:
    """A plot as a file of its own, with the style and ground that the page would give it."""
    style = f"<style>{plot_style()}{_asset('page.css')}svg {{ background: var(--card); }}</style>"
    head, end, rest = plot.partition(">")
    return head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + end + style + rest


def page(report: Report) -> str:
    """The page; a content security policy forbids all but its own style and script.

    Raises:
        MissingExtraError: If Jinja is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise MissingExtraError("The audit's page", "report", str(error.name)) from error
    curves, steps = report.curves(), [look.step for look in report.looks]
    style, script = page_style() + _asset("page.css"), _asset("page.js")
    small = [
        (name, meaning, Markup(small_plot(steps, Curve(name, curves[name]), report.step)))
        for name, meaning in MEANINGS.items()
    ]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("page.html.jinja")).render(
        report=report,
        curves={name: curves[name] for name in (REWARD, *report.looks[0].referees)},
        main=Markup(main_plot(report)),
        small=small,
        languages={pair.lang: language(pair.lang).name for pair in report.pairs},
        data=Markup(script_json(examples(report))),
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; "
        f"script-src '{content_hash(script)}'; img-src data:; base-uri 'none'; form-action 'none'",
        version=__version__,
    )


def examples(report: Report) -> Mapping[str, Any]:
    """The fixed texts with the outputs of every look, for the page's script."""
    return {
        "texts": [
            {"text": pair.toxic, "lang": pair.lang, "references": list(pair.neutral)}
            for pair in report.pairs
        ],
        "looks": [
            {
                "step": look.step,
                "outputs": look.outputs,
                "scores": {
                    name: [round(value, 3) for value in values]
                    for name, values in {REWARD: look.reward, **look.referees}.items()
                },
            }
            for look in report.looks
        ],
    }


def _asset(name: str) -> str:
    return (files("civilly.train.audit") / name).read_text(encoding="utf-8")
