"""TSV and CSV, quoted as RFC 4180 says, read without losing a row.

The standard library's `csv` reader is not used for reading: it takes a lone carriage return inside
an unquoted field for the end of a row, and it swallows the rest of the file after one opening quote
that is never closed. Both occur in real comments. Here such a field is read literally and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from civilly.data.table import Problem, Row, Table, name_rows
from civilly.data.values import as_text
from civilly.errors import DataError

_LITERAL_QUOTE = "a quote does not enclose its whole field, so the field was read as it stands"
_SWALLOWED = (
    "a quoted field holds line breaks and column separators; if the file was written without "
    "quoting, rows may have been joined"
)
_SHORT_ROW = "fewer fields than the header, so the missing ones are empty"


def _field_pattern(delimiter: str) -> re.Pattern[str]:
    """A quoted field that ends where a field must end; else everything up to the next separator."""
    end = rf"(?={delimiter}|\r?\n|\r?\Z)"
    return re.compile(rf'"((?:[^"]|"")*+)"{end}|([^{delimiter}\n]*)')


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], set[str]]]:
    """The fields of each record, with the kinds of problem in it."""
    pattern = _field_pattern(delimiter)
    position = 0
    while position < len(text):
        fields: list[str] = []
        problems: set[str] = set()
        while True:
            match = pattern.match(text, position)
            assert match is not None  # the second branch matches the empty string
            position = match.end()
            quoted, plain = match.groups()
            if quoted is not None:
                fields.append(quoted.replace('""', '"'))
                if "\n" in quoted and delimiter in quoted:
                    problems.add(_SWALLOWED)
            else:
                at_end = position == len(text) or text[position] == "\n"
                fields.append(plain.removesuffix("\r") if at_end else plain)
                if plain.startswith('"'):
                    problems.add(_LITERAL_QUOTE)
            if not text.startswith(delimiter, position):
                break
            position += 1
        position += 2 if text.startswith("\r\n", position) else 1
        yield fields, problems


def read_delimited(text: str, delimiter: str, name: str, format_name: str) -> Table:
    """Reads a file with a header.

    Args:
        text: The decoded file; LF or CRLF line ends.
        delimiter: One character.
        name: Name of the file, for messages.
        format_name: Becomes `Table.format`.

    Raises:
        DataError: If a column name occurs twice, or rows have more fields than the header.
    """
    records = _records(text, delimiter)
    columns, _ = next(records, ([], set()))
    _check_header(columns, name)
    rows: list[Row] = []
    problems: list[Problem] = []
    too_long: list[int] = []
    for number, (fields, kinds) in enumerate(records, start=1):
        if len(fields) > len(columns):
            too_long.append(number)
        elif len(fields) < len(columns):
            kinds = kinds | {_SHORT_ROW}
            fields += [""] * (len(columns) - len(fields))
        problems += [Problem(number, kind) for kind in sorted(kinds)]
        rows.append(dict(zip(columns, fields, strict=False)))
    if too_long:
        raise DataError(
            f"{name}: more fields than the {len(columns)} columns of the header "
            f"({', '.join(map(repr, columns))}) in {name_rows(too_long)}.",
            mend="put a field that contains the column separator in double quotes",
        )
    return Table(columns, rows, format_name, problems)


def _check_header(columns: Sequence[str], name: str) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise DataError(
            f"{name}: the header has the column {', '.join(map(repr, twice))} more than once.",
            mend="give every column its own name; a file without a header needs one",
        )


def format_delimited(table: Table, delimiter: str, header: bool = True) -> str:
    """The text of a file; `read_delimited` gives the same rows back.

    Values that are not strings are written as JSON, None as an empty field. Without ``header`` it
    is the continuation of a file.
    """
    special = re.compile(rf'[{delimiter}"\r\n]')

    def record(fields: Sequence[str]) -> str:
        # A record of one empty field would be an empty line, which a reader may skip.
        quote_empty = len(fields) == 1
        return delimiter.join(
            '"' + field.replace('"', '""') + '"'
            if special.search(field) or (quote_empty and not field)
            else field
            for field in fields
        )

    lines = [record(table.columns)] if header and table.columns else []
    lines += [record([as_text(row.get(c)) for c in table.columns]) for row in table.rows]
    return "".join(f"{line}\n" for line in lines)
