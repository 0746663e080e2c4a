"""Writes BENCHMARKS.md and the table in README.md from what the other scripts left in results/.

Usage: python benchmarks/assemble.py
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
SECTIONS = (
    (
        "Rewriting: the methods side by side",
        "rewriting.md",
        "benchmarks/rewriting.py --methods duplicate delete tuned",
    ),
    (
        "Decoding and selection: quality against speed",
        "decoding.md",
        "benchmarks/decoding.py",
    ),
    ("The 9,000 official inputs", "official.md", "benchmarks/official.py"),
    ("Published systems and ours", "leaderboard.md", "benchmarks/leaderboard.py"),
    ("Outputs read by eye", "../notes/reading.md", None),
    ("Scoring", "scoring.md", "benchmarks/scoring.py"),
    ("Detection", "detection.md", "benchmarks/detection.py"),
    ("The trimmed model", "trimming.md", "benchmarks/trimming.py"),
    ("Rounding to eight bits", "quantisation.md", "benchmarks/quantisation.py"),
    ("Search over adapters and hyper-parameters", "sweep.md", "benchmarks/sweep.py"),
    ("Engines", "engines.md", "benchmarks/engines.py"),
    ("Start-up and size", "startup.md", "benchmarks/startup.py"),
)
HEAD = """# Benchmarks

Made by `make bench` (each section names its script) and put together by
`benchmarks/assemble.py`; do not edit by hand. Quality figures are means with 95 % bootstrap
intervals (1,000 resamples). Speed figures hold for one run on one machine: read the ratios. Texts
quoted here are toxic by nature.
"""


def demoted(text: str) -> str:
    """A result's Markdown without its own title, headings one level down."""
    text = re.sub(r"\A# .*\n+", "", text.strip())
    return re.sub(r"^(#+) ", r"#\1 ", text, flags=re.MULTILINE)


def update_readme(path: Path) -> None:
    """Puts the summary of the rewriting benchmark between the README's markers."""
    table = (HERE / "results" / "rewriting_summary.md").read_text("utf-8").strip()
    begin, end = "<!-- table: begin -->", "<!-- table: end -->"
    head, rest = path.read_text("utf-8").split(begin)
    path.write_text(f"{head}{begin}\n{table}\n{end}{rest.split(end)[1]}", "utf-8")


def main() -> None:
    """Command line."""
    parts = [HEAD]
    for title, name, script in SECTIONS:
        path = HERE / "results" / name
        if path.exists():
            source = f"`python {script}`\n\n" if script else ""
            parts.append(f"## {title}\n\n{source}{demoted(path.read_text('utf-8'))}\n")
    update_readme(HERE.parent / "README.md")
    (HERE.parent / "BENCHMARKS.md").write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main()
