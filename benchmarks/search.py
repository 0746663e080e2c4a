"""Which of the sets of the data folder are like a held-out one, and whether that predicts a gain.

Usage: python benchmarks/search.py FOLDER [--data DATA] [--gains RUNS/gains.json ...]

The reference is the official development set of pairs, nine languages; candidates are all sets of
`parallel`, `toxicity`, `spans` and `clean`. FOLDER gets the page. Then every set with labels or
pairs trains a classifier of equal size, tested on both sides of the reference; trainings of
rewriters on the sets of pairs (`search_training.py`) are read from ``--gains``. Writes
results/search.md.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from civilly.data.corpus.build import DEV_FILE, evaluation_texts
from civilly.data.files import write_bytes
from civilly.data.pairs import data_folder
from civilly.data.values import as_json, short
from civilly.languages import CODES
from civilly.score.intervals import bootstrap_mean
from civilly.synth.search.candidates import DataSet, SetRow, files_of, read_set, read_sets
from civilly.synth.search.columns import Chosen
from civilly.synth.search.page import FILES, render
from civilly.synth.search.ranking import MEASURES
from civilly.synth.search.reading import RowReader
from civilly.synth.search.report import report
from civilly.synth.search.run import (
    CHECKED,
    evaluation_of,
    first_of_each,
    search,
    without_leaks,
)
from measures import auc, table

RESULTS = Path(__file__).parent / "results"
FOLDERS = ("parallel", "toxicity", "spans", "clean")
ROWS = 200
SEED = 0
EACH = 100
"""Texts of each class that a classifier is trained on."""
DRAWS = 3
"""Trainings of each, on other texts; their mean counts."""
RESAMPLES = 500
CLASSIFIERS = "classifiers.json"
_LICENCES = {"CC BY 4.0": "CC-BY-4.0", "CC BY-NC-SA 4.0": "CC-BY-NC-SA-4.0"}


Says = dict[tuple[str, str], dict[str, float]]
"""What a search says of each set in each language: its score, and its similarities by measure."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a search says of a set, and what training on it brought."""

    name: str
    lang: str
    gain: float
    says: dict[str, float]


def licences_of(data: Path) -> dict[str, str]:
    """The licences that SOURCES.md states, by set."""
    text = (data / "SOURCES.md").read_text("utf-8")
    stated = re.findall(r"\*\*(\w+)\.jsonl\.gz\*\*.*?Licence: ([^(;]*?)\s*(?:[(;]|\.\s)", text)
    return {
        name: _LICENCES.get(licence.strip(), licence.strip())
        for name, licence in stated
        if "none" not in licence
    } | dict.fromkeys(("parallel_derived",), "none stated")


def two_classes(rows: Sequence[SetRow], lang: str) -> tuple[list[str], list[str]]:
    """Toxic and civil texts of a set in one language."""
    here = [row for row in rows if row.lang == lang]
    toxic = [r.text for r in here if r.label == 1 or (r.label is None and r.civil)]
    civil = [r.civil[0] if r.civil else r.text for r in here if r.label == 0 or r.civil]
    return [*dict.fromkeys(toxic)], [*dict.fromkeys(civil)]


def classifier_gain(
    reader: RowReader, toxic: Sequence[str], civil: Sequence[str], test: Sequence[Sequence[str]]
) -> float:
    """AUC on the reference of classifiers trained on a set: logistic regression on embeddings."""
    held = np.concatenate([reader.vectors(side) for side in test])
    truth = np.repeat([1, 0], [len(side) for side in test])
    areas = []
    for draw in range(DRAWS):
        chance = np.random.default_rng([SEED, draw])
        rows = [
            reader.vectors([side[i] for i in chance.permutation(len(side))[:EACH]])
            for side in (toxic, civil)
        ]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        model.fit(np.concatenate(rows), np.repeat([1, 0], EACH))
        areas.append(auc(model.decision_function(held), truth))
    return float(np.mean(areas))


def train_classifiers(
    sets: Sequence[DataSet], reference: DataSet, said: Says, kept: Path, gains: dict[str, Any]
) -> None:
    """Fills in the gains that are missing, by set and language; each is written at once.

    None for a set without two classes of `EACH` texts.
    """
    reader = RowReader()
    spoken = [[lang for name, lang in said if name == source.name] for source in sets]
    checked = [
        first_of_each(source.rows, langs, CHECKED * ROWS)
        for source, langs in zip(sets, spoken, strict=True)
    ]
    cleaned = without_leaks(checked, evaluation_of(reference.rows))
    for source, langs, (rows, _) in zip(sets, spoken, cleaned, strict=True):
        for lang in langs:
            key = f"{source.name} {lang}"
            if key in gains:
                continue
            toxic, civil = (side[:ROWS] for side in two_classes(rows, lang))
            test = [side[:ROWS] for side in two_classes(reference.rows, lang)]
            enough = min(len(toxic), len(civil)) >= EACH
            gains[key] = classifier_gain(reader, toxic, civil, test) if enough else None
            write_bytes(kept, (as_json(gains) + "\n").encode())
            print(key, gains[key])


def centred(points: Sequence[Point], value: Callable[[Point], float]) -> Any:
    """Values less the mean of their language: languages differ in how hard they are."""
    values = np.array([value(point) for point in points])
    langs = np.array([point.lang for point in points])
    means = {lang: values[langs == lang].mean() for lang in set(langs)}
    return values - np.array([means[lang] for lang in langs])


def correlation(points: Sequence[Point], measure: str) -> str:
    """Spearman's rho within languages, with its bootstrap interval over sets."""
    there = [point for point in points if measure in point.says]
    counts = defaultdict(int)
    for point in there:
        counts[point.lang] += 1
    there = [point for point in there if counts[point.lang] >= 2]
    if len(there) < 4:
        return "–"
    gains = centred(there, lambda point: point.gain)
    says = centred(there, lambda point: point.says[measure])
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(there), len(there))
        if len(set(rows)) > 2:
            drawn.append(spearmanr(says[rows], gains[rows]).statistic)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    rho = spearmanr(says, gains).statistic
    return f"{short(rho, 2)} [{short(low, 2)}, {short(high, 2)}], n = {len(there)}"


def concordance(points: Sequence[Point], measure: str) -> str:
    """Of two sets of a language, how often the one ranked higher brings more."""
    agreed = [
        float((a.says[measure] > b.says[measure]) == (a.gain > b.gain))
        for i, a in enumerate(points)
        for b in points[i + 1 :]
        if a.lang == b.lang and measure in a.says and measure in b.says
    ]
    return f"{sum(agreed):.0f} of {len(agreed)}" if agreed else "–"


def pair_points(gains: dict[str, Any], said: Says, measure: str) -> list[Point]:
    """A point for each training of a rewriter, the mean over its seeds."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for key, made in gains.items():
        if not key.startswith("copy "):
            found[key.split()[0], made["lang"]].append(float(np.mean(made[measure])))
    return [
        Point(name, lang, float(np.mean(values)), said[name, lang])
        for (name, lang), values in found.items()
        if (name, lang) in said
    ]


def ranking_tables(made: dict[str, Any]) -> str:
    """The ranking of each language."""
    sets = {each["name"]: each for each in made["sets"]}
    parts = []
    for lang in sorted(made["ranking"], key=CODES.index):
        rows = []
        for place, entry in enumerate(made["ranking"][lang], start=1):
            score, source = entry["score"], sets[entry["name"]]
            values = [
                short(entry["measures"][m]["similarity"], 2) if m in entry["measures"] else ""
                for m in MEASURES
            ]
            ends = f"[{short(score['low'], 2)}, {short(score['high'], 2)}]"
            rows.append(
                [
                    f"{place} ({entry['rank'][0]}–{entry['rank'][1]})",
                    f"`{entry['name']}`",
                    f"{short(score['similarity'], 2)} {ends}",
                    *values,
                    entry["kind"],
                    entry["texts"],
                    sum(source["leaks"].values()),
                    source["licence"],
                ]
            )
        head = ["rank", "set", "alike", *MEASURES, "kind", "texts", "leaks", "licence"]
        parts.append(f"### {lang}\n\n{table(head, rows)}\n")
    return "\n".join(parts)


def label_section(points: Sequence[Point]) -> str:
    """What classifiers trained on each set are worth, beside the ranking."""
    rows = [[m, correlation(points, m), concordance(points, m)] for m in ("score", *MEASURES)]
    ordered = sorted(points, key=lambda p: (CODES.index(p.lang), -p.says["score"]))
    each = [[p.lang, f"`{p.name}`", short(p.says["score"]), short(p.gain)] for p in ordered]
    return "\n".join(
        [
            f"Logistic regression on sentence embeddings, {EACH} texts of each class, mean of "
            f"{DRAWS} draws; AUC on both sides of the reference. Spearman's ρ of values less the "
            "mean of their language, bootstrap over sets; of two sets of one language, how often "
            "the one ranked higher brings more.",
            "",
            table(["ranked by", "ρ with the AUC", "pairs of sets"], rows),
            "",
            table(["lang", "set", "alike", "AUC on the reference"], each),
            "",
        ]
    )


def pair_section(gains: dict[str, Any], said: Says) -> str:
    """What rewriters trained on each set are worth, beside the ranking."""
    rows = []
    for lang in ("en", "ru"):
        trained = [
            key for key in gains if not key.startswith("copy ") and gains[key]["lang"] == lang
        ]
        trained.sort(key=lambda key: -said.get((key.split()[0], lang), {"score": 0.0})["score"])
        for key in trained:
            name, made = key.split()[0], gains[key]
            best = gains[trained[0]]
            against = [a - b for a, b in zip(made["reading"], best["reading"], strict=True)]
            difference = "" if key == trained[0] else str(bootstrap_mean(against))
            rows.append(
                [
                    lang,
                    f"`{name}`",
                    key.split()[1],
                    short(said[name, lang]["score"]) if (name, lang) in said else "–",
                    bootstrap_mean(made["reading"]),
                    difference,
                    bootstrap_mean(made["chrf"]),
                    f"{np.mean(made['copies']):.0%}",
                ]
            )
        if f"copy {lang}" in gains:
            copy = gains[f"copy {lang}"]
            cells = [bootstrap_mean(copy["reading"]), "", bootstrap_mean(copy["chrf"]), "100%"]
            rows.append([lang, "the text itself", "", "", *cells])
    head = ["lang", "set", "seed", "alike", "J, `reading`", "difference to the first", "chrF"]
    lines = [table([*head, "copies"], rows), ""]
    for measure in ("reading", "chrf"):
        points = pair_points(gains, said, measure)
        for ranked_by in ("score", "edits", "told"):
            lines.append(
                f"- {measure} by {ranked_by}: ρ {correlation(points, ranked_by)}; "
                f"{concordance(points, ranked_by)} pairs of sets in order."
            )
    return "\n".join(lines) + "\n"


def stored(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the folder holds of the report and of the classifiers' gains."""
    made, gains = (
        json.loads((folder / name).read_text("utf-8")) if (folder / name).exists() else {}
        for name in (FILES[1], CLASSIFIERS)
    )
    return made, gains


def searched(data: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report of the search and the classifiers' gains; what the folder holds is taken."""
    found, kept = folder / FILES[1], folder / CLASSIFIERS
    made, gains = stored(folder)
    if made and all(f"{name} {lang}" in gains for name, lang in says(made)):
        return made, gains
    reference = read_set(data / DEV_FILE, Chosen(), ROWS, SEED, {})
    files = [p for p in files_of([data / f for f in FOLDERS]) if p != data / DEV_FILE]
    sets, failed = read_sets(files, Chosen(), ROWS, SEED, licences_of(data))
    if not made:
        held_out = evaluation_texts(data, None)
        result = search(reference, sets, ROWS, SEED, held_out=held_out, failed=failed)
        made = report(result)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / FILES[0], render(result).encode())
        write_bytes(found, (as_json(made) + "\n").encode())
    train_classifiers(sets, reference, says(made), kept, gains)
    return made, gains


def main() -> None:
    """Searches, trains the classifiers and writes the page of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--gains", type=Path, nargs="*", default=[])
    parser.add_argument("--as-far-as-done", action="store_true", help="Compute nothing new.")
    given = parser.parse_args()
    data = data_folder(given.data)
    if given.as_far_as_done:
        made, classifiers = stored(given.folder)
    else:
        made, classifiers = searched(data, given.folder)
    said = says(made)
    points = [
        Point(name, lang, gain, said[name, lang])
        for (name, lang) in said
        if (gain := classifiers.get(f"{name} {lang}")) is not None
    ]
    gains: dict[str, Any] = {}
    for path in given.gains:
        gains |= json.loads(path.read_text("utf-8"))
    write_bytes(RESULTS / "search.md", page(made, points, gains, said).encode())


def says(made: dict[str, Any]) -> Says:
    """The score and all similarities of each set in each language."""
    return {
        (entry["name"], lang): {"score": entry["score"]["similarity"]}
        | {m: values["similarity"] for m, values in entry["measures"].items()}
        for lang, entries in made["ranking"].items()
        for entry in entries
    }


def page(
    made: dict[str, Any],
    points: Sequence[Point],
    gains: dict[str, Any],
    said: Says,
) -> str:
    """The Markdown of the results."""
    left = "; ".join(f"`{name}`: {why}" for name, why in made["left_out"].items())
    parts = [
        "# Sets like ours\n",
        f"{len(made['sets'])} candidates against {sum(made['reference']['texts'].values())} toxic "
        f"sides of the development set, up to {ROWS} texts of each and language.\n",
        "## Does the ranking predict a classifier?\n",
        label_section(points),
    ]
    if gains:
        parts += ["## Does it predict a rewriter?\n", pair_section(gains, said)]
    parts += ["## The ranking\n", ranking_tables(made), f"Not ranked: {left}.\n"]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
