"""Markdown of how far metrics agree with people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from civilly.data.values import short
from civilly.score.agreement import STATISTICS, Agreement

Found = Mapping[str, Sequence[Agreement]]
"""By what people judged: a row per language, the last one their mean."""


def cell(row: Agreement, statistic: str, intervals: bool = True) -> str:
    """``.41 [.36, .45]``."""
    interval = getattr(row, statistic)
    if interval is None:
        return "–"
    mean = short(interval.mean, 2)
    return f"{mean} [{interval.ends(digits=2)}]" if intervals else mean


def agreement_table(found: Found) -> str:
    """A row per language, a column per target: sentence-level Spearman."""
    lines = ["| | n | " + " | ".join(found) + " |", "|---|---|" + "---|" * len(found)]
    for place, row in enumerate(next(iter(found.values()))):
        cells = [cell(rows[place], "spearman") for rows in found.values()]
        lines.append(f"| {row.lang} | {row.rows} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def means_table(found: Found, title: str) -> str:
    """A row per target: every statistic of the mean of the languages."""
    names = [name.replace("_", " ") for name in STATISTICS]
    lines = [f"| {title} | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for target, rows in found.items():
        cells = [cell(rows[-1], name) for name in STATISTICS]
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def system_table(found: Found) -> str:
    """Spearman over systems per language."""
    rows = next(iter(found.values()))
    lines = ["| | " + " | ".join(row.lang for row in rows) + " |", "|---|" + "---|" * len(rows)]
    for target, of_target in found.items():
        cells = [cell(row, "system_spearman", intervals=False) for row in of_target]
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_agreement(found: Found, path: Path) -> None:
    """Spearman by language and target, for `civilly leaderboard --agreement`."""
    table: dict[str, dict[str, float]] = {}
    for target, rows in found.items():
        for row in rows[:-1]:  # the last is the mean
            if row.spearman is not None:
                table.setdefault(row.lang, {})[f"spearman_{target}"] = round(row.spearman.mean, 3)
    path.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
