"""What became of a synthetic set: how many rows each filter took, and ten of them to look at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from civilly.data.corpus.licences import NONE_STATED, licence_parts
from civilly.synth.filters import Filter
from civilly.synth.folder import ACCEPTED_FILE, REJECTED_FILE, Run
from civilly.synth.sifting import REASONS, Verdict

SHOWN = 10
"""Rows that a card shows of each filter."""
_LONGEST = 300


def report_of(
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    verdicts: Sequence[Verdict],
    filters: Sequence[Filter],
    *,
    complete: bool,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The report, as JSON can hold it.

    Returns:
        The run; ``use``, ``licences`` of the accepted rows, ``complete``, ``texts``,
        ``candidates``, ``accepted`` and ``languages`` (texts and accepted rows of each); and
        ``filters``, of each: its ``threshold``, how many rows it ``took`` as the first of those
        that speak against them, by language, how many ``failed`` it at all, how many it took
        ``alone``, and of how many it knew nothing (``unknown``).
    """
    accepted = [each for each in verdicts if not each.against]
    texts = Counter(row["lang"] for row in rows)
    kept = Counter(each.sample.lang for each in accepted)
    return {
        **asdict(run),
        "use": run.way.use,
        "licences": sorted({each.sample.licence or NONE_STATED for each in accepted}),
        "complete": complete,
        "texts": len(rows),
        "candidates": sum(len(row["answers"]) for row in rows),
        "accepted": len(accepted),
        "rejected": len(verdicts) - len(accepted),
        "languages": {
            lang: {"texts": texts[lang], "accepted": kept[lang]} for lang in sorted(texts)
        },
        "filters": [
            {"name": each.name, "threshold": each.threshold, "summary": each.summary}
            | _counts(each.name, verdicts)
            for each in filters
        ]
        + [
            {"name": name, "threshold": None, "summary": summary} | _counts(name, verdicts)
            for name, summary in REASONS.items()
        ],
        "notes": list(notes),
    }


def _counts(name: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    took = [each for each in verdicts if each.against and each.against[0] == name]
    return {
        "took": len(took),
        "failed": sum(name in each.against for each in verdicts),
        "alone": sum(each.against == [name] for each in verdicts),
        "unknown": sum(each.values.get(name, 0.0) is None for each in verdicts),
        "languages": dict(sorted(Counter(each.sample.lang for each in took).items())),
    }


def card(report: Mapping[str, Any], run: Run, verdicts: Sequence[Verdict]) -> str:
    """The card of the set as Markdown, with the hub's metadata."""
    accepted = [each for each in verdicts if not each.against]
    parts = {part.lower() for each in report["licences"] for part in licence_parts(each)}
    lines = [
        "---",
        "license:",
        *(f"- {json.dumps(part)}" for part in sorted(parts)),
        "language:",
        *(f"- {json.dumps(lang)}" for lang in report["languages"]),
        "tags:",
        "- text-detoxification",
        "- synthetic",
        "---",
        f"# A synthetic set: {run.direction}",
        "",
        "> **Contains toxic language**, so that models can learn to say the same thing civilly.",
        "> Not for display.",
        "",
        f"{len(accepted)} accepted rows (`{ACCEPTED_FILE}`) of {report['texts']} texts; "
        f"{report['rejected']} rejected candidates (`{REJECTED_FILE}`), each with what speaks "
        "against it.",
        _USES[report["use"]],
        *([] if report["complete"] else ["", "**Unfinished**: the budget ended early."]),
        *(line for each in report["notes"] for line in ("", each)),
        "",
        f"{_made_by(run)} Licences: {', '.join(report['licences']) or 'no rows'}.",
        "",
        "| language | texts | accepted |",
        "|---|---|---|",
        *(
            f"| {lang} | {n['texts']} | {n['accepted']} |"
            for lang, n in report["languages"].items()
        ),
        "",
        "| filter | threshold | took | failed | alone | looks for |",
        "|---|---|---|---|---|---|",
    ]
    for each in report["filters"]:
        least = "" if each["threshold"] is None else f"{each['threshold']:g}"
        numbers = f"{each['took']} | {each['failed']} | {each['alone']}"
        lines.append(f"| {each['name']} | {least} | {numbers} | {each['summary']} |")
    lines += ["", "Of several filters that a row fails, the first in this order took it."]
    lines += [*_diversity(report.get("diversity", {})), ""]
    lines += _examples("Accepted", accepted)
    for each in report["filters"]:
        took = [v for v in verdicts if v.against and v.against[0] == each["name"]]
        lines += _examples(f"Taken out by: {each['name']}", took, each["name"])
    return "\n".join(lines) + "\n"


def _made_by(run: Run) -> str:
    if not run.prompt:
        return f"Published by others; made by `{run.model}`, prompts not known."
    return (
        f"Made by `{run.model}` (engine `{run.engine}`), prompts `{run.prompt}`, temperature "
        f"{run.temperature:g}, seed {run.seed}, {run.n} candidates per text."
    )


def _diversity(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How unlike each other, and unlike real ones, the accepted rows are."""
    columns = ("lang", "rows", "distinct-1", "distinct-2", "self-similarity", "grid: names",
               "grid: pairs of names", "like real ones", "most like a real one")  # fmt: skip
    if not found:
        return []
    lines = ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for lang, row in found.items():
        values = ["" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v)
                  for v in row.values()]  # fmt: skip
        lines.append(f"| {lang} | {' | '.join(values)} |")
    return lines


_USES = {
    "pairs": "Toxic sides are real, civil sides are the model's.",
    "hard_negatives": "**Hard negatives only**: the toxic sides are the model's, and mislead "
    "rewriters that are trained on them (arXiv:2509.08358).",
}


def _examples(title: str, verdicts: Sequence[Verdict], name: str | None = None) -> list[str]:
    """Up to `SHOWN` rows, evenly over all."""
    if not verdicts:
        return []
    step = max(1, len(verdicts) // SHOWN)
    lines = [f"## {title}", "", "| lang | value | text | answer |", "|---|---|---|---|"]
    for each in verdicts[::step][:SHOWN]:
        value = each.values.get(name) if name else None
        told = "" if value is None else f"{value:.2f}"
        made = each.sample.made or each.sample.answer
        lines.append(
            f"| {each.sample.lang} | {told} | {_cell(each.sample.given)} | {_cell(made)} |"
        )
    return [*lines, ""]


def _cell(text: str) -> str:
    shown = " ".join(text.split())
    shown = shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
    return shown.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
