"""Does filtering synthetic pairs help? Trainings on equal numbers of pairs; synthetic_training.md.

Usage: python benchmarks/synthetic_training.py [--work runs/synthetic] [--seeds 1 2] [--arms NAME …]
       [--readings FILE] [--for-reading FILE]

Of the English texts of `synthetic_pool.py` the embedded model, untrained, learns from `PAIRS` pairs
with the civil side of a model, unfiltered and filtered, and with that of people; same recipe, same
steps. It then rewrites the English pairs of the development set that no training may see, greedily
and without selection, and the outputs are judged. What is trained, rewritten or judged stays in
--work. --for-reading writes outputs to be read blindly; --readings names the JSON file of what
readers said: arm → fault (`civilly.data.readings.FAULTS`) → outputs.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from civilly import registry
from civilly.data.files import write_bytes
from civilly.data.pairs import Pair, data_folder
from civilly.data.readings import FAULTS
from civilly.score.intervals import bootstrap_mean
from civilly.score.joint import joint
from civilly.synth.folder import ACCEPTED_FILE, read_rows
from civilly.toolbox import Toolbox
from civilly.types import Detection, Text
from measures import table
from synthetic_pool import LICENCE, MODEL_LICENCE, Both, filtered, held_out, pool, write_pairs

HERE = Path(__file__).parent
RESULT = HERE / "results" / "synthetic_training.md"
READINGS = HERE / "readings" / "synthetic_training.json"
POOL = 1100
PAIRS = 400
STEPS = 50
BATCH = 8
READ = 60
"""Texts whose outputs are read."""
COPY = "copy"
ARMS = {
    "unfiltered": "synthetic, unfiltered",
    "filtered": "synthetic, filtered",
    "human": "people's",
}
RECIPE: dict[str, Any] = {
    "adapter": {"rank": 16, "alpha": 32, "layers": "upper:9"},
    "training": {
        "epochs": 1,
        "batch_size": BATCH,
        "learning_rate": 6e-4,
        "precision": "bf16",
        "save_steps": 50,
        "stop_after_steps": STEPS,
    },
}
MEASURES = {
    "use": "usable (reader)",
    "good": "good (reader)",
    "chrf": "chrF to references",
    "j": "J (suite `embedded`)",
    "p_toxic": "p(toxic)",
    "unchanged": "unchanged",
}
Scores = dict[str, list[float]]


def pairs_of(arm: str, texts: Sequence[Both], folder: Path) -> list[tuple[str, str, str]]:
    """What an arm learns from: id, toxic and civil side.

    The unfiltered and the people's pairs have the same toxic sides, the filtered ones those that
    the filters leave.

    Raises:
        ValueError: If there are too few.
    """
    if arm == "filtered":
        rows = read_rows(folder / ACCEPTED_FILE)
        found = [(row["source_id"], row["toxic"], row["neutral"][0]) for row in rows]
    else:
        sides = [each.made if arm == "unfiltered" else each.human for each in texts]
        found = [(pair.id, pair.toxic, pair.neutral[0]) for pair in sides]
    if len(found) < PAIRS:
        raise ValueError(f"{arm}: {len(found)} pairs are fewer than {PAIRS}")
    return found[:PAIRS]


def trained(arm: str, seed: int, data: Path, work: Path) -> Path:
    """The adapter of a training; one that is there is not repeated."""
    from civilly.train.sft import train_sft

    licences = [LICENCE, *([MODEL_LICENCE] if arm != "human" else [])]
    source = {"name": arm, "kind": "pairs", "path": str((work / f"{arm}.jsonl").absolute())}
    source |= {"licence": " AND ".join(licences), "detokenise": True, "least_overlap": 0.0}
    corpus = {"sources": [source], "licences": licences, "leaks": "take_out"}
    return train_sft(
        {"seed": seed, "corpus": corpus, **RECIPE}, data, work / f"{arm}-{seed}", resume=True
    )


def outputs(adapter: Path, rows: Sequence[Pair]) -> list[str]:
    """What the model writes, greedily; the text itself where it does not end."""
    tools = Toolbox("embedded", {"adapter": str(adapter), "decoding": "greedy", "told": "off"})
    texts = [Text(row.toxic, row.lang) for row in rows]
    nothing = [Detection(0.0, (), ()) for _ in texts]
    made = registry.create("methods", "tuned", tools).rewrite(texts, nothing, 1)
    return [found[0].text if found else text.text for found, text in zip(made, texts, strict=True)]


def scores(rows: Sequence[Pair], made: Sequence[str]) -> Scores:
    """`MEASURES` and the probability of each fault, of each output."""
    from civilly.detect.by_sentence import open_detector
    from civilly.score.reader import load

    texts, references = [Text(r.toxic, r.lang) for r in rows], [list(r.neutral) for r in rows]
    opinions = load().opinions([row.toxic for row in rows], made)
    suite = registry.create("score", "embedded", Toolbox(None, {}))
    chrf = registry.create("score", "chrf", Toolbox(None, {}))
    found = open_detector().detect([Text(out, "en") for out in made])
    return {
        "use": [each.value for each in opinions],
        "chrf": list(chrf.score(texts, made, references)),
        "j": list(map(float, joint(suite.components(texts, made, references)))),
        "p_toxic": [each.p_toxic for each in found],
        "unchanged": [float(r.toxic.strip() == m.strip()) for r, m in zip(rows, made, strict=True)],
        **{fault: [each.faults[fault] for each in opinions] for fault in FAULTS},
    }


def measured(
    arms: Sequence[str], seeds: Sequence[int], data: Path, work: Path
) -> dict[str, list[dict[str, Any]]]:
    """Outputs and scores by arm, one of each seed."""
    rows = held_out(data)
    found: dict[str, list[dict[str, Any]]] = {}
    for arm in arms:
        for seed in [0] if arm == COPY else seeds:
            path = work / f"{arm}-{seed}.json"
            if not path.exists():
                made = [row.toxic for row in rows]
                if arm != COPY:
                    made = outputs(trained(arm, seed, data, work), rows)
                content = {"outputs": made, **scores(rows, made)}
                write_bytes(path, (json.dumps(content, ensure_ascii=False) + "\n").encode())
            found.setdefault(arm, []).append(json.loads(path.read_text("utf-8")))
    return found


def mean_of(found: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A score of each text, the mean over the seeds."""
    averaged: list[float] = np.mean([each[name] for each in found], axis=0).tolist()
    return averaged


def quality(found: Mapping[str, list[dict[str, Any]]]) -> str:
    """The table of means."""
    body = [
        [name, *(str(bootstrap_mean(mean_of(found[arm], m))) for m in MEASURES)]
        for arm, name in ({COPY: "the text itself"} | ARMS).items()
        if arm in found
    ]
    return table(["pairs", *MEASURES.values()], body)


def differences(found: Mapping[str, list[dict[str, Any]]]) -> str:
    """The table of paired differences."""
    body = []
    for one, other in (("filtered", "unfiltered"), ("human", "unfiltered"), ("human", "filtered")):
        if one in found and other in found:
            cells = []
            for name in MEASURES:
                pairs = zip(mean_of(found[one], name), mean_of(found[other], name), strict=True)
                cells.append(str(bootstrap_mean([a - b for a, b in pairs])))
            body.append([f"{ARMS[one]} − {ARMS[other]}", *cells])
    return table(["difference", *MEASURES.values()], body)


def faults(found: Mapping[str, list[dict[str, Any]]]) -> str:
    """The table of what the reader expects to be wrong, in percent of the outputs."""
    body = [
        [ARMS[arm], *(f"{100 * np.mean(mean_of(found[arm], f)):.0f} %" for f in FAULTS)]
        for arm in ARMS
        if arm in found
    ]
    return table(["pairs", *FAULTS], body)


def read_by_people(path: Path) -> str:
    """The table of what readers said, or that nobody has yet."""
    if not path.exists():
        return "Not read yet."
    counted: dict[str, dict[str, int]] = json.loads(path.read_text("utf-8"))["faults"]
    body = []
    for arm, counts in counted.items():
        n = sum(counts.values())
        low, high = binomtest(counts.get("good", 0), n).proportion_ci(method="wilson")
        good = f"{counts.get('good', 0) / n:.0%} [{100 * low:.0f}, {100 * high:.0f}]"
        body.append([ARMS[arm], n, good, *(f"{counts.get(f, 0) / n:.0%}" for f in FAULTS[1:])])
    return table(["pairs", "n", *FAULTS], body)


def write_for_reading(
    path: Path, rows: Sequence[Pair], found: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Writes what the first seed of each arm made of `READ` texts, one output a line."""
    chosen = sorted(random.Random(0).sample(range(len(rows)), READ))
    lines = [
        {
            "system": arm, "id": rows[place].id, "lang": "en",
            "text": rows[place].toxic, "output": found[arm][0]["outputs"][place],
        }
        for place in chosen
        for arm in ARMS
    ]  # fmt: skip
    write_bytes(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in lines).encode())


def report(
    found: Mapping[str, list[dict[str, Any]]], trained_on: Mapping[str, int], readings: Path
) -> str:
    """The page."""
    n, seeds = len(found[COPY][0]["outputs"]), len(found["human"])
    about = (
        f"The embedded model, untrained, learnt from {PAIRS} English pairs: {STEPS} steps of "
        f"{BATCH}, LoRA of rank 16 in the upper half, {seeds} seed{'s' * (seeds > 1)}. Judged on "
        f"{n} pairs of the development set, parts `eval` and `tune`, that no training saw; "
        "rewritten greedily, without selection. Means over the texts"
        f"{' of the mean over the seeds' * (seeds > 1)}, 95 % bootstrap intervals."
    )
    counted = ", ".join(f"{ARMS[arm]} {count}" for arm, count in trained_on.items())
    return "\n\n".join([
        "# Synthetic pairs: does filtering help?",
        about,
        f"Pairs after the corpus' own checks (copies, duplicates, leaks): {counted}. Unfiltered "
        "and people's pairs have the same toxic sides.",
        quality(found),
        "## Paired differences",
        differences(found),
        "## What the reader expects to be wrong",
        faults(found),
        f"## Read blindly, {READ} texts",
        read_by_people(readings),
    ]) + "\n"  # fmt: skip


def learnt_from(work: Path, seed: int) -> dict[str, int]:
    """How many pairs each arm's training had."""
    found = {}
    for arm in ARMS:
        config = json.loads((work / f"{arm}-{seed}" / "config.json").read_text("utf-8"))
        found[arm] = sum(sum(langs.values()) for langs in config["examples"].values())
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/synthetic"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS])
    parser.add_argument("--readings", type=Path, default=READINGS)
    parser.add_argument("--for-reading", type=Path)
    given = parser.parse_args()
    data, work = data_folder(given.data), given.work
    work.mkdir(parents=True, exist_ok=True)
    if missing := [arm for arm in given.arms if not (work / f"{arm}.jsonl").exists()]:
        texts = pool(data, POOL)
        folder = work / f"set-{POOL}"
        if "filtered" in missing:
            filtered(texts, data, folder)
        for arm in missing:
            write_pairs(work / f"{arm}.jsonl", pairs_of(arm, texts, folder))
    found = measured([COPY, *given.arms], given.seeds, data, work)
    if given.for_reading:
        write_for_reading(given.for_reading, held_out(data), found)
    if set(given.arms) == set(ARMS):
        page = report(found, learnt_from(work, given.seeds[0]), given.readings)
        RESULT.write_text(page, "utf-8")
        print(page)


if __name__ == "__main__":
    main()
