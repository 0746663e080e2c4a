"""Plain text: one row per line, no header."""

from __future__ import annotations

import re
from dataclasses import replace

from civilly.data.spellings import NOT_UTF8, mend_row
from civilly.data.table import Layout, Problem, Table, original_of
from civilly.data.values import as_text

COLUMN = "toxic_sentence"
"""Name of the one column, so that lines become a file of the shared task without more ado."""
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def read_lines(text: str, layout: Layout | None = None) -> Table:
    """One row per line, an empty line is an empty row.

    Args:
        text: The decoded file.
        layout: How it is laid out; becomes `Table.layout`. A carriage return at the end of some
            lines belongs to their texts; at the end of all of them, it is part of the line end.
    """
    layout = layout or Layout()
    end = layout.line_end[-1]
    lines = text.split(end)
    if lines[-1] == "":
        lines.pop()
    crlf = bool(lines) and all(line.endswith("\r") for line in lines[: max(1, len(lines) - 1)])
    if end == "\n" and crlf:
        ended = len(lines) if text.endswith("\n") else len(lines) - 1
        lines = [line.removesuffix("\r") for line in lines[:ended]] + lines[ended:]
    layout = replace(layout, line_end=layout.line_end if end == "\r" else "\r\n" if crlf else "\n")
    table = Table([COLUMN], [{COLUMN: line} for line in lines], "lines", layout=layout)
    spellings: list[dict[str, tuple[str, str]]] = [{} for _ in lines]
    if layout.bad_bytes:
        for number, row in enumerate(table.rows):
            if mend_row(row, spellings[number], str):
                table.problems.append(Problem(number + 1, NOT_UTF8))
    table.original = original_of([COLUMN], spellings)
    return table


def format_lines(table: Table, column: str, layout: Layout | None = None, last: bool = True) -> str:
    """One line per row, of one column; what would end a line inside a value becomes a space.

    Args:
        table: What to write.
        column: The column with the lines.
        layout: How to lay it out.
        last: Whether it is the end of the file.
    """
    layout = layout or Layout()
    breaks = re.compile("\r" if layout.line_end == "\r" else r"\r?\n")
    original = table.original if table.format == "lines" else None
    lines = []
    for number, row in enumerate(table.rows):
        value = row.get(column)
        spelt = original.spelling(number, column, value) if original else None
        lines.append(breaks.sub(" ", as_text(value)) if spelt is None else spelt)
    text = layout.line_end.join([*lines, ""])
    return text if layout.last_line_end or not last else text.removesuffix(layout.line_end)


def one_line(text: str) -> str:
    """``text`` with every line break replaced by a space."""
    return _LINE_BREAK.sub(" ", text)
