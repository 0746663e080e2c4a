"""The methods side by side on dev pairs that nothing was trained on.

Usage: python benchmarks/rewriting.py [--data DATA] [--methods duplicate delete prompt tuned]

Same rows for all methods, the ``eval`` part of the dev pairs (`civilly.data.split`).
Writes results/rewriting.md, and outputs as TSV under --outputs.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from civilly import registry
from civilly.data.pairs import read_authored, read_pairs
from civilly.data.split import Part, dev_part
from civilly.data.values import short
from civilly.languages import CODES
from civilly.pipeline import Detoxifier, Toolbox
from civilly.score.intervals import Interval, bootstrap_mean
from civilly.types import Rewrite, Text

RESULTS = Path(__file__).parent / "results"
AUTHORED = Path(__file__).parent.parent / "recipes" / "authored_pairs"


@dataclass(frozen=True)
class Row:
    """One held-out pair."""

    text: Text
    references: list[str]


def held_out(data: Path, part: Part = "eval") -> list[Row]:
    """A part of the dev pairs."""
    return [
        Row(Text(pair.toxic, pair.lang), list(pair.neutral))
        for pair in read_pairs(data / "parallel" / "multiparadetox_dev.jsonl.gz")
        if dev_part(pair.id) == part
    ]


def summary(scored: dict[str, Scored], rows: Sequence[Row]) -> str:
    """Methods × languages: the mean product, without intervals."""
    languages = sorted({r.text.lang for r in rows}, key=CODES.index)
    chosen = {c: [i for i, r in enumerate(rows) if r.text.lang == c] for c in languages}
    lines = [
        "| method | " + " | ".join(languages) + " | mean |",
        "|---" * (len(languages) + 2) + "|",
    ]
    for method, s in scored.items():
        means = [_mean_of(chosen[c], s.product) for c in languages]
        average = sum(m.mean for m in means) / len(means)
        cells = [short(m.mean) for m in means] + [f"**{short(average)}**"]
        lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    sizes = [len(chosen[c]) for c in languages]
    lines += ["", f"n = {min(sizes)}–{max(sizes)} pairs a language."]
    return "\n".join(lines) + "\n"


def first_of_each(rows: Sequence[Row], most: int) -> list[Row]:
    """At most ``most`` rows a language, the same for every method."""
    seen: Counter[str] = Counter()
    chosen = []
    for row in rows:
        seen[row.text.lang] += 1
        if seen[row.text.lang] <= most:
            chosen.append(row)
    return chosen


def held_out_authored(part: Part = "eval") -> list[Row]:
    """A part of the pairs written for this project (six languages)."""
    return [
        Row(Text(pair.toxic, pair.lang), list(pair.neutral))
        for pair in read_authored(AUTHORED)
        if dev_part(pair.id) == part
    ]


@dataclass(frozen=True)
class Scored:
    """Every number of one method, per row."""

    outputs: list[str]
    changed: list[float]
    before: list[float]
    after: list[float]
    chrf: list[float]
    similarity: list[float]
    fluency: list[float]

    @property
    def product(self) -> list[float]:
        """Non-toxicity · similarity to the reference · fluency."""
        rows = zip(self.after, self.similarity, self.fluency, strict=True)
        return [(1 - p) * s * f for p, s, f in rows]


def run(method: str, rows: Sequence[Row], limit: int | None) -> Scored:
    """Rewrites and scores the rows with one method."""
    results = Detoxifier(method, n_candidates=limit).rewrite(
        [r.text.text for r in rows], [r.text.lang for r in rows]
    )
    return scored_rewrites(results, rows)


def scored_rewrites(results: Sequence[Rewrite], rows: Sequence[Row]) -> Scored:
    """Scores what a pipeline made of the rows."""
    texts, references = [r.text for r in rows], [r.references for r in rows]
    outputs = [r.rewritten for r in results]
    tools = Toolbox(None, {})
    scores = {
        name: registry.create("score", name, tools).score(texts, outputs, references)
        for name in ("chrf", "similarity", "fluency")
    }
    return Scored(
        outputs,
        [float(r.changed) for r in results],
        [r.before.p_toxic for r in results],
        [r.after.p_toxic for r in results],
        **scores,
    )


def report(scored: dict[str, Scored], rows: Sequence[Row]) -> str:
    """A table per language, and who wins the product."""
    tools = Toolbox(None, {})
    names = ("civility", "chrf", "similarity", "fluency")
    signatures = [registry.create("score", name, tools).signature for name in names]
    lines = [f"Signatures: `{'` `'.join(signatures)}`", ""]
    languages = sorted({r.text.lang for r in rows}, key=CODES.index)
    lines += [
        "| lang | method | changed | p(toxic) before → after | chrF to reference "
        "| similarity to reference | fluency | product |",
        "|---|---|---|---|---|---|---|---|",
    ]
    wins = dict.fromkeys(scored, 0)
    for lang in languages:
        chosen = [i for i, row in enumerate(rows) if row.text.lang == lang]
        best = ("", -1.0)
        for method, s in scored.items():
            pick = partial(_mean_of, chosen)
            product = pick(s.product)
            best = max(best, (method, product.mean), key=lambda item: item[1])
            lines.append(
                f"| {lang} (n={len(chosen)}) | {method} | {pick(s.changed).mean:.0%} "
                f"| {short(pick(s.before).mean)} → {pick(s.after)} | {pick(s.chrf)} "
                f"| {pick(s.similarity)} | {pick(s.fluency)} | **{product}** |"
            )
        wins[best[0]] += 1
    won = ", ".join(f"{method} {count}" for method, count in wins.items())
    lines += ["", f"Best product per language: {won} of {len(languages)}.", ""]
    lines += difference(scored, rows, languages)
    return "\n".join(lines) + "\n"


def _mean_of(chosen: Sequence[int], values: Sequence[float]) -> Interval:
    return bootstrap_mean([values[i] for i in chosen])


def difference(
    scored: dict[str, Scored], rows: Sequence[Row], languages: Sequence[str]
) -> list[str]:
    """Paired differences of the product: tuned minus each baseline."""
    if "tuned" not in scored:
        return []
    baselines = [m for m in scored if m != "tuned"]
    lines = [
        "Paired difference of the product, `tuned` minus …",
        "",
        "| lang | " + " | ".join(baselines) + " |",
        "|---" * (len(baselines) + 1) + "|",
    ]
    for lang in languages:
        cells = []
        for method in baselines:
            deltas = [
                scored["tuned"].product[i] - scored[method].product[i]
                for i, row in enumerate(rows)
                if row.text.lang == lang
            ]
            cells.append(str(bootstrap_mean(deltas)))
        lines.append(f"| {lang} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--methods", nargs="*", default=["duplicate", "delete", "prompt", "tuned"])
    parser.add_argument("--n-candidates", type=int)
    parser.add_argument("--rows", type=int, default=1_000, help="the most rows a language")
    parser.add_argument("--outputs", type=Path)
    parser.add_argument("--name", default="rewriting")
    arguments = parser.parse_args()
    sections, tables = [], []
    for title, rows in (
        ("Nine languages with human pairs (TextDetox 2024 dev, the `eval` part)",
         held_out(arguments.data)),
        ("Six languages with pairs written for this project (the `eval` part; small)",
         held_out_authored()),
    ):  # fmt: skip
        rows = first_of_each(rows, arguments.rows)
        scored = {m: run(m, rows, arguments.n_candidates) for m in arguments.methods}
        tables.append(summary(scored, rows))
        sections.append(f"## {title}\n\n{report(scored, rows)}")
        if arguments.outputs:
            write_outputs(arguments.outputs, scored, rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{arguments.name}_summary.md").write_text("\n".join(tables), "utf-8")
    (RESULTS / f"{arguments.name}.md").write_text("\n".join(sections), "utf-8")


def write_outputs(folder: Path, scored: dict[str, Scored], rows: Sequence[Row]) -> None:
    """One TSV a method, appended, to read by eye."""
    folder.mkdir(parents=True, exist_ok=True)
    for method, s in scored.items():
        with (folder / f"{method}.tsv").open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            for row, output, b, a in zip(rows, s.outputs, s.before, s.after, strict=True):
                writer.writerow(
                    [row.text.lang, f"{b:.2f}", f"{a:.2f}", row.text.text, output,
                     row.references[0]]
                )  # fmt: skip


if __name__ == "__main__":
    main()
