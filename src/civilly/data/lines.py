"""Plain text: one row per line, no header."""

from __future__ import annotations

import re

from civilly.data.table import Table
from civilly.data.values import as_text

COLUMN = "toxic_sentence"
"""Name of the one column, so that lines become a file of the shared task without more ado."""
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def read_lines(text: str) -> Table:
    """One row per line; only LF and CRLF end a line, an empty line is an empty row."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if lines and all(line.endswith("\r") for line in lines[: max(1, len(lines) - 1)]):
        lines = [line.removesuffix("\r") for line in lines]
    return Table([COLUMN], [{COLUMN: line} for line in lines], "lines")


def format_lines(table: Table, column: str) -> str:
    """One line per row, of one column; a line break inside a value becomes a space."""
    return "".join(one_line(as_text(row.get(column))) + "\n" for row in table.rows)


def one_line(text: str) -> str:
    """``text`` with every line break replaced by a space."""
    return _LINE_BREAK.sub(" ", text)
