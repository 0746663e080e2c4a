"""A search over adapters and hyper-parameters of the embedded model, by recipes/sweep.toml.

Usage: python benchmarks/sweep.py [--data ../shared/data] [--run runs/sweep]

Goes on with the sweep in the run folder, if there is one; writes results/sweep.md and its plots.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from statistics import fmean

from civilly import registry
from civilly.data.corpus.build import build_corpus
from civilly.data.pairs import Pair, data_folder
from civilly.data.recipe_table import read_recipe
from civilly.leaderboard.tables import short
from civilly.pipeline import Toolbox
from civilly.score.intervals import bootstrap_mean
from civilly.train.finetuning import tuning_pairs
from civilly.train.recipe import SftRecipe
from civilly.train.run_folder import CONFIG_FILE
from civilly.train.sweep.report import SweepReport, markdown, plots, standing_alone
from civilly.train.sweep.run import Workplace, run_sweep
from civilly.train.sweep.study import trial_folder
from civilly.train.trainer import VALIDATIONS_FILE
from civilly.types import Text

HERE = Path(__file__).parent
RECIPE = HERE.parent / "recipes" / "sweep.toml"
PLOTS = HERE / "results" / "sweep"

LIMITS = """What this shows, and what not: trials are cut so short that a search fits into an hour
on one CPU core. That is enough to show the tool at work, not to choose a recipe for thousands of
pairs (`recipes/tuned.toml`). Each setting was trained once, from one seed, and judged on few
sentences: where the interval of a difference from the best holds 0, the two cannot be told apart,
and a setting whose bar is not longer than its stroke cannot be told from one that does nothing."""


def course(report: SweepReport, run: Path) -> str:
    """How the complete trials went from their first validation to their last."""
    folders = [trial_folder(run, each.name) for each in report.found if each.state == "complete"]
    validations = [
        [json.loads(line) for line in (folder / VALIDATIONS_FILE).read_text("utf-8").splitlines()]
        for folder in folders
    ]
    parts = []
    for name in ("STA", "SIM", "J"):
        first, last = (fmean(fmean(v[at][name]) for v in validations) for at in (0, -1))
        parts.append(f"{name} {short(first)} → {short(last)}")
    fell = sum(fmean(v[-1]["J"]) < fmean(v[0]["J"]) for v in validations)
    copying = sum(fmean(v[-1]["SIM"]) > 0.8 and fmean(v[-1]["J"]) < 0.1 for v in validations)
    wrecked = sum(fmean(v[-1]["SIM"]) < 0.3 for v in validations)
    return (
        f"From the first validation to the last, J fell in {fell} of the {len(folders)} complete "
        f"trials (means: {', '.join(parts)}). {copying} ended as near copies of their input (SIM "
        f"above .8, J below .1), {wrecked} with a SIM below .3. Pairs share most of their words, "
        "so copying comes before rewriting: the highest J of a trial this short can be that of a "
        "model that does not copy yet. The winner is therefore no recommendation; a search that "
        "is to choose a recipe needs trials that get past the copying, of hundreds of steps each."
    )


def validation_note(pairs: list[Pair], suite_name: str) -> str:
    """What J is measured on, and what it is of doing nothing and of the human references."""
    suite = registry.create("score", suite_name, Toolbox(None, {}))
    inputs = [Text(pair.toxic, pair.lang) for pair in pairs]
    references = [list(pair.neutral) for pair in pairs]
    copied = bootstrap_mean(suite.score(inputs, [pair.toxic for pair in pairs], references))
    human = bootstrap_mean(suite.score(inputs, [pair.neutral[0] for pair in pairs], references))
    languages = ", ".join(f"{lang} {n}" for lang, n in Counter(p.lang for p in pairs).items())
    return (
        f"J over {len(pairs)} held-out sentences ({languages}) of the `tune` part of "
        f"MultiParaDetox and of the authored pairs. On them, the unchanged input has J {copied}, "
        f"the first human reference J {human}."
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--run", type=Path, default=Path("runs", "sweep"))
    options = parser.parse_args()
    data, content = data_folder(options.data), read_recipe(RECIPE)
    report = run_sweep(
        content,
        Workplace(data, options.run),
        resume=True,
        progress=lambda line: print(line, file=sys.stderr),
    )
    recipe = SftRecipe.parse(report.sweep.base, "the recipe")
    held = tuning_pairs(build_corpus(report.sweep.base, data).dev, data, recipe.validation)
    note = validation_note(held, recipe.validation.suite)
    config = json.loads((options.run / "trials" / report.found[0].name / CONFIG_FILE).read_text())
    trained = {name: sum(counts.values()) for name, counts in config["examples"].items()}
    sources = " and ".join(f"{n} {name}" for name, n in trained.items())
    head = f"Each trial trains on {sources} pairs, from no adapter. {note}\n\n{LIMITS}\n\n"
    head += f"{course(report, options.run)}\n"
    body = markdown(report, "benchmarks/results/sweep").split("\n", 2)[2]
    (HERE / "results" / "sweep.md").write_text(f"{head}\n{body}", "utf-8")
    PLOTS.mkdir(exist_ok=True)
    for name, plot in plots(report).items():
        (PLOTS / f"{name}.svg").write_text(standing_alone(plot), "utf-8")


if __name__ == "__main__":
    main()
