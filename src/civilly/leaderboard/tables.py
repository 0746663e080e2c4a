"""The board as Markdown, CSV and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from civilly.data.io import format_table
from civilly.data.table import Row, Table
from civilly.data.values import as_json, short
from civilly.languages import NEW_CODES, PARALLEL_CODES
from civilly.leaderboard.comparisons import LEVEL, Comparison
from civilly.leaderboard.runs import MEASURES
from civilly.leaderboard.standings import Board, Cell, Column
from civilly.score.joint import JOINT

FORMAT = 1
"""Version of the JSON file."""
GROUPS = (("AvgP", *PARALLEL_CODES), ("AvgNP", *NEW_CODES))
"""Columns that stand in one Markdown table."""
GAP = "–"


def markdown(board: Board) -> str:
    """Tables for people: J with intervals and ranks, its components, who is better than whom."""
    many = "s" if len(board.systems) > 1 else ""
    lines = [f"{len(board.systems)} system{many}, suite `{board.suite}`.", ""]
    lines += [f"Signature: `{signature}`" for signature in board.signatures if signature]
    lines += [
        "",
        "Rank · mean [95 % bootstrap interval]. Systems of one rank are not significantly worse "
        f"than its best (paired randomisation on shared sentences, p < {short(LEVEL, 2)} after "
        "Holm's correction). AvgP and AvgNP are plain means of nine and six languages. In "
        "brackets: own sentences only, not ranked.",
    ]
    for group in GROUPS:
        present = [board.columns[name] for name in group if name in board.columns]
        if present:
            for measure in MEASURES:
                lines += ["", *_score_table(board, present, measure)]
    for column in board.told:
        lines += ["", *_share_table(board, column)]
    for name in ("AvgP", "AvgNP"):
        if name in board.columns and len(board.columns[name].ranked) > 1:
            lines += ["", *_better(board, board.columns[name])]
    return "\n".join(lines) + "\n"


def _score_table(board: Board, columns: Sequence[Column], measure: str) -> list[str]:
    names = [column.name for column in columns]
    lines = [
        f"### {measure}: {', '.join(names)}",
        "",
        markdown_row(["system", *names]),
        "|---" * (len(names) + 1) + "|",
        markdown_row(["*sentences*", *(str(column.n) for column in columns)]),
    ]
    agreement = [agreement_of(board, name, measure) for name in names]
    if any(value is not None for value in agreement):
        shown = [GAP if value is None else f"ρ {short(value, 2)}" for value in agreement]
        lines.append(markdown_row(["*agreement with people*", *shown]))
    for index, system in enumerate(board.systems):
        cells = [column.cells[measure].get(index) for column in columns]
        if any(cells):
            lines.append(
                markdown_row(
                    [markdown_text(system.name), *(_cell(cell, measure) for cell in cells)]
                )
            )
    return lines


def _share_table(board: Board, column: Column) -> list[str]:
    """J, and what share of the outputs a careful reader would find good, or at fault."""
    lines = [
        f"### What a reader would find, {column.name} ({column.n} shared sentences)",
        "",
        markdown_row(["system", JOINT, *column.shares]),
        "|---" * (len(column.shares) + 2) + "|",
    ]
    for index in column.ranked:
        joint = column.cells[JOINT][index].mean
        cells = [str(mean) for mean in (joint, *(row[index] for row in column.shares.values()))]
        lines.append(markdown_row([markdown_text(board.systems[index].name), *cells]))
    return lines


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a table in Markdown; the cells are markup."""
    return "| " + " | ".join(cells) + " |"


def markdown_text(name: str) -> str:
    """Any text, so that Markdown shows it as it is, on one line."""
    return "".join("\\" + c if c in "|\\`*_<>[]" else c for c in " ".join(name.split()))


def _cell(cell: Cell | None, measure: str) -> str:
    if cell is None:
        return GAP
    mean = str(cell.mean) if measure == JOINT else short(cell.mean.mean)
    if cell.rank is None:
        return f"({mean}, n={cell.mean.n})"
    shown = f"{cell.rank} · {mean}"
    return f"**{shown}**" if cell.rank == 1 else shown


def agreement_of(board: Board, name: str, measure: str) -> float | None:
    """Spearman's correlation of a measure with people in a language, where it is known."""
    return board.agreement.get(name, {}).get(f"spearman_{measure}")


def _better(board: Board, column: Column) -> list[str]:
    """Which systems each system is significantly better than, by J."""
    better: dict[int, list[int]] = {index: [] for index in column.ranked}
    for c in column.comparisons[JOINT]:
        if c.significant:
            winner, loser = (c.first, c.second)[:: 1 if c.difference.mean > 0 else -1]
            better[winner].append(loser)
    cells = column.cells[JOINT]
    order = sorted(column.ranked, key=lambda i: (-cells[i].mean.mean, i))
    title = f"### Significantly better by J, {column.name} ({column.n} shared sentences)"
    lines = [title, "", "| system | is better than |", "|---|---|"]
    for index in order:
        losers = [markdown_text(board.systems[i].name) for i in order if i in better[index]]
        lines.append(
            markdown_row([markdown_text(board.systems[index].name), ", ".join(losers) or GAP])
        )
    return lines


def csv(board: Board) -> bytes:
    """One row per system, column and measure, or share of what a reader would find."""
    columns = ["system", "suite", "column", "measure", "mean", "low", "high", "n", "rank"]
    return format_table(Table(columns, list(_cells(board)), "csv"), "csv")


def _cells(board: Board) -> list[Row]:
    """The scores, and behind those of a column the shares, which have no rank."""
    rows = []
    for column in board.columns.values():
        found = [
            (measure, index, cell.mean, cell.rank)
            for measure in MEASURES
            for index, cell in column.cells[measure].items()
        ]
        found += [
            (share, index, mean, None)
            for share, row in column.shares.items()
            for index, mean in row.items()
        ]
        rows += [
            {
                "system": board.systems[index].name,
                "suite": board.suite,
                "column": column.name,
                "measure": measure,
                "mean": round(mean.mean, 6),
                "low": _rounded(mean.low),
                "high": _rounded(mean.high),
                "n": mean.n,
                "rank": rank,
            }
            for measure, index, mean, rank in found
        ]
    return rows


def _rounded(end: float | None) -> float | None:
    return None if end is None else round(end, 6)


def json(board: Board) -> str:
    """Everything: cells as in `csv`, all comparisons, agreement, signatures."""
    names = [system.name for system in board.systems]
    content = {
        "format": FORMAT,
        "suite": board.suite,
        "signatures": board.signatures,
        "systems": names,
        "agreement": board.agreement,
        "cells": _cells(board),
        "comparisons": [
            {"column": column.name, "measure": measure, **_comparison(c, names)}
            for column in board.columns.values()
            for measure, pairs in column.comparisons.items()
            for c in pairs
        ],
    }
    return as_json(content) + "\n"


def _comparison(c: Comparison, names: Sequence[str]) -> dict[str, Any]:
    difference = {key: _rounded(value) for key, value in asdict(c.difference).items()}
    return {
        "first": names[c.first],
        "second": names[c.second],
        "difference": difference.pop("mean"),
        **difference,
        "p_holm": round(c.p, 6),
        "significant": c.significant,
    }
