"""What rounding the embedded model to eight bits costs, with and without smoothing.

Usage: taskset -c 0 python benchmarks/quantisation.py [--data DATA] [--work FOLDER]

Greedy answers of the shipped adapter, alone (no deletion, no selection), to the ``tune`` part of
the dev pairs and of the pairs written for this project; nothing was trained on them. Speed is
processor time on one core. Writes results/quantisation.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from civilly.engines.embedded import read_folder
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.score.chrf import Chrf
from civilly.score.intervals import bootstrap_mean
from civilly.types import GenerationOptions
from contestants import ROUNDED, prepare
from rewriting import RESULTS, Row, first_of_each, held_out, held_out_authored

FORMS = {
    "float32": "ct2-float32-trimmed",
    "int8, rounded as it is": f"ct2-{ROUNDED}-trimmed",
    "int8, smoothed (the default)": "ct2-int8-trimmed",
}
MOST = 24
"""Texts of each language."""


def answers(folder: Path, rows: list[Row]) -> tuple[list[str], float]:
    """Greedy answers and the processor seconds they took."""
    model = read_folder(folder, threads=1)
    prompts = [tuned_prompt(row.text.text, row.text.lang) for row in rows]
    model.generate(prompts[:1], GenerationOptions())
    began = time.process_time()
    made = model.generate(prompts, GenerationOptions())
    return [generations[0].text for generations in made], time.process_time() - began


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, help="where model forms are kept between runs")
    options = parser.parse_args()
    rows = first_of_each([*held_out(options.data, "tune"), *held_out_authored("tune")], MOST)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        prepare(work, set(FORMS.values()))
        found = {name: answers(work / form, rows) for name, form in FORMS.items()}
        sizes = {name: (work / form / "model.bin").stat().st_size for name, form in FORMS.items()}
    metric = Chrf()
    references = [row.references for row in rows]
    inputs = [row.text for row in rows]
    scores = {name: metric.score(inputs, made, references) for name, (made, _) in found.items()}
    exact, exact_time = found["float32"]
    lines = [
        f"n = {len(rows)} texts in 15 languages, at most {MOST} in each. `{metric.signature}`",
        "",
        "| weights | file | same as float32 | chrF to the reference | less float32's | speed |",
        "|---|---|---|---|---|---|",
    ]
    for name, (made, seconds) in found.items():
        same = sum(a == b for a, b in zip(made, exact, strict=True)) / len(rows)
        less = [a - b for a, b in zip(scores[name], scores["float32"], strict=True)]
        lines.append(
            f"| {name} | {sizes[name] / 1e6:.0f} MB | {same:.0%} | {bootstrap_mean(scores[name])} "
            f"| {'–' if name == 'float32' else bootstrap_mean(less)} "
            f"| {exact_time / seconds:.2f} |"
        )
    (RESULTS / "quantisation.md").write_text("\n".join([*lines, ""]), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
