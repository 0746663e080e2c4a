"""JSON lines: one object per line."""

from __future__ import annotations

import json

from civilly.data.table import Row, Table
from civilly.data.values import as_json
from civilly.errors import DataError


def read_jsonl(text: str, name: str) -> Table:
    """Reads one object per line; blank lines are not rows.

    Raises:
        DataError: If a line is not a JSON object.
    """
    columns: dict[str, None] = {}
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(
                f"{name}, line {number}: this is not JSON: {error}.",
                mend="write one JSON object per line, without line breaks inside it",
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{name}, line {number}: expected an object, got {line[:60]!r}.",
                mend='write one object per line, for example {"text": "…", "lang": "en"}',
            )
        columns.update(dict.fromkeys(row))
        rows.append(row)
    return Table(list(columns), rows, "jsonl")


def format_jsonl(table: Table) -> str:
    """One object per line; a column that a row lacks is left out of its object."""
    return "".join(
        as_json({column: row[column] for column in table.columns if column in row}) + "\n"
        for row in table.rows
    )
