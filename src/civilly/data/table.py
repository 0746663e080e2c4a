"""A table: what every file format is read into and written from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Row = dict[str, Any]
"""One row: values by column. Values are strings, except in JSONL and Parquet."""

Spellings = Mapping[str, tuple[Any, str]]
"""By column a value, and how the file spells it where Civilly would spell it otherwise."""

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


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text file is laid out around its rows; a file made from it is laid out alike.

    Attributes:
        mark: Whether it begins with a byte order mark.
        line_end: LF, CRLF, or CR (old Mac).
        last_line_end: Whether its last line ends with a line end, too.
        delimiter: What separates the fields of TSV and CSV; None: what the format's name says.
        preamble: A line before the header that names the delimiter (``sep=;``), as Excel has it.
        quoted: Whether every name of the header is in quotes.
        bad_bytes: Whether it has bytes that are not UTF-8.
    """

    mark: bool = False
    line_end: str = "\n"
    last_line_end: bool = True
    delimiter: str | None = None
    preamble: str = ""
    quoted: bool = False
    bad_bytes: bool = False


@dataclass(frozen=True, slots=True)
class Original:
    """The file that a table was read from, for writing what nobody touched as it was.

    Attributes:
        content: Of a Parquet file its Arrow table; of a text file the spellings of each row.
        rows: For each row of the table its number in the file, from 0.
        columns: For columns of the table that are columns of the file, their name there.
        header: How a TSV or CSV file spells the names of its columns.
        settings: How a Parquet file is written: arguments of its writer.
    """

    content: Any
    rows: Sequence[int]
    columns: Mapping[str, str]
    header: Spellings = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def spelling(self, number: int, column: str, value: object) -> str | None:
        """How the text file spells the value of a row, if it is still that value.

        Args:
            number: Number of the row in the table, from 0.
            column: Column of the table.
            value: Its value now.
        """
        spelt = self.content[self.rows[number]].get(self.columns.get(column))
        return _if_same(spelt, value)

    def name(self, column: str) -> str | None:
        """How the header of the text file spells a column."""
        return _if_same(self.header.get(self.columns.get(column, "")), column)


def _if_same(spelt: tuple[Any, str] | None, value: object) -> str | None:
    same = spelt is not None and (spelt[0] is value or spelt[0] == value)
    return spelt[1] if spelt is not None and same else None


@dataclass(slots=True)
class Table:
    """Rows with named columns.

    Attributes:
        columns: Column names in the order of the file; empty for an empty file.
        rows: One dictionary per row; a JSONL row may lack columns that other rows have.
        format: Name of the format that it was read from, one of `civilly.data.io.FORMATS`.
        problems: What was odd and mended, by row.
        layout: How the file is laid out.
        original: The file itself; None for a table that was made, not read.
        notes: What the user should know about the file as a whole.
    """

    columns: list[str]
    rows: list[Row]
    format: str
    problems: list[Problem] = field(default_factory=list)
    layout: Layout = Layout()
    original: Original | None = None
    notes: list[str] = field(default_factory=list)

    def take(self, numbers: Sequence[int]) -> Table:
        """Some of the rows, as they are in the file.

        Args:
            numbers: Which rows, from 0, in the order wanted.
        """
        original = self.original
        if original is not None:
            original = replace(original, rows=[original.rows[number] for number in numbers])
        return Table(
            self.columns,
            [self.rows[number] for number in numbers],
            self.format,
            layout=self.layout,
            original=original,
        )


def original_of(columns: Sequence[str], content: Sequence[Spellings], **more: Any) -> Original:
    """The original of a table that has just been read from a text file."""
    return Original(content, range(len(content)), {name: name for name in columns}, **more)


def findings(table: Table) -> list[str]:
    """What the user should know about the file: as a whole, and by row."""
    return [*table.notes, *summarize(table.problems)]


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
