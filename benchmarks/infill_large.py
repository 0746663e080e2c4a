"""A published coder in the holes: Qwen2.5-Coder-1.5B with its own FIM prompt, as it comes.

Usage: CIVILLY_THREADS=1 taskset -c 0 python benchmarks/infill_large.py [--data DATA] [--rows 5]

As benchmarks/infill.py, on the languages that the large model knows, beside deletion and the
embedded model's `infill`. Then what the coder wrote into the holes, before anything was chosen:
nothing, past its end, code, another script. Needs the extra `large`. Writes
results/infill_large.md.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from civilly.detect.scripts import script_of, scripts_of_language
from civilly.methods import fim_middles
from civilly.methods.holes import Gap
from civilly.types import Generation
from infill import DELETE, INFILL, Setting, measured, section
from rewriting import RESULTS, first_of_each, held_out, held_out_authored

LANGUAGES = ("en", "es", "de", "fr", "it", "ru", "uk", "zh", "ja", "ar")
CODER = Setting("Qwen2.5-Coder-1.5B-Instruct, its own FIM prompt, untrained", engine="large")
CODE = re.compile(r"[{}<>=;\\|`#]|//|\(\)|\b(?:def|return|import|class|function|var|print)\b")
ASSISTANT = re.compile(r"\b(?:AI|assistant|language model|I am an?|As an?)\b")


@dataclass
class Watched:
    """Counts what is written into holes; its `ask` stands in for `ask_middles`.

    Attributes:
        counts: How many middles of each kind, and ``all`` of them.
        examples: Some middles of each kind.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def ask(self, engine: Any, form: Any, gaps: Sequence[Gap], *rest: Any, **how: Any) -> Any:
        """As `civilly.methods.fim_middles.ask_middles`."""
        found = fim_middles.ask_middles(engine, form, gaps, *rest, **how)
        for gap, generations in zip(gaps, found, strict=True):
            for generation in generations:
                self._count(gap, generation)
        return found

    def _count(self, gap: Gap, generation: Generation) -> None:
        for kind in ("all", *kinds(generation, gap)):
            self.counts[kind] += 1
            seen = self.examples.setdefault(kind, [])
            if len(seen) < 6 and generation.text not in seen:
                seen.append(generation.text)


def kinds(generation: Generation, gap: Gap) -> list[str]:
    """What is odd about a middle."""
    text = generation.text
    scripts = {script_of(character) for character in text} - {None}
    odd = {
        "nothing": not text.strip(),
        "did not stop": not generation.finished,
        "code or markup": bool(CODE.search(text)),
        "speaks as an assistant": bool(ASSISTANT.search(text)),
        "another script": bool(scripts - scripts_of_language(gap.lang)),
        "says what was cut": text.strip().casefold() == gap.cut.strip().casefold(),
    }
    return [kind for kind, is_so in odd.items() if is_so]


def middles(watched: Watched) -> list[str]:
    """The table of what stood in the holes."""
    total = watched.counts["all"]
    lines = [
        "## What the coder writes into holes",
        "",
        f"{total} middles for detected and gold spans, before any choice. A middle that did not "
        "stop was cut at its limit.",
        "",
        "| kind | share | such as |",
        "|---|---|---|",
    ]
    for kind, count in watched.counts.most_common():
        shown = ", ".join(f"`{' '.join(each.split())[:40]}`" for each in watched.examples[kind])
        shown = shown.replace("|", "\\|") if kind not in ("all", "nothing") else ""
        lines.append(f"| {kind} | {count / total:.0%} | {shown} |")
    return [*lines, ""]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=5, help="the most rows a language")
    arguments = parser.parse_args()
    rows = held_out(arguments.data) + held_out_authored()
    rows = first_of_each([r for r in rows if r.text.lang in LANGUAGES], arguments.rows)
    from civilly.methods.fillers import fim

    watched = Watched()
    lines = [
        f"n = {len(rows)} sentences of the `eval` part, at most {arguments.rows} in each of "
        f"{len(LANGUAGES)} languages; means over the sentences, as in the ablation of `infill`. "
        "Every filler chooses among its fillings and the deletion.",
        "",
    ]
    for title, gold in (("Detected spans", False), ("Gold spans", True)):
        outcomes = measured((DELETE, INFILL), rows, gold=gold)
        fim.ask_middles = watched.ask
        outcomes |= measured((CODER,), rows, gold=gold)
        fim.ask_middles = fim_middles.ask_middles
        lines += section(title, outcomes, rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "infill_large.md").write_text("\n".join([*lines, *middles(watched)]), "utf-8")


if __name__ == "__main__":
    main()
