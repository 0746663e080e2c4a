"""How long one call takes from a warm cache, and what an installation weighs.

Usage: python benchmarks/startup.py

Writes results/startup.md: medians of wall time, each beside an empty Python process of this run.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from importlib.metadata import distribution, requires
from pathlib import Path

from packaging.requirements import Requirement

RESULTS = Path(__file__).parent / "results"
REPEATS = 7
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "civilly --help": [sys.executable, "-m", "civilly", "--help"],
    "civilly detect TEXT": [sys.executable, "-m", "civilly", "detect", "You are an idiot."],
    "civilly rewrite TEXT": [
        *(sys.executable, "-m", "civilly", "rewrite"),
        "You are a fucking idiot, read the article first.",
    ],
}


def median_seconds(command: list[str]) -> float:
    """Median wall time of ``REPEATS`` runs after one to warm up."""
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def core_distributions() -> set[str]:
    """The package and everything that its core requires, without extras."""
    found: set[str] = set()
    waiting = ["civilly"]
    while waiting:
        name = waiting.pop().lower()
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def size_mb(name: str) -> float:
    """Size of a distribution's installed files in MB."""
    total = 0
    for file in distribution(name).files or []:
        path = Path(str(file.locate()))
        total += path.stat().st_size if path.is_file() else 0
    return total / 1e6


def main() -> None:
    """Command line."""
    seconds = {name: median_seconds(command) for name, command in COMMANDS.items()}
    base = seconds["python -c pass"]
    lines = ["| command | median (s) | × empty Python |", "|---|---|---|"]
    lines += [f"| `{name}` | {s:.2f} | {s / base:.1f} |" for name, s in seconds.items()]
    core = core_distributions()
    heavy = core & {"torch", "transformers"}
    total = sum(size_mb(name) for name in core)
    lines += [
        "",
        f"n = {REPEATS} runs each after one to warm up. A core install is {len(core)} packages, "
        f"{total:.0f} MB, {'with ' + ', '.join(heavy) if heavy else 'without torch'}; the extra "
        "`embedded` adds the packaged model (245 MB).",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "startup.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
