"""One reader and one writer for every format; the suffix says which.

========== ============================== =========================================
format     suffixes (each also + ``.gz``)  rows
========== ============================== =========================================
tsv        .tsv .tab                      header, RFC 4180 quoting
csv        .csv                           header, RFC 4180 quoting
jsonl      .jsonl .ndjson                 one object per line
parquet    .parquet .pq                   extra ``parquet``
lines      .txt, no suffix, stdin         one text per line
========== ============================== =========================================
"""

from __future__ import annotations

from pathlib import Path

from civilly.data.delimited import format_delimited, read_delimited
from civilly.data.files import decode, encode, mend_surrogates, read_bytes, write_bytes
from civilly.data.jsonl import format_jsonl, read_jsonl
from civilly.data.lines import format_lines, read_lines
from civilly.data.table import Problem, Table
from civilly.errors import DataError, UnknownNameError

_SUFFIXES = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "lines",
    "": "lines",
}
FORMATS = ("tsv", "csv", "jsonl", "parquet", "lines")
_DELIMITERS = {"tsv": "\t", "csv": ","}
_NOT_UTF8 = "bytes that are not UTF-8 (or lone surrogates) were replaced by U+FFFD"


def uncompressed(path: Path) -> Path:
    """The name without its ``.gz``: its suffix says the format, its stem what the file is about."""
    return path.with_suffix("") if path.suffix == ".gz" else path


def format_of(path: Path) -> str:
    """The format that a file name stands for.

    Raises:
        DataError: If the suffix is not a known one.
    """
    suffix = uncompressed(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise DataError(
            f"{str(path)!r}: the suffix {suffix!r} stands for no format that Civilly knows.",
            allowed=", ".join(known for known in _SUFFIXES if known) + ", each also with .gz",
            mend="rename the file, or name its format with --format",
        )
    return _SUFFIXES[suffix]


def knows_suffix(path: Path) -> bool:
    """Whether the name ends in a suffix of a format (no suffix does not count)."""
    suffix = uncompressed(path).suffix.lower()
    return suffix in _SUFFIXES and suffix != ""


def read_table(path: Path, format_name: str | None = None) -> Table:
    """Reads a file, or stdin if ``path`` is ``-``.

    Args:
        path: The file; gzip is recognised by its content.
        format_name: One of `FORMATS`; None: by the suffix, and ``lines`` for stdin.

    Returns:
        All rows in the order of the file. Bytes that are not UTF-8 are U+FFFD and reported in
        `Table.problems`. A file of zero bytes is a table without columns and rows.

    Raises:
        DataError: If the file cannot be read in this format.
        MissingExtraError: If the format is Parquet and pyarrow is not installed.
    """
    if format_name is None:
        format_name = "lines" if str(path) == "-" else format_of(path)
    return parse_table(read_bytes(path), format_name, "stdin" if str(path) == "-" else str(path))


def parse_table(data: bytes, format_name: str, name: str) -> Table:
    """Parses the content of a file; see `read_table`."""
    if format_name not in FORMATS:
        raise UnknownNameError("format", format_name, FORMATS)
    if format_name == "parquet":
        from civilly.data.parquet import read_parquet

        return read_parquet(data, name)
    text = decode(data, name)
    if format_name in _DELIMITERS:
        table = read_delimited(text, _DELIMITERS[format_name], name, format_name)
    else:
        table = read_jsonl(text, name) if format_name == "jsonl" else read_lines(text)
    _mend_encoding(table)
    return table


def _mend_encoding(table: Table) -> None:
    """Replaces lone surrogates in every string of the table and reports the rows."""
    table.columns = [mend_surrogates(column) for column in table.columns]
    for number, row in enumerate(table.rows, start=1):
        mended = {
            mend_surrogates(column): mend_surrogates(value) if isinstance(value, str) else value
            for column, value in row.items()
        }
        if mended != row:
            table.rows[number - 1] = mended
            table.problems.append(Problem(number, _NOT_UTF8))


def format_table(
    table: Table, format_name: str, text_column: str | None = None, header: bool = True
) -> bytes:
    """The content of a file in a format.

    Args:
        table: What to write.
        format_name: One of `FORMATS`.
        text_column: The column that plain lines consist of; None: the last one.
        header: Whether TSV and CSV begin with the column names.

    Raises:
        UnknownNameError: If there is no such format.
        MissingExtraError: If the format is Parquet and pyarrow is not installed.
    """
    if format_name not in FORMATS:
        raise UnknownNameError("format", format_name, FORMATS)
    if format_name == "parquet":
        from civilly.data.parquet import format_parquet

        return format_parquet(table)
    if format_name in _DELIMITERS:
        return encode(format_delimited(table, _DELIMITERS[format_name], header))
    if format_name == "jsonl":
        return encode(format_jsonl(table))
    column = text_column or (table.columns[-1] if table.columns else "")
    return encode(format_lines(table, column))


def write_table(
    path: Path, table: Table, format_name: str | None = None, text_column: str | None = None
) -> None:
    """Writes a file atomically, in the format of its suffix unless told otherwise.

    Raises:
        DataError: If the file cannot be written.
    """
    write_bytes(path, format_table(table, format_name or format_of(path), text_column))
