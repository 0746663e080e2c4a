"""TSV and CSV, quoted as RFC 4180 says, read without losing a row.

The standard library's `csv` reader is not used for reading: it takes a lone carriage return inside
an unquoted field for the end of a row, and it swallows the rest of the file after one opening quote
that is never closed. Both occur in real comments. Here such a field is read literally and reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from civilly.data.files import mend_surrogates
from civilly.data.spellings import NOT_UTF8, mend_row
from civilly.data.table import Layout, Problem, Row, Table, name_rows, original_of
from civilly.data.values import as_text
from civilly.errors import DataError

DELIMITERS = {"tsv": "\t", "csv": ","}
"""What separates the fields, by format."""

_DELIMITERS_FOUND = ("\t", ",", ";", "|")
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars"}
_PREAMBLE = re.compile(r'"?sep=([^"\r\n])"?(?:\r\n|\r|\n)', re.IGNORECASE)
_SAMPLE = 65_536
_SAMPLE_ROWS = 200

_LITERAL_QUOTE = "a quote does not enclose its whole field, so the field was read as it stands"
_SWALLOWED = (
    "a quoted field holds line breaks and column separators; if the file was written without "
    "quoting, rows may have been joined"
)
_SHORT_ROW = "fewer fields than the header, so the missing ones are empty"

Record = tuple[list[tuple[str, str]], set[str], str]
"""Fields, each as it is meant and as it is spelt; the kinds of problem; what ends the line."""


def _field_pattern(delimiter: str, line_end: str) -> re.Pattern[str]:
    """A quoted field that ends where a field must end; else everything up to the next separator."""
    between, end = re.escape(delimiter), "\r" if line_end == "\r" else r"\r?\n"
    before = rf"(?={between}|{end}|\r?\Z)"
    return re.compile(rf'"((?:[^"]|"")*+)"{before}|([^{between}{line_end[-1]}]*)')


def _records(text: str, delimiter: str, line_end: str) -> Iterator[Record]:
    pattern, last = _field_pattern(delimiter, line_end), line_end[-1]
    position = 0
    while position < len(text):
        fields: list[tuple[str, str]] = []
        problems: set[str] = set()
        while True:
            match = pattern.match(text, position)
            assert match is not None  # the second branch matches the empty string
            position = match.end()
            quoted, plain = match.groups()
            if quoted is not None:
                fields.append((quoted.replace('""', '"'), match.group()))
                if last in quoted and delimiter in quoted:
                    problems.add(_SWALLOWED)
            else:
                at_end = position == len(text) or text[position] == last
                plain = plain.removesuffix("\r") if at_end else plain
                fields.append((plain, plain))
                if plain.startswith('"'):
                    problems.add(_LITERAL_QUOTE)
            if not text.startswith(delimiter, position):
                break
            position += 1
        # An unquoted last field has swallowed the carriage return of a CRLF.
        begin = position - 1 if text[position - 1 : position + 1] == "\r\n" else position
        position += 2 if text.startswith("\r\n", position) else 1
        yield fields, problems, text[begin:position]


def read_delimited(
    text: str, delimiter: str, name: str, format_name: str, layout: Layout | None = None
) -> Table:
    """Reads a file with a header.

    Args:
        text: The decoded file.
        delimiter: One character, the usual one of the format. Another one is taken if the first
            line names it, or if the header and the rows agree on it.
        name: Name of the file, for messages.
        format_name: Becomes `Table.format`.
        layout: How the file is laid out, as far as it is known; becomes `Table.layout`.

    Raises:
        DataError: If a column name occurs twice, or rows have more fields than the header.
    """
    layout = layout or Layout()
    preamble = _PREAMBLE.match(text)
    if preamble is not None:
        delimiter, text = preamble[1], text[preamble.end() :]
        layout = replace(layout, preamble=preamble.group().rstrip("\r\n"))
        notes = []
    else:
        usual, delimiter = delimiter, find_delimiter(text, delimiter, layout.line_end)
        notes = [f"its columns are separated by {_NAMES[delimiter]}"] if delimiter != usual else []
    records = _records(text, delimiter, layout.line_end)
    header, _, line_end = next(records, ([], set(), ""))
    layout = replace(layout, line_end=line_end or layout.line_end)
    quoted = bool(header) and all(spelt.startswith('"') for _, spelt in header)
    layout = replace(layout, delimiter=delimiter, quoted=quoted)
    write = _field_writer(layout)
    columns = _column_names([mend_surrogates(value) for value, _ in header], name)
    rows: list[Row] = []
    spellings: list[dict[str, tuple[str, str]]] = []
    problems: list[Problem] = []
    too_long: list[int] = []
    for number, (fields, kinds, _) in enumerate(records, start=1):
        if len(fields) > len(columns):
            too_long.append(number)
        elif len(fields) < len(columns):
            kinds = kinds | {_SHORT_ROW}
            fields += [("", "")] * (len(columns) - len(fields))
        problems += [Problem(number, kind) for kind in sorted(kinds)]
        row = {c: value for c, (value, _) in zip(columns, fields, strict=False)}
        spellings.append(_spellings(columns, fields, write))
        if layout.bad_bytes and mend_row(row, spellings[-1], write):
            problems.append(Problem(number, NOT_UTF8))
        rows.append(row)
    if too_long:
        raise DataError(
            f"{name}: more fields than the {len(columns)} columns of the header "
            f"({', '.join(map(repr, columns))}) in {name_rows(too_long)}.",
            mend="put a field that contains the column separator in double quotes"
            + ("; plain texts, one a line: --format lines" if len(columns) == 1 else ""),
        )
    names = {c: (c, spelt) for c, (value, spelt) in zip(columns, header, strict=True)}
    original = original_of(columns, spellings, header=names)
    return Table(columns, rows, format_name, problems, layout, original, notes)


def _spellings(
    columns: Sequence[str], fields: Sequence[tuple[str, str]], write: Callable[[str], str]
) -> dict[str, tuple[str, str]]:
    """The fields that were quoted without need, or not quoted though we would."""
    return {
        column: (value, spelt)
        for column, (value, spelt) in zip(columns, fields, strict=False)
        if spelt != write(value) and _is_whole(spelt)
    }


def _is_whole(spelt: str) -> bool:
    """Whether a field can stand among others: not if it begins with a quote that nothing closes.

    Behind it there may now be another field in quotes, with which it would be read as one.
    """
    return not spelt.startswith('"') or spelt.count('"') % 2 == 0


def _column_names(names: Sequence[str], name: str) -> list[str]:
    """The names in a header; where several are empty, each is called by its number."""
    empty = [not column.strip() for column in names]
    if sum(empty) > 1:
        names = [
            f"column {number}" if is_empty else column
            for number, (column, is_empty) in enumerate(zip(names, empty, strict=True), start=1)
        ]
    twice = sorted(column for column, times in Counter(names).items() if times > 1)
    if twice:
        raise DataError(
            f"{name}: the header has the column {', '.join(map(repr, twice))} more than once.",
            mend="give every column its own name; a file without a header needs one",
        )
    return list(names)


def find_delimiter(text: str, usual: str, line_end: str = "\n") -> str:
    """What separates the columns: the usual character, unless header and rows agree on another.

    Args:
        text: The file, without a line that names it.
        usual: What the format's name says.
        line_end: What ends a line.
    """
    sample = text[:_SAMPLE]
    others = [found for found in _DELIMITERS_FOUND if found != usual]
    fits = {found: _fit(sample, found, line_end) for found in (usual, *others)}
    best = max(fits, key=lambda found: (fits[found], found == usual))
    # A header in which the usual one occurs by chance ("score, in %") has no rows that agree.
    needed = 0.9 if fits[usual] > 0 else 0.5
    return best if best != usual and fits[best] >= needed else usual


def _fit(sample: str, delimiter: str, line_end: str) -> float:
    """The share of rows that have as many fields as the header; 0 if the header has but one."""
    counts = [
        len(fields) for fields, *_ in islice(_records(sample, delimiter, line_end), _SAMPLE_ROWS)
    ]
    if not counts or counts[0] < 2:
        return 0.0
    rows = counts[1:-1] if len(sample) == _SAMPLE and len(counts) > 2 else counts[1:]
    return sum(count == counts[0] for count in rows) / len(rows) if rows else 1.0


def _field_writer(layout: Layout) -> Callable[[str], str]:
    """What writes a field, in quotes where that is needed or usual in the file."""
    special = re.compile(rf'[{re.escape(layout.delimiter or "")}"\r\n]')

    def write(value: str) -> str:
        if layout.quoted or special.search(value):
            return '"' + value.replace('"', '""') + '"'
        return value

    return write


def format_delimited(table: Table, layout: Layout, header: bool = True, last: bool = True) -> str:
    """The text of a file; `read_delimited` gives the same rows back.

    Values that are not strings are written as JSON, None as an empty field.

    Args:
        table: What to write.
        layout: How to lay it out, with the delimiter. If the table was read from a file laid out
            the same way, what nobody touched is quoted as it was there.
        header: Whether to begin with the column names; without it is the continuation of a file.
        last: Whether it is the end of the file.
    """
    assert layout.delimiter is not None
    write = _field_writer(layout)
    original = table.original if table.format in ("tsv", "csv", "jsonl") else None
    alike = layout == table.layout

    def field(number: int, column: str) -> str:
        value = table.rows[number].get(column)
        spelt = original.spelling(number, column, value) if original else None
        if spelt is None or (isinstance(value, str) and not alike):
            return write(as_text(value))
        return spelt if alike else write(spelt)

    def name(column: str) -> str:
        spelt = original.name(column) if original and alike else None
        return write(column) if spelt is None else spelt

    lines: list[str] = []
    if header and table.columns:
        lines += [layout.preamble] if layout.preamble else []
        lines.append(_joined([name(c) for c in table.columns], layout.delimiter))
    for number in range(len(table.rows)):
        lines.append(_joined([field(number, c) for c in table.columns], layout.delimiter))
    text = layout.line_end.join([*lines, ""])
    return text if layout.last_line_end or not last else text.removesuffix(layout.line_end)


def _joined(fields: Sequence[str], delimiter: str) -> str:
    # A record of one empty field would be an empty line, which a reader may skip.
    return delimiter.join(fields) or ('""' if len(fields) == 1 else "")
