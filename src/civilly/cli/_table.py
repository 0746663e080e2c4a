"""Tables of plain text: aligned columns, no lines."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.data.values import short


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, each as wide as its widest cell; the header is the first line."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def p_value(p: float) -> str:
    """A p-value with three digits: ``.021``, ``<.001``."""
    return "<.001" if p < 0.001 else short(p)
