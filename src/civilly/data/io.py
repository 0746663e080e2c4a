"""One reader and one writer for every format; the suffix says which.

========== ============================== =========================================
format     suffixes (each also + ``.gz``)  rows
========== ============================== =========================================
tsv        .tsv .tab                      header, RFC 4180 quoting
csv        .csv                           header, RFC 4180 quoting
jsonl      .jsonl .ndjson                 one object per line; read: .json, an array
parquet    .parquet .pq                   extra ``parquet``
lines      .txt, no suffix, stdin         one text per line
========== ============================== =========================================

A table that is written in the format that it was read from gets back what is around its rows: byte
order mark, line ends, separator, quotes, the spelling of numbers, types. Text files are written in
UTF-8, whatever they were read from.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from civilly.data.delimited import DELIMITERS, format_delimited, read_delimited
from civilly.data.encodings import BOM, Decoded, decode_text
from civilly.data.files import encode, read_bytes, refuse_other_kinds, write_bytes
from civilly.data.jsonl import format_jsonl, read_jsonl
from civilly.data.lines import format_lines, read_lines
from civilly.data.table import Layout, Table
from civilly.data.values import has_bytes, has_no_number
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
_READ_ONLY = {".json": "jsonl"}
_MENDS = {
    ".xlsx": "save the sheet as CSV UTF-8",
    ".xls": "save the sheet as CSV UTF-8",
    ".ods": "save the sheet as CSV",
    ".docx": "save it as plain text (.txt)",
    ".zip": "unpack it: unzip FILE",
    ".zst": "unpack it: zstd -d FILE",
    ".bz2": "unpack it: bunzip2 FILE",
    ".xz": "unpack it: unxz FILE",
}
_PARQUET_MAGIC = b"PAR1"
_LONE_CR = re.compile("\r(?!\r*\n)")
_BAD_BYTES = re.compile("[\udc80-\udcff]")


def uncompressed(path: Path) -> Path:
    """The name without its ``.gz``: its suffix says the format, its stem what the file is about."""
    return path.with_suffix("") if path.suffix == ".gz" else path


def format_of(path: Path, *, writing: bool = False) -> str:
    """The format that a file name stands for.

    Args:
        path: The file.
        writing: Whether it shall be written: its format can then be said by the suffix alone, and
            is none of those that are only read.

    Raises:
        DataError: If the suffix is not a known one.
    """
    suffix = uncompressed(path).suffix.lower()
    suffixes = _SUFFIXES if writing else {**_SUFFIXES, **_READ_ONLY}
    if suffix not in suffixes:
        named = "rename the file, or name its format with --format"
        raise DataError(
            f"{str(path)!r}: the suffix {suffix!r} stands for no format that Civilly "
            f"{'writes' if writing else 'reads'}.",
            allowed=", ".join(known for known in suffixes if known) + ", each also with .gz",
            mend="choose one of these" if writing else _MENDS.get(suffix, named),
        )
    return suffixes[suffix]


def knows_suffix(path: Path) -> bool:
    """Whether the name ends in a suffix of a format (no suffix does not count)."""
    suffix = uncompressed(path).suffix.lower()
    return suffix in _SUFFIXES and suffix != ""


def read_table(path: Path, format_name: str | None = None, encoding: str | None = None) -> Table:
    """Reads a file, or stdin if ``path`` is ``-``.

    Args:
        path: The file; gzip is recognised by its content.
        format_name: One of `FORMATS`; None: by the suffix, and ``lines`` for stdin.
        encoding: The encoding of a text file; None: it is found, see `civilly.data.encodings`.

    Returns:
        All rows in the order of the file. What was odd is in `Table.problems` and `Table.notes`. A
        file of zero bytes is a table without columns and rows.

    Raises:
        DataError: If the file cannot be read in this format, or its encoding cannot be told.
        MissingExtraError: If the format is Parquet and pyarrow is not installed.
    """
    if format_name is None:
        format_name = "lines" if str(path) == "-" else format_of(path)
    name = "stdin" if str(path) == "-" else str(path)
    return parse_table(read_bytes(path), format_name, name, encoding)


def read_utf8(path: Path) -> Table:
    """Reads a file for work that cannot tell anybody about a row: its text must be UTF-8.

    Raises:
        DataError: If it has other bytes, or cannot be read; see `read_table`.
    """
    table = read_table(path, encoding="utf-8")
    if table.layout.bad_bytes:
        raise DataError(
            f"{str(path)!r} is not UTF-8.", mend="iconv -f NAME -t UTF-8 OLD > NEW, or clean it"
        )
    return table


def parse_table(data: bytes, format_name: str, name: str, encoding: str | None = None) -> Table:
    """Parses the content of a file; see `read_table`."""
    if format_name not in FORMATS:
        raise UnknownNameError("format", format_name, FORMATS)
    refuse_other_kinds(data, name)
    if format_name == "parquet":
        from civilly.data.parquet import read_parquet

        return read_parquet(data, name)
    if data.startswith(_PARQUET_MAGIC) and data.endswith(_PARQUET_MAGIC):
        raise DataError(f"{name} is a Parquet file.", mend="--format parquet")
    decoded = decode_text(data, name, encoding)
    text, layout = decoded.text, _layout(decoded, has_quotes=format_name in DELIMITERS)
    if format_name in DELIMITERS:
        table = read_delimited(text, DELIMITERS[format_name], name, format_name, layout)
    elif format_name == "jsonl":
        table = read_jsonl(text, name, layout)
    else:
        table = read_lines(text, layout)
    if decoded.note:
        table.notes.insert(0, decoded.note)
    return table


def _layout(decoded: Decoded, *, has_quotes: bool) -> Layout:
    """The layout of a text file as far as it is the same in every format.

    Lone carriage returns occur inside comments, so they end lines only where no line feed does.
    """
    text = decoded.text
    first, lone = text.find("\n"), _LONE_CR.search(text)
    old_mac = lone is not None and first < 0
    if has_quotes and lone is not None and 0 <= lone.start() < first:
        # All line feeds may be in quotes, if the header ends before the first one.
        old_mac = text.count('"', 0, lone.start()) % 2 == 0
    crlf = first > 0 and text[first - 1] == "\r"
    line_end = "\r" if old_mac else "\r\n" if crlf else "\n"
    return Layout(
        mark=decoded.mark,
        line_end=line_end,
        last_line_end=not text or text.endswith(line_end[-1]),
        bad_bytes=decoded.encoding == "utf-8" and bool(_BAD_BYTES.search(text)),
    )


def _layout_for(table: Table, format_name: str) -> Layout:
    """How a table is laid out in a format: like the file that it was read from."""
    usual = DELIMITERS.get(format_name)
    if format_name == table.format:
        return replace(table.layout, delimiter=table.layout.delimiter or usual)
    ours = table.layout
    text = format_name != "jsonl" and table.format != "jsonl"
    return Layout(
        mark=ours.mark and text,
        line_end=ours.line_end if text and ours.line_end != "\r" else "\n",
        delimiter=usual,
    )


def format_table(
    table: Table,
    format_name: str,
    text_column: str | None = None,
    header: bool = True,
    last: bool = True,
) -> bytes:
    """The content of a file in a format.

    Args:
        table: What to write.
        format_name: One of `FORMATS`.
        text_column: The column that plain lines consist of; None: the last one.
        header: Whether it is the beginning of a file: with the column names of TSV and CSV.
        last: Whether it is the end of a file.

    Raises:
        UnknownNameError: If there is no such format.
        MissingExtraError: If the format is Parquet and pyarrow is not installed.
    """
    if format_name not in FORMATS:
        raise UnknownNameError("format", format_name, FORMATS)
    if format_name == "parquet":
        from civilly.data.parquet import format_parquet

        return format_parquet(table)
    layout = _layout_for(table, format_name)
    if format_name in DELIMITERS:
        text = format_delimited(table, layout, header, last)
    elif format_name == "jsonl":
        text = format_jsonl(table, layout, last)
    else:
        column = text_column or (table.columns[-1] if table.columns else "")
        text = format_lines(table, column, layout, last)
    # Reading takes one mark away, so a text that itself begins with U+FEFF needs another.
    mark = header and (layout.mark or text.startswith(BOM))
    return encode(text, mark=mark, bad_bytes=layout.bad_bytes)


def losses(table: Table, format_name: str, text_column: str) -> list[str]:
    """What of the other columns a format cannot hold as it is, and what is written instead.

    Args:
        table: A table that was read.
        format_name: The format in which it will be written.
        text_column: The column that is worked on.

    Raises:
        DataError: If a column has bytes that are not UTF-8, which only the format of the input can
            hold, or values of several types, which Parquet cannot.
    """
    if format_name == "parquet" != table.format:
        format_table(table, format_name)
    if table.format == "parquet" and format_name != "parquet":
        others = [column for column in table.columns if column != text_column]
        kinds = [(has_bytes, "bytes that are no text, which are written in base64")]
        if format_name == "jsonl":
            kinds.append((has_no_number, "NaN or infinity, which JSON has not: null is written"))
        return [
            f"column {column!r} has {what}"
            for column in others
            for has, what in kinds
            if any(has(row[column]) for row in table.rows)
        ]
    if format_name != table.format and table.layout.bad_bytes and table.original is not None:
        for number, spelt in enumerate(table.original.content, start=1):
            for column, (_, spelling) in spelt.items():
                if column != text_column and _BAD_BYTES.search(spelling):
                    raise DataError(
                        f"Row {number}, column {column!r} has bytes that are not UTF-8, which only "
                        f"{table.format} can hold as they are.",
                        mend=f"write {table.format}, or clean it: iconv -c -f UTF-8 -t UTF-8",
                    )
    return []


def write_table(
    path: Path, table: Table, format_name: str | None = None, text_column: str | None = None
) -> None:
    """Writes a file atomically, in the format of its suffix unless told otherwise.

    Raises:
        DataError: If the file cannot be written.
    """
    write_bytes(
        path, format_table(table, format_name or format_of(path, writing=True), text_column)
    )
