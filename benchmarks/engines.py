"""Compares engines and precisions on the same sentences, each in a process of its own.

Usage: python benchmarks/engines.py [--data ../shared/data] [--n 192] [--common 48]
       [--seconds 120] [--only NAME …] [--work runs/engines]
       python benchmarks/engines.py --large [--adapter runs/tuned_large_second/adapter] [--n 24]
       [--common 8] …

Every contestant answers the same prompts (those of the method `tuned`, its adapter merged),
greedily: sentences per second alone and in batches, start-up, peak memory, outputs. All ratios are
on the first --common sentences, which all contestants answer; the quick ones also answer --n. What
is done stays in --work, and a second call goes on from there. Writes results/engines.md.

With --large they run the large model and one adapter, in the nine languages that the model knows:
results/engines_large.md. It needs civilly[large] and 3 GB of disk in --work, beside what the engine
builds in the cache. llama.cpp comes with `pip install -c constraints.txt xllamacpp`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from civilly import registry
from civilly.languages import CODES
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.model.adapter import adapter_digest
from civilly.pipeline import Toolbox
from civilly.score.intervals import Interval, bootstrap_mean
from civilly.types import Prompt
from contestants import LIGHT, Answer, LineUp, prepare
from contestants_large import LARGE, machine
from contestants_large import prepare as prepare_large
from rewriting import Row, held_out, held_out_authored

RESULTS = Path(__file__).parent / "results"
METRICS = ("civility", "similarity", "fluency")
ALONE = 8
"""Sentences that are answered one at a time."""


def line_up(arguments: argparse.Namespace) -> LineUp:
    """Who is compared."""
    return LARGE if arguments.large else LIGHT


def chosen_rows(arguments: argparse.Namespace) -> list[Row]:
    """``--n`` held-out pairs of the line-up's languages, drawn with seed 0."""
    rows = [*held_out(arguments.data), *held_out_authored()]
    random.Random(0).shuffle(rows)
    languages = line_up(arguments).languages
    known = [row for row in rows if not languages or row.text.lang in languages]
    return known[: arguments.n]


def peak_mb() -> float:
    """The most memory that this process has held, in MB; read from Linux's ``/proc``.

    Not ``ru_maxrss``: a child begins with its parent's.
    """
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def best_batch(
    answer: Answer, prompts: Sequence[Prompt], sizes: Sequence[int], most_seconds: float
) -> dict[str, Any]:
    """Tries batch sizes until one is clearly slower than the best, or time is up."""
    best: dict[str, Any] = {"rate": 0.0}
    tried: dict[str, float] = {}
    began = time.perf_counter()
    for size in sizes:
        if tried and time.perf_counter() - began > most_seconds:
            break
        start, used = time.perf_counter(), time.process_time()
        outputs = answer(prompts, size)
        rate = tried[str(size)] = len(prompts) / (time.perf_counter() - start)
        used = (time.process_time() - used) / len(prompts)
        sys.stderr.write(f"  batch size {size or 'its own'}: {rate:.2f} sentences/s\n")
        if rate > best["rate"]:
            best = {"rate": rate, "size": size, "outputs": outputs, "peak_mb": peak_mb(),
                    "cpu_s": used}  # fmt: skip
        elif rate < 0.8 * best["rate"]:
            break
    return {**best, "tried": tried}


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs one contestant in this process."""
    contestant = line_up(arguments).contestants[name]
    rows = chosen_rows(arguments)
    prompts = [tuned_prompt(row.text.text, row.text.lang) for row in rows]
    began = time.perf_counter()
    answer = contestant.open(arguments.work / contestant.form, arguments.threads)
    answer(prompts[:1], 1)
    run: dict[str, Any] = {"start_s": time.perf_counter() - began}
    began = time.perf_counter()
    for prompt in prompts[:ALONE]:
        answer([prompt], 1)
    run["alone"] = min(ALONE, len(prompts)) / (time.perf_counter() - began)
    sys.stderr.write(f"  alone: {run['alone']:.2f} sentences/s\n")
    run |= best_batch(answer, prompts[: arguments.common], contestant.sizes, arguments.seconds)
    if not contestant.slow:
        began = time.perf_counter()
        run["outputs"] = answer(prompts, run["size"])
        run["rate_all"] = len(prompts) / (time.perf_counter() - began)
        run["peak_mb"] = peak_mb()
    return run


def scored(run: dict[str, Any], rows: Sequence[Row]) -> dict[str, list[float]]:
    """Civility, similarity to the reference, fluency and their product, per output."""
    rows = rows[: len(run["outputs"])]
    texts, references = [row.text for row in rows], [row.references for row in rows]
    tools = Toolbox(None, {})
    scores = {
        name: registry.create("score", name, tools).score(texts, run["outputs"], references)
        for name in METRICS
    }
    scores["product"] = [a * b * c for a, b, c in zip(*scores.values(), strict=True)]
    return scores


def speed_table(runs: dict[str, dict[str, Any]], common: int, of: LineUp) -> list[str]:
    """One line a contestant, all on the same sentences."""
    default = runs.get(of.default)
    lines = [
        f"Same {common} sentences for all, best batch size of those tried.",
        "",
        "| engine | batch size (tried) | sentences/s, batch | default is faster | "
        f"sentences/s, alone | start (s) | peak memory (MB) | same output as {of.exact} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, run in runs.items():
        exact = runs.get(of.contestants[name].exact)
        same = "–"
        if exact and exact is not run:
            pairs = zip(run["outputs"][:common], exact["outputs"][:common], strict=True)
            same = f"{sum(a == b for a, b in pairs) / common:.0%}"
        ratio = f"{default['rate'] / run['rate']:.2f} ×" if default else "–"
        size = f"{run['size']} ({', '.join(run['tried'])})" if run["size"] else "its own"
        lines.append(
            f"| {name} | {size} | {run['rate']:.2f} | {ratio} | {run['alone']:.2f} "
            f"| {run['start_s']:.2f} | {run['peak_mb']:.0f} | {same} |"
        )
    return lines


def goal_lines(runs: dict[str, dict[str, Any]], n: int, of: LineUp) -> list[str]:
    """The ratios that have a goal, and the rates on all sentences."""
    lines = []
    for name, goal in of.goals.items():
        if name in runs and of.default in runs:
            ratio = runs[of.default]["rate"] / runs[name]["rate"]
            verdict = "reached" if ratio >= goal else "missed"
            lines.append(f"- {ratio:.1f} × {name} (goal {goal:g} ×: {verdict})")
    rates = [f"{name} {run['rate_all']:.2f}" for name, run in runs.items() if "rate_all" in run]
    if rates:
        lines.append(f"- Sentences/s on all {n} sentences: {'; '.join(rates)}.")
    return lines


def cost_line(runs: dict[str, dict[str, Any]]) -> str:
    """Processor time, which other work on the machine changes less than the rates."""
    costs = "; ".join(f"{name} {run['cpu_s']:.1f}" for name, run in runs.items())
    return f"- Processor seconds a sentence, in batches, all cores together: {costs}."


def quality_table(runs: dict[str, dict[str, Any]], of: LineUp) -> list[str]:
    """Scores of the plain outputs, and paired differences to one contestant on the same rows."""
    tools = Toolbox(None, {})
    signatures = [registry.create("score", name, tools).signature for name in METRICS]
    lines = [
        "Outputs as the model gives them: no choice among candidates, no deletion to fall back on.",
        f"Signatures: `{'` `'.join(signatures)}`.",
        "",
        f"| engine | n | {' | '.join(METRICS)} | product | product minus {of.quality} |",
        "|---|---|---|---|---|---|---|",
    ]
    exact = runs[of.quality]["scores"]["product"] if of.quality in runs else None
    for name, run in runs.items():
        scores = run["scores"]
        cells = [str(bootstrap_mean(scores[key])) for key in (*METRICS, "product")]
        if exact is None or name == of.quality:
            difference = "–"
        else:
            pairs = zip(scores["product"], exact, strict=False)  # as far as both have answered
            difference = _signed(bootstrap_mean([a - b for a, b in pairs]))
        lines.append(f"| {name} | {len(run['outputs'])} | {' | '.join(cells)} | {difference} |")
    return lines


def _signed(interval: Interval) -> str:
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def report(runs: dict[str, dict[str, Any]], rows: Sequence[Row], arguments: Any) -> str:
    """The whole section."""
    of = line_up(arguments)
    codes = f" ({', '.join(of.languages)})" if of.languages else ""
    head = (
        f"{len(rows)} held-out pairs over {len(of.languages or CODES)} languages{codes} (seed 0), "
        f"greedy, {of.model}, {arguments.threads} threads, each engine in its own process, one "
        "after the other on the same machine."
    )
    parts = [
        [head],
        *([[f"Adapter `{adapter_digest(arguments.adapter)}`. {machine()}"]]
          if arguments.large else []),
        speed_table(runs, min(arguments.common, len(rows)), of),
        ["The default engine, `" + of.default + "`, answers per second:", "",
         *goal_lines(runs, len(rows), of), *([cost_line(runs)] if arguments.large else [])],
        quality_table(runs, of),
    ]  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="engines of the large model")
    parser.add_argument("--adapter", type=Path, default=Path("runs/tuned_large_second/adapter"),
                        help="of the large model")  # fmt: skip
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n", type=int, help="sentences for the quick contestants")
    parser.add_argument("--common", type=int, help="sentences for all contestants")
    parser.add_argument("--seconds", type=float, default=120,
                        help="after so many, a contestant tries no other batch size")  # fmt: skip
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="*", choices=[*LIGHT.contestants, *LARGE.contestants])
    parser.add_argument("--work", type=Path, default=Path("runs/engines"))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    of = line_up(arguments)
    arguments.n = arguments.n or of.n
    arguments.common = min(arguments.common or of.common, arguments.n)
    arguments.output = arguments.output or RESULTS / of.output
    arguments.only = list(of.contestants) if arguments.only is None else arguments.only
    others = [name for name in arguments.only if name not in of.contestants]
    if others:
        parser.error(f"--large tells apart: {', '.join(others)}")
    return arguments


def result_of(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a contestant measured, from the work folder or by running it now."""
    key = f"{arguments.n}-{arguments.common}-{arguments.threads}"
    path = arguments.work / f"{name.replace(' ', '_')}-{key}.json"
    if not path.exists():
        sys.stderr.write(f"{name}\n")
        command = [sys.executable, __file__, "--worker", name]
        command += ["--large"] if arguments.large else []
        for option in ("data", "n", "common", "seconds", "threads", "work"):
            command += [f"--{option}", str(getattr(arguments, option))]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        run = json.loads(output.strip().splitlines()[-1])
        run["scores"] = scored(run, chosen_rows(arguments))
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(run, ensure_ascii=False), "utf-8")
        partial.replace(path)
    return dict(json.loads(path.read_text("utf-8")))


def main() -> None:
    """Runs what is missing and writes the report."""
    arguments = parsed()
    if arguments.worker:
        run = measure(arguments.worker, arguments)
        sys.stdout.write("\n" + json.dumps(run) + "\n")
        return
    forms = {line_up(arguments).contestants[name].form for name in arguments.only}
    if arguments.large:
        arguments.work /= f"large-{adapter_digest(arguments.adapter)}"
    arguments.work.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    if arguments.large:
        prepare_large(arguments.work, forms, arguments.adapter)
    else:
        prepare(arguments.work, forms)
    runs = {name: result_of(name, arguments) for name in arguments.only}
    rows = chosen_rows(arguments)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(report(runs, rows, arguments), "utf-8")
    sys.stderr.write(f"wrote {arguments.output} after {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
