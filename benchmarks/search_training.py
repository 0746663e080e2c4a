"""Trains the embedded model on equal numbers of pairs of each candidate, and judges it held out.

Usage: python benchmarks/search_training.py RUNS [--seeds 1 2]

What `search.py` compares its ranking with: for every set of pairs in English and Russian that has
enough, a small LoRA on `PAIRS` of them, equal steps; `HELD` pairs of the official development set,
which it repeats nowhere, are rewritten greedily and scored. Writes RUNS/gains.json; a training that
is there is not repeated.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from civilly import registry
from civilly.data.corpus.build import DEV_FILE, evaluation_texts
from civilly.data.files import write_bytes
from civilly.data.leaks import find_leaks
from civilly.data.pair_leaks import leaks_between, strictest
from civilly.data.pairs import Pair, data_folder, read_pairs
from civilly.score.joint import joint
from civilly.toolbox import Toolbox
from civilly.types import Detection, Text

SETS = {
    "en": (
        "paradetox_en",
        "synthetic_pseudoparadetox_en",
        "paradetox_small2021_en",
        "mtdd_en",
        "appdia_en",
    ),
    "ru": ("russe_ru", "rudetoxifier200_ru", "vyhuholl_ru"),
}
"""Sets of pairs by language, of those that have `PAIRS` after leaks are taken out."""
PAIRS = 180
HELD = 200
LONGEST = 300
RECIPE: dict[str, Any] = {
    "adapter": {"rank": 16, "alpha": 32},
    "training": {
        "epochs": 5,
        "batch_size": 12,
        "learning_rate": 6e-4,
        "precision": "auto",
        "save_steps": 1000,
    },
}
LICENCE = "for measuring only"


def held_out(data: Path, lang: str) -> list[Pair]:
    """The same pairs for every candidate."""
    dev = [pair for pair in read_pairs(data / DEV_FILE) if pair.lang == lang]
    random.Random(0).shuffle(dev)
    return dev[:HELD]


def usable(data: Path, name: str, lang: str) -> list[Pair]:
    """Pairs of a set that repeat no development or official text."""
    rows = read_pairs(data / "parallel" / f"{name}.jsonl.gz")
    dev = [pair for pair in read_pairs(data / DEV_FILE) if pair.lang == lang]
    leaking = set(strictest(leaks_between(rows, dev)))
    texts = [row.toxic for row in rows]
    leaking |= {leak.training for leak in find_leaks(texts, evaluation_texts(data, None))}
    return [
        row
        for number, row in enumerate(rows)
        if number not in leaking
        and not row.split.startswith("overlap")
        and len(row.toxic) <= LONGEST
        and row.neutral
        and row.neutral[0] != row.toxic
    ]


def trained(data: Path, name: str, lang: str, seed: int, runs: Path) -> Path:
    """The adapter of a training on a set."""
    from civilly.train.sft import train_sft

    pairs = runs / f"{name}.jsonl"
    if not pairs.exists():
        rows = [
            {"id": f"{name}-{p.id}", "lang": lang, "toxic": p.toxic, "neutral": list(p.neutral)}
            for p in usable(data, name, lang)
        ]
        write_bytes(pairs, "".join(json.dumps(row) + "\n" for row in rows).encode())
    source = {"name": name, "kind": "pairs", "path": str(pairs), "limit": PAIRS}
    source |= {"licence": LICENCE, "least_overlap": 0.0}
    corpus = {"sources": [source], "licences": [LICENCE], "leaks": "take_out"}
    recipe = {"seed": seed, "corpus": corpus, **RECIPE}
    return train_sft(recipe, data, runs / f"{name}-{seed}", resume=True)


def outputs(adapter: Path, rows: Sequence[Pair]) -> list[str]:
    """What the model writes, greedily; the text itself where it does not end."""
    tools = Toolbox("embedded", {"adapter": str(adapter), "decoding": "greedy", "told": "off"})
    texts = [Text(row.toxic, row.lang) for row in rows]
    nothing = [Detection(0.0, (), ()) for _ in texts]
    made = registry.create("methods", "tuned", tools).rewrite(texts, nothing, 1)
    return [found[0].text if found else text.text for found, text in zip(made, texts, strict=True)]


def scores(rows: Sequence[Pair], made: Sequence[str]) -> dict[str, list[float]]:
    """The reader's J and chrF of each output, and whether it is a copy."""
    texts, references = [Text(r.toxic, r.lang) for r in rows], [list(r.neutral) for r in rows]
    reading = registry.create("score", "reading", Toolbox(None, {}))
    chrf = registry.create("score", "chrf", Toolbox(None, {}))
    return {
        "reading": joint(reading.components(texts, made)),
        "chrf": chrf.score(texts, made, references),
        "copies": [float(row.toxic == text) for row, text in zip(rows, made, strict=True)],
    }


def main() -> None:
    """Trains, rewrites and scores all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sets", nargs="+")
    given = parser.parse_args()
    data = data_folder(given.data)
    given.runs.mkdir(parents=True, exist_ok=True)
    path = given.runs / "gains.json"
    done: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for seed in given.seeds:
        for lang, names in SETS.items():
            rows = held_out(data, lang)
            if f"copy {lang}" not in done:
                done[f"copy {lang}"] = scores(rows, [row.toxic for row in rows])
            for name in names:
                key = f"{name} {seed}"
                if key in done or (given.sets and name not in given.sets):
                    continue
                made = outputs(trained(data, name, lang, seed, given.runs), rows)
                done[key] = {"lang": lang, "outputs": made, **scores(rows, made)}
                write_bytes(path, (json.dumps(done, ensure_ascii=False) + "\n").encode())
                print(key, {m: sum(v) / len(v) for m, v in done[key].items() if m in MEASURES})


MEASURES = ("reading", "chrf", "copies")

if __name__ == "__main__":
    main()
