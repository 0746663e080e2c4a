"""Parallel pairs, labelled texts, and the inputs of the shared task."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from civilly.data.io import read_table
from civilly.data.table import Row, Table
from civilly.data.values import as_json
from civilly.errors import DataError
from civilly.types import Text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pair:
    """A toxic sentence with its civil references.

    Attributes:
        id: Unique within its file.
        lang: Language code.
        toxic: The toxic sentence.
        neutral: One or more references.
        source: The data set.
        split: The split of the data set, or "".
    """

    id: str
    lang: str
    toxic: str
    neutral: tuple[str, ...]
    source: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text that people called toxic or not.

    Attributes:
        text: The text.
        label: 1 toxic, 0 not.
        lang: Language code.
        source: The data set.
    """

    text: str
    label: int
    lang: str
    source: str = ""


def data_folder(given: Path | None = None) -> Path:
    """The folder of the data sets: as given, else ``CIVILLY_DATA``, else ``../shared/data``.

    Raises:
        DataError: If it is not a folder.
    """
    folder = given or Path(os.environ.get("CIVILLY_DATA") or Path("..", "shared", "data"))
    if not folder.is_dir():
        raise DataError(
            f"There is no data folder {str(folder)!r}.",
            mend="name it with --data or in the environment variable CIVILLY_DATA",
        )
    return folder


def read_pairs(path: Path) -> list[Pair]:
    """Reads pairs: JSONL with ``neutral`` a list, or a table of the shared task.

    Columns: ``toxic`` (or ``toxic_sentence``), ``neutral`` (or ``neutral_sentence``), ``lang``;
    optional ``id`` (else the row number), ``source`` (else the file's name), ``split``.

    Raises:
        DataError: Naming file, row and column, if something is missing or of another type.
    """
    table = read_table(path)
    toxic = _column(table, path, "toxic", "toxic_sentence")
    neutral = _column(table, path, "neutral", "neutral_sentence")
    lang = _column(table, path, "lang", "language")

    def pair(row: Row, number: int) -> Pair:
        references = row[neutral]
        return Pair(
            id=str(row.get("id") or number),
            lang=_string(row[lang]),
            toxic=_string(row[toxic]),
            neutral=tuple(
                map(_string, references if isinstance(references, list) else [references])
            ),
            source=str(row.get("source") or path.name),
            split=str(row.get("split") or ""),
        )

    return _each(table, path, pair)


def read_authored(folder: Path, name: str = "authored") -> list[Pair]:
    """Reads the pairs written for this project: one file per language, named by its code.

    Their ids are ``name``, the language and the number of the line, so lines are only appended.

    Raises:
        DataError: Naming file, row and column, if something is missing or of another type.
    """
    pairs: list[Pair] = []
    for path in sorted(folder.glob("*.jsonl")):

        def pair(row: Row, number: int, path: Path = path) -> Pair:
            row_id = f"{name}-{path.stem}-{number - 1:03d}"
            neutral = (_string(row["neutral"]),)
            return Pair(row_id, path.stem, _string(row["toxic"]), neutral, name)

        pairs += _each(read_table(path), path, pair)
    return pairs


def read_inputs(path: Path) -> list[Text]:
    """Reads the inputs of the shared task: columns ``toxic_sentence`` and ``lang``.

    Raises:
        DataError: Naming file, row and column, if something is missing.
    """
    table = read_table(path)
    text, lang = _column(table, path, "toxic_sentence"), _column(table, path, "lang")
    return _each(table, path, lambda row, _: Text(_string(row[text]), _string(row[lang])))


def read_labelled(path: Path) -> list[LabelledText]:
    """Reads labelled texts: columns ``text``, ``label`` (0 or 1), ``lang``, optional ``source``.

    Raises:
        DataError: Naming file, row and column, if something is missing or of another type.
    """
    table = read_table(path)
    text, label = _column(table, path, "text"), _column(table, path, "label")
    lang = _column(table, path, "lang", "language")

    def labelled(row: Row, number: int) -> LabelledText:
        if str(row[label]) not in ("0", "1"):
            raise ValueError(f"the label must be 0 or 1, got {row[label]!r}")
        return LabelledText(
            text=_string(row[text]),
            label=int(row[label]),
            lang=_string(row[lang]),
            source=str(row.get("source") or path.name),
        )

    return _each(table, path, labelled)


def _column(table: Table, path: Path, *names: str) -> str:
    for name in names:
        if name in table.columns:
            return name
    if not table.columns:
        return names[0]
    raise DataError(
        f"{path}: no column {' or '.join(map(repr, names))}.",
        allowed=", ".join(map(repr, table.columns)) + " were found",
        mend=f"rename the column to {names[0]!r}",
    )


def _each(table: Table, path: Path, make: Callable[[Row, int], T]) -> list[T]:
    made: list[T] = []
    for number, row in enumerate(table.rows, start=1):
        try:
            made.append(make(row, number))
        except KeyError as error:
            raise DataError(
                f"{path}, row {number}: no column {error}.", mend="complete or remove the row"
            ) from error
        except ValueError as error:
            raise DataError(f"{path}, row {number}: {error}.", mend="correct the row") from error
    return made


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"expected a string, got {as_json(value)[:60]}")
