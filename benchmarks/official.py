"""Rewrites the 9,000 official inputs through the command line and describes the result.

Usage: python benchmarks/official.py [--method infill] [--data ../shared/data] [--output FILE]

Writes results/official.md, or official_METHOD.md: per language how many outputs changed, p(toxic)
before and after, similarity to the input; and checks that the file is a valid submission.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from civilly.data.io import read_table
from civilly.data.pairs import read_inputs
from civilly.languages import CODES
from civilly.pipeline import Toolbox
from civilly.score.intervals import bootstrap_mean
from civilly.select.rerank import levenshtein_similarity
from civilly.types import Text

RESULTS = Path(__file__).parent / "results"
COLUMNS = ["toxic_sentence", "neutral_sentence", "lang"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--method", help="default: that of civilly rewrite")
    parser.add_argument("--output", type=Path, help="default: runs/official/out.tsv or METHOD.tsv")
    arguments = parser.parse_args()
    method = arguments.method
    target = arguments.output or Path("runs", "official", f"{method or 'out'}.tsv")
    source = arguments.data / "inputs" / "textdetox2025_test.tsv"
    target.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    command = [sys.executable, "-m", "civilly", "rewrite", str(source), "-o", str(target)]
    command += ["--method", method] if method else []
    if not target.exists():
        subprocess.run([*command, "--resume"], check=True)
    seconds = time.perf_counter() - began
    inputs, submission = read_inputs(source), read_table(target)
    outputs = submission.rows
    valid = (
        submission.columns == COLUMNS
        and inputs == [Text(row["toxic_sentence"], row["lang"]) for row in outputs]
        and all(row["neutral_sentence"].strip() for row in outputs)
    )
    detector = Toolbox(None, {}).detector
    before = detector.detect(inputs)
    after = detector.detect([Text(r["neutral_sentence"], r["lang"]) for r in outputs])
    lines = [
        f"{len(outputs):,} rows, {'valid' if valid else 'NOT VALID'}: same rows, same order, no "
        "empty output.",
        "",
        "| lang | changed | p(toxic) before → after | still p ≥ .5 | similarity to input |",
        "|---|---|---|---|---|",
    ]
    if seconds > 60:
        lines[0] += f" {len(outputs) / seconds:.1f} sentences/s in this run."
    for lang in CODES:
        chosen = [i for i, row in enumerate(outputs) if row["lang"] == lang]
        count: Counter[str] = Counter()
        for i in chosen:
            count["changed"] += outputs[i]["neutral_sentence"] != outputs[i]["toxic_sentence"]
            count["toxic"] += after[i].p_toxic >= 0.5
        similar = [
            levenshtein_similarity(outputs[i]["toxic_sentence"], outputs[i]["neutral_sentence"])
            for i in chosen
        ]
        lines.append(
            f"| {lang} (n={len(chosen)}) | {count['changed'] / len(chosen):.0%} "
            f"| {bootstrap_mean([before[i].p_toxic for i in chosen])} → "
            f"{bootstrap_mean([after[i].p_toxic for i in chosen])} "
            f"| {count['toxic'] / len(chosen):.0%} | {bootstrap_mean(similar)} |"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"official{'_' + method if method else ''}.md").write_text(
        "\n".join(lines) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main()
