"""Submissions and references of the shared task: TSV, CSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from civilly.data.columns import find_column
from civilly.data.io import read_table
from civilly.data.table import Row, Table, findings, name_rows
from civilly.data.values import as_words
from civilly.errors import DataError
from civilly.languages import language_code

TOXIC_COLUMNS = ("toxic_sentence", "toxic", "text")
REWRITE_COLUMNS = ("neutral_sentence", "output", "rewritten", "neutral")
REFERENCE_COLUMNS = ("neutral_sentence", "neutral", "reference", "references")
LANG_COLUMNS = ("lang", "language")

NAN_WORDS = frozenset(
    {
        "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
"""What ``pandas.read_csv`` takes for a missing value besides the empty field."""


@dataclass(frozen=True, slots=True)
class SubmittedRow:
    """One row of a submission.

    Attributes:
        number: Row number in the file, from 1, the header not counted.
        lang: Language code.
        toxic: The toxic sentence as the file has it.
        output: The rewrite; None if it is empty or NaN.
    """

    number: int
    lang: str
    toxic: str
    output: str | None


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """One row of a reference or input file.

    Attributes:
        number: Row number in the file, from 1.
        lang: Language code.
        toxic: The toxic sentence.
        references: Civil versions by people; empty in a file of inputs.
    """

    number: int
    lang: str
    toxic: str
    references: tuple[str, ...] = ()


def read_submission(path: Path, lang: str | None = None) -> tuple[list[SubmittedRow], list[str]]:
    """Reads a submission: the shared task's columns, or id, lang, toxic, output.

    Args:
        path: TSV, CSV, JSON lines or Parquet, also gzipped.
        lang: Language of a file without a language column.

    Returns:
        The rows in order, and warnings about the file.

    Raises:
        DataError: If a column is missing or a language is unknown, naming the rows.
    """
    return submission_from(read_table(path), path, lang)


def submission_from(
    table: Table, path: Path, lang: str | None = None
) -> tuple[list[SubmittedRow], list[str]]:
    """A submission from the table of its file; see `read_submission`."""
    toxic = _column(table, path, "the toxic sentence", TOXIC_COLUMNS)
    rewrite = _column(table, path, "the rewrite", REWRITE_COLUMNS)
    pandas_format = table.format in ("tsv", "csv")
    rows = [
        SubmittedRow(
            number, code, as_words(row.get(toxic)), _rewrite(row.get(rewrite), pandas_format)
        )
        for number, (row, code) in enumerate(
            zip(table.rows, _languages(table, path, lang), strict=True), start=1
        )
    ]
    return rows, [f"{path}: {warning}" for warning in findings(table)]


def _rewrite(value: object, pandas_format: bool) -> str | None:
    text = as_words(value)
    return None if text == "" or (pandas_format and text in NAN_WORDS) else text


def read_references(path: Path, lang: str | None = None) -> tuple[list[ReferenceRow], list[str]]:
    """Reads references (toxic sentence, civil version or a list of them, language) or mere inputs.

    Args:
        path: TSV, CSV, JSON lines or Parquet, also gzipped.
        lang: Language of a file without a language column.

    Returns:
        The rows in order, and warnings about the file.

    Raises:
        DataError: If a column is missing, a language is unknown, or some rows have a reference and
            others have none, naming the rows.
    """
    table = read_table(path)
    toxic = _column(table, path, "the toxic sentence", TOXIC_COLUMNS)
    column = find_column(table.columns, [name for name in REFERENCE_COLUMNS if name != toxic])
    langs = _languages(table, path, lang)
    references = [_references(row, column) for row in table.rows]
    without = [number for number, given in enumerate(references, start=1) if not given]
    if without and len(without) < len(references):
        raise DataError(
            f"{path}: {len(without)} rows have no reference ({name_rows(without)}).",
            mend="complete or remove these rows; a file of inputs has no references at all",
        )
    rows = [
        ReferenceRow(number, code, as_words(row.get(toxic)), given)
        for number, (row, code, given) in enumerate(
            zip(table.rows, langs, references, strict=True), start=1
        )
    ]
    return rows, [f"{path}: {warning}" for warning in findings(table)]


def _references(row: Row, column: str | None) -> tuple[str, ...]:
    given = row.get(column) if column is not None else None
    several = given if isinstance(given, list) else [given]
    return tuple(text for text in map(as_words, several) if text.strip())


def _column(table: Table, path: Path, what: str, names: Sequence[str]) -> str:
    found = find_column(table.columns, names)
    if found is None:
        columns = ", ".join(map(repr, table.columns)) or "none"
        raise DataError(
            f"{path}: no column holds {what}; its columns are {columns}.",
            allowed=", ".join(names),
            mend=f"rename the column to {names[0]!r}",
        )
    return found


def _languages(table: Table, path: Path, lang: str | None) -> list[str]:
    column = find_column(table.columns, LANG_COLUMNS)
    if column is None:
        if lang is None:
            raise DataError(
                f"{path} has no column with the language.",
                allowed=", ".join(LANG_COLUMNS),
                mend="name the language of all rows with --lang",
            )
        return [lang] * len(table.rows)
    given = [as_words(row.get(column)) for row in table.rows]
    codes = [language_code(name) for name in given]
    unknown = [number for number, code in enumerate(codes, start=1) if code is None]
    if unknown:
        raise DataError(
            f"{path}: no language code of ours in {name_rows(unknown)}, "
            f"first {given[unknown[0] - 1]!r}.",
            mend="correct the language column (civilly ls languages)",
        )
    return [code for code in codes if code is not None]
