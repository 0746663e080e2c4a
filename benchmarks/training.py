"""Steps per second of a training, before and after what makes it quick, and each mend by itself.

Usage: python benchmarks/training.py [--large] [--steps 8] [--seconds 35] [--threads N]
       [--only NAME …] [--work runs/training]

A step reads as many of the recipe's pairs as it says (a causal model, LoRA), goes forward and back
and changes the adapter. `before` asks the output layer for all positions from the longest answer's
beginning on, whose slice has holes, in float32, on memory that is given back and mapped anew; each
mend is then tried alone, and `after` is what the recipe does now. All read the same batches in the
same order from the same weights, each in a process of its own; `before` runs once more at the end:
how far it is from the first says how far to trust the ratios. --seconds bounds each variant: of the
embedded model all are meant to take less than six minutes on two idle cores; with --large, of the
large one instead, up to an hour. What is done stays in --work, and a second call goes on from
there. Writes results/training.md or training_large.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.data.pairs import Pair, read_authored
from civilly.data.recipe_table import read_recipe
from civilly.train.recipe import LARGE, AdapterSettings, SftRecipe
from engines import peak_mb

HERE = Path(__file__).parent
RESULTS = HERE / "results"
RECIPES = {"embedded": "tuned", "large": "tuned_large"}
SEED = 0
SHOWN = 6
"""Operations of a profile that are named."""
UPPER = "upper:20"


@dataclass(frozen=True, slots=True)
class Variant:
    """How a step is computed.

    Attributes:
        says: What it is, for the table.
        output: What the output layer is asked for: ``holes``, ``contiguous`` or ``supervised``.
        keeps_memory: Whether freed memory is kept.
        precision: ``fp32``, ``bf16``, or ``recipe``.
        layers: As ``layers`` of a recipe's table ``[adapter]``, or ``recipe``.
        profiled: Whether one more step is looked into.
    """

    says: str
    output: str = "holes"
    keeps_memory: bool = False
    precision: str = "fp32"
    layers: str = "all"
    profiled: bool = False


VARIANTS = {
    "before": Variant("before: all labelled positions, holes, float32", profiled=True),
    "contiguous": Variant("a slice without holes", output="contiguous"),
    "supervised": Variant("supervised positions only", output="supervised"),
    "memory": Variant("freed memory is kept", keeps_memory=True),
    "bf16": Variant("bfloat16", precision="bf16"),
    "upper": Variant("upper 20 layers alone", layers=UPPER),
    "after": Variant(
        "after: as the recipe is trained now", "supervised", True, "recipe", "recipe", True
    ),
    "again": Variant("before, once more"),
}


def variants_of(model: str) -> list[str]:
    """Those that a model has; the embedded one has fewer layers than `UPPER`."""
    return [name for name in VARIANTS if model == "large" or name != "upper"]


def recipe_of(model: str) -> SftRecipe:
    """The recipe of the shipped adapter."""
    name = RECIPES[model]
    return SftRecipe.parse(read_recipe(HERE.parent / "recipes" / f"{name}.toml"), name)


def batches_of(recipe: SftRecipe, steps: int) -> list[list[Pair]]:
    """What each step reads: like lengths, in an order drawn by `SEED`, of the recipe's pairs.

    Args:
        recipe: Names the sources, of which the distilled ones are read, languages, the longest
            text, and how many pairs a step has.
        steps: How many steps.
    """
    pairs: list[Pair] = []
    for source in recipe.corpus["sources"]:
        if source["kind"] == "distilled":
            wanted = source.get("languages")
            found = read_authored(HERE.parent / source["path"], source["name"])
            pairs += [pair for pair in found if wanted is None or pair.lang in wanted]
    longest = recipe.corpus.get("longest_characters")
    pairs = [pair for pair in pairs if longest is None or len(pair.toxic) <= longest]
    rng, size = random.Random(SEED), recipe.training.batch_size * recipe.training.accumulation
    drawn = sorted(rng.sample(pairs, steps * size), key=lambda pair: len(pair.toxic))
    batches = [drawn[at : at + size] for at in range(0, len(drawn), size)]
    rng.shuffle(batches)
    return batches


def trainable_of(recipe: SftRecipe, variant: Variant, embedded: Path | None = None) -> Any:
    """The base with a fresh adapter, whose output layer is asked as the variant says.

    Returns:
        The trainable model, and ``fp32`` or ``bf16``.
    """
    import torch

    from civilly.train.base_model import load_trainable
    from civilly.train.hardware import computed_in

    precision = recipe.training.precision if variant.precision == "recipe" else variant.precision
    precision = computed_in(precision)
    layers = recipe.adapter.layers if variant.layers == "recipe" else variant.layers
    settings = AdapterSettings(rank=recipe.adapter.rank, alpha=recipe.adapter.alpha, layers=layers)
    torch.manual_seed(SEED)
    made = load_trainable(recipe.base, settings, precision, embedded)
    if variant.output != "supervised":
        made.answers = None
        layer = made.model.get_output_embeddings()
        layer._forward_pre_hooks.clear()  # that of `AnswerPositions`
        if variant.output == "contiguous":
            layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    return made, precision


class Steps:
    """A training that is taken step by step.

    Args:
        made: What is trained.
        precision: ``fp32`` or ``bf16``.
        rate: Learning rate.
    """

    def __init__(self, made: Any, precision: str, rate: float) -> None:
        import torch

        from civilly.train.trainer import answer_loss

        self._made, self._half = made, precision == "bf16"
        self._learnt = [weight for weight in made.model.parameters() if weight.requires_grad]
        self._optimiser = torch.optim.AdamW(self._learnt, lr=rate, weight_decay=0.0)
        self._loss = answer_loss(encoder_decoder=False)
        made.model.train()

    @contextmanager
    def _asked(self, labels: Any) -> Iterator[None]:
        """As `civilly.train.trainer` does it."""
        import torch

        from civilly.train.trainer import due_positions

        answers = self._made.answers
        only = answers.only(due_positions(labels)) if answers else nullcontext()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._half), only:
            yield

    def take(self, batches: Sequence[Mapping[str, Any]]) -> float:
        """One step, of one batch or accumulated ones; the loss before it."""
        import torch

        tokens, total = sum(map(due_in, batches)), 0.0
        for batch in batches:
            inputs = {name: value for name, value in batch.items() if name != "labels"}
            with self._asked(batch["labels"]):
                loss = self._loss(self._made.model(**inputs), batch["labels"], tokens)
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self._learnt, 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        return total


def due_in(batch: Mapping[str, Any]) -> int:
    """Labels of a batch that are tokens of an answer."""
    from civilly.train.trainer import IGNORED

    return int((batch["labels"] != IGNORED).sum())


def profile_of(steps: Steps, batches: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """The operations of one step that take longest, and their shares of its time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        steps.take(batches)
    rows = [(str(row.key), float(row.self_cpu_time_total)) for row in seen.key_averages()]
    total = sum(took for _, took in rows)
    rows.sort(key=lambda row: -row[1])
    return [(name, took / total) for name, took in rows[:SHOWN]]


def measure(model: str, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains one variant in this process: losses, seconds and, of some, a profile.

    The first step, which also sets up what later ones reuse, is not in ``rate``.
    """
    import torch

    from civilly.engines.memory import keep_freed_memory
    from civilly.train.base_model import encode
    from civilly.train.examples import rewriting_examples
    from civilly.train.trainer import collator

    variant, recipe = VARIANTS[name], recipe_of(model)
    torch.set_num_threads(arguments.threads)
    if variant.keeps_memory:
        keep_freed_memory()
    made, precision = trainable_of(recipe, variant, arguments.embedded)
    collate, size = collator(made), recipe.training.batch_size
    todo = [
        [
            collate(encode(rewriting_examples(pairs[at : at + size]), made))
            for at in range(0, len(pairs), size)
        ]
        for pairs in batches_of(recipe, arguments.steps)
    ]
    steps = Steps(made, precision, recipe.training.learning_rate)
    losses: list[float] = []
    seconds: list[float] = []
    for batches in todo:
        began = time.perf_counter()
        losses.append(steps.take(batches))
        seconds.append(time.perf_counter() - began)
        sys.stderr.write(f"  {name}: loss {losses[-1]:.3f}, {seconds[-1]:.2f} s\n")
        if len(seconds) > 1 and sum(seconds) > arguments.seconds:
            break
    peak = peak_mb() if Path("/proc/self/status").exists() else 0.0
    return {
        "losses": losses,
        "seconds": seconds,
        "peak_mb": peak,
        "precision": precision,
        "positions": sum(batch["labels"].numel() for batches in todo for batch in batches),
        "due": sum(due_in(batch) for batches in todo for batch in batches),
        "profile": profile_of(steps, todo[0]) if variant.profiled else [],
    }


def rate_of(run: Mapping[str, Any], steps: int) -> float:
    """Steps per second without the first one, of as many steps as are compared."""
    return float((steps - 1) / sum(run["seconds"][1:steps]))


def speed_table(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line a variant; each is compared with the first on the steps that both have."""
    lines = [
        "| step | format | steps/s | × before | peak memory (MB) | losses |",
        "|---|---|---|---|---|---|",
    ]
    before = runs["before"]
    for name, run in runs.items():
        common = min(len(run["seconds"]), len(before["seconds"]))
        ratio = rate_of(run, common) / rate_of(before, common)
        losses = " ".join(f"{loss:.2f}" for loss in run["losses"][:8])
        lines.append(
            f"| {VARIANTS[name].says} | {run['precision']} "
            f"| {rate_of(run, len(run['seconds'])):.3f} | {ratio:.2f} "
            f"| {run['peak_mb']:.0f} | {losses} |"
        )
    return lines


def difference_line(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """How far the losses are from those before, step by step."""
    before = runs["before"]["losses"]
    parts = []
    for name, run in runs.items():
        pairs = zip(run["losses"], before, strict=False)
        if name != "before":
            parts.append(f"{name} {max(abs(a - b) for a, b in pairs):.4f}")
    return f"Largest difference of a step's loss from `before`: {', '.join(parts)}."


def profile_table(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the profiled steps spend their time on."""
    profiled = {name: run["profile"] for name, run in runs.items() if run["profile"]}
    lines = ["| " + " | ".join(f"{name}: operation | share" for name in profiled) + " |",
             "|" + "---|" * (2 * len(profiled))]  # fmt: skip
    for row in zip(*profiled.values(), strict=False):
        cells = [f"`{operation}` | {share:.0%}" for operation, share in row]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def report(model: str, runs: Mapping[str, Mapping[str, Any]], threads: int) -> str:
    """The whole section."""
    recipe, before = recipe_of(model), runs["before"]
    head = (
        f"`recipes/{RECIPES[model]}.toml`, the {model} model, a fresh LoRA of rank "
        f"{recipe.adapter.rank}, {recipe.training.accumulation} × {recipe.training.batch_size} "
        f"distilled pairs a step (seed {SEED}), {threads} threads, at most "
        f"{len(before['seconds'])} steps, the first not timed. Of {before['positions']} positions "
        f"that may have a label, {before['due']} have one: "
        f"{before['due'] / before['positions']:.0%}."
    )
    parts = [[head], speed_table(runs), [difference_line(runs)],
             ["One more step, in a profile (shares of the processor time):", "",
              *profile_table(runs)]]  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def result_of(model: str, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a variant measured, from the work folder or by running it now."""
    key = f"{model}-{name}-{arguments.steps}-{arguments.threads}"
    path = arguments.work / f"{key}.json"
    if not path.exists():
        command = [sys.executable, __file__, "--worker", name, *(["--large"] * arguments.large)]
        for option in ("steps", "seconds", "threads", "work", "embedded"):
            value = getattr(arguments, option)
            command += [] if value is None else [f"--{option}", str(value)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        run = json.loads(output.strip().splitlines()[-1])
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(run), "utf-8")
        partial.replace(path)
    return dict(json.loads(path.read_text("utf-8")))


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help=f"the base model {LARGE!r}")
    parser.add_argument("--steps", type=int, default=8, help="steps of each variant, at least 2")
    parser.add_argument("--seconds", type=float,
                        help="after so many, a variant takes no further step")  # fmt: skip
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="besides `before`")
    parser.add_argument("--work", type=Path, default=Path("runs/training"))
    parser.add_argument("--embedded", type=Path, help="another folder of the embedded model")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.steps < 2:
        parser.error("the first step is not timed: --steps 2 or more")
    if arguments.seconds is None:
        arguments.seconds = 400.0 if arguments.large else 35.0
    return arguments


def main() -> None:
    """Runs what is missing and writes the report."""
    arguments = parsed()
    model = "large" if arguments.large else "embedded"
    if arguments.worker:
        sys.stdout.write("\n" + json.dumps(measure(model, arguments.worker, arguments)) + "\n")
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    names = variants_of(model)
    if arguments.only is not None:
        names = ["before", *(n for n in names if n in arguments.only and n != "before")]
    runs = {name: result_of(model, name, arguments) for name in names}
    name = "training_large.md" if arguments.large else "training.md"
    output = arguments.output or RESULTS / name
    output.parent.mkdir(exist_ok=True)
    output.write_text(report(model, runs, arguments.threads), "utf-8")
    sys.stderr.write(f"wrote {output} after {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
