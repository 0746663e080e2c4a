"""What became of two synthetic sets, ten rows of each to read, and how refusals are found.

``python benchmarks/synthetic.py --sets runs/detoxify runs/threads``
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

from civilly.synth.folder import ACCEPTED_FILE, REJECTED_FILE, REPORT_FILE, SPENT_FILE, read_rows
from civilly.synth.labelled_refusals import measure, read_labelled_answers

RESULT = Path(__file__).parent / "results" / "synthetic.md"
LABELLED = Path(__file__).parent.parent / "recipes" / "refusals"
SHOWN = 10
WARNING = "> **Contains toxic language**, quoted so that filters can be judged. Not for display."


def section(folder: Path) -> list[str]:
    """One set: rates by language, what each filter took by language, and rows to read."""
    report = json.loads((folder / REPORT_FILE).read_text("utf-8"))
    spent = json.loads((folder / SPENT_FILE).read_text("utf-8"))
    accepted, rejected = (read_rows(folder / name) for name in (ACCEPTED_FILE, REJECTED_FILE))
    langs = list(report["languages"])
    lines = [
        f"## {report['direction']}",
        "",
        f"`{report['model']}`, prompts `{report['prompt']}`, "
        f"temperature {report['temperature']:g}, "
        f"{report['n']} candidate(s): {report['texts']} asked, {report['accepted']} rows accepted, "
        f"{report['rejected']} rejected; {spent['prompt_tokens']:,} tokens read, "
        f"{spent['answer_tokens']:,} written."
        + ("" if report["complete"] else " **Unfinished**: stopped before all were asked for."),
        "",
        f"| | {' | '.join(langs)} | all |",
        "|---" * (len(langs) + 2) + "|",
        _row("asked", [report["languages"][lang]["texts"] for lang in langs]),
        _row("accepted", [report["languages"][lang]["accepted"] for lang in langs]),
    ]
    for each in report["filters"]:
        if each["failed"]:
            lines.append(_row(each["name"], [each["languages"].get(lang, 0) for lang in langs]))
    lines += ["", "A row that several filters refuse is counted at the first.", ""]
    for lang, found in report.get("diversity", {}).items():
        told = ", ".join(f"{k} {v:.2f}" for k, v in found.items() if isinstance(v, float))
        lines.append(f"- {lang}: {found['rows']} rows; {told}")
    for title, rows in (("Accepted", accepted), ("Rejected", rejected)):
        lines += ["", f"### {title}: ten drawn at random (seed 0)", "", *_drawn(rows)]
    return lines


def _row(name: str, numbers: list[int]) -> str:
    return f"| {name} | {' | '.join(map(str, numbers))} | {sum(numbers)} |"


def _drawn(rows: list[dict[str, Any]]) -> list[str]:
    chosen = random.Random(0).sample(rows, min(SHOWN, len(rows)))
    lines = ["| lang | toxic | civil | refused by |", "|---|---|---|---|"]
    for row in chosen:
        cells = (row["toxic"] or row.get("answer", ""), row["neutral"][0])
        shown = [" ".join(text.split())[:240].replace("|", "\\|").replace("<", "&lt;")
                 for text in cells]  # fmt: skip
        against = ", ".join(row.get("rejected_by", ()))
        lines.append(f"| {row['lang']} | {shown[0]} | {shown[1]} | {against} |")
    return lines


def refusals() -> list[str]:
    """Precision and recall of refusals on labelled answers, the part that was never looked at."""
    found = [each for each in measure(read_labelled_answers(LABELLED), 0.5)
             if each["part"] == "held"]  # fmt: skip
    lines = ["## Refusals found, on labelled answers", "",
             "`civilly synth refusals recipes/refusals`, the part `held`.", "",
             "| lang | answers | precision | recall |", "|---|---|---|---|"]  # fmt: skip
    for each in found:
        numbers = ["" if each[k] is None else f"{each[k]:.2f}" for k in ("precision", "recall")]
        lines.append(f"| {each['lang']} | {each['rows']} | {' | '.join(numbers)} |")
    return lines


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path, nargs="+", required=True)
    parser.add_argument("--notes", type=Path, default=RESULT.parent.parent / "notes/synthetic.md")
    chosen = parser.parse_args()
    lines = [WARNING, "", *chosen.notes.read_text("utf-8").splitlines()]
    for folder in chosen.sets:
        lines += ["", *section(folder)]
    RESULT.write_text("\n".join([*lines, "", *refusals()]) + "\n", "utf-8")


if __name__ == "__main__":
    main()
