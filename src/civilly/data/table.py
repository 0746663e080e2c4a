"""A table: what every file format is read into and written from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""One row: values by column. Values are strings, except in JSONL and Parquet."""

SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd in a file that was mended instead of refused.

    Attributes:
        row: Number of the row, from 1, header and line breaks inside quotes not counted.
        what: What is odd and how it was mended, the same words for the same kind of problem.
    """

    row: int
    what: str


@dataclass(slots=True)
class Table:
    """Rows with named columns.

    Attributes:
        columns: Column names in the order of the file; empty for an empty file.
        rows: One dictionary per row; a JSONL row may lack columns that other rows have.
        format: Name of the format that it was read from, one of `civilly.data.io.FORMATS`.
        problems: What was odd and mended, by row.
    """

    columns: list[str]
    rows: list[Row]
    format: str
    problems: list[Problem] = field(default_factory=list)


def summarize(problems: Iterable[Problem]) -> list[str]:
    """One sentence per kind of problem, with the first rows that have it."""
    rows_by_kind: dict[str, list[int]] = {}
    for problem in problems:
        rows_by_kind.setdefault(problem.what, []).append(problem.row)
    return [f"{name_rows(sorted(set(rows)))}: {what}" for what, rows in rows_by_kind.items()]


def name_rows(rows: Sequence[int]) -> str:
    """Names some rows for a message: ``"rows 3, 8, 11"``, at most `SHOWN_ROWS` of them."""
    shown = ", ".join(str(row) for row in rows[:SHOWN_ROWS])
    more = f" and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"
