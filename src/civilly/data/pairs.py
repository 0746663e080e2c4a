"""Parallel pairs, labelled texts, and the inputs of the shared task."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from civilly.data.io import read_utf8
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


def read_pairs(
    path: Path, columns: Mapping[str, Any] | None = None, lang: str | None = None
) -> list[Pair]:
    """Reads pairs from a file of any format of `civilly.data.io`; see `pairs_of`.

    Raises:
        DataError: Naming file, row and column, if something is missing or of another type.
    """
    return pairs_of(read_utf8(path), str(path), path.name, columns, lang)


def pairs_of(
    table: Table,
    name: str,
    source: str,
    columns: Mapping[str, Any] | None = None,
    lang: str | None = None,
) -> list[Pair]:
    """The pairs in a table, in order.

    Columns: ``toxic`` (or ``toxic_sentence``), ``neutral`` (or ``neutral_sentence``; a text or a
    list of texts, in TSV and CSV as JSON), ``lang`` (or ``language``); optional ``id`` (else the
    row number), ``source``, ``split``.

    Args:
        table: The table.
        name: What errors call it.
        source: The source of rows that name none.
        columns: Other names of ``toxic``, ``neutral``, ``lang`` and ``id``; of ``neutral`` it may
            be a list of columns, whose empty cells are skipped.
        lang: Language of all rows; None: a column says it.

    Raises:
        DataError: Naming table, row and column, if something is missing or of another type.
    """
    named = {role: column for role, column in (columns or {}).items() if column}
    several = named.pop("neutral", None)
    if isinstance(several, list):
        neutral = [_column(table, name, column) for column in several]
    else:
        usual = ("neutral", "neutral_sentence")
        neutral = [_column(table, name, *([several] if several else usual))]
    toxic = _column(table, name, *_names(named, "toxic", "toxic_sentence"))
    language = None if lang else _column(table, name, *_names(named, "lang", "language"))
    row_id = _column(table, name, named["id"]) if "id" in named else "id"

    def pair(row: Row, number: int) -> Pair:
        cells = [row[neutral[0]]] if len(neutral) == 1 else filter(None, map(row.get, neutral))
        return Pair(
            id=str(number if row.get(row_id) in (None, "") else row[row_id]),
            lang=lang or _string(row[language or "lang"]),
            toxic=_string(row[toxic]),
            neutral=tuple(text for cell in cells for text in _references(cell, table.format)),
            source=str(row.get("source") or source),
            split=str(row.get("split") or ""),
        )

    return _each(table, name, pair)


def _names(named: Mapping[str, str], role: str, other: str) -> tuple[str, ...]:
    return (named[role],) if role in named else (role, other)


def _references(cell: object, format_name: str) -> list[str]:
    """The texts in one cell; where a cell can only be a string, a list is written as JSON."""
    if isinstance(cell, str) and format_name in ("tsv", "csv") and cell.startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            held = json.loads(cell)
            if isinstance(held, list) and all(isinstance(each, str) for each in held):
                return held
    return [_string(each) for each in cell] if isinstance(cell, list) else [_string(cell)]


def count_by_source(pairs: Iterable[Pair]) -> dict[str, dict[str, int]]:
    """Pairs per source and language, both sorted."""
    table: dict[str, Counter[str]] = {}
    for pair in pairs:
        table.setdefault(pair.source, Counter())[pair.lang] += 1
    return {source: dict(sorted(counts.items())) for source, counts in sorted(table.items())}


def read_authored(folder: Path, name: str = "authored") -> list[Pair]:
    """Reads the pairs written for this project: one file per language, named by its code.

    The files may stand in folders. Ids are ``name``, the folders, the language and the number of
    the line, so lines are only appended.

    Raises:
        DataError: If there is no such file; naming file, row and column, if something is missing
            or of another type.
    """
    pairs: list[Pair] = []
    paths = sorted(folder.rglob("*.jsonl"))
    if not paths:
        raise DataError(f"There are no files *.jsonl in {str(folder)!r}.", mend="check the path")
    for path in paths:

        def pair(row: Row, number: int, path: Path = path) -> Pair:
            file = "-".join(path.relative_to(folder).with_suffix("").parts)
            row_id = f"{name}-{file}-{number - 1:03d}"
            neutral = (_string(row["neutral"]),)
            return Pair(row_id, path.stem, _string(row["toxic"]), neutral, name)

        pairs += _each(read_utf8(path), path, pair)
    return pairs


def read_inputs(path: Path) -> list[Text]:
    """Reads the inputs of the shared task: columns ``toxic_sentence`` and ``lang``.

    Raises:
        DataError: Naming file, row and column, if something is missing.
    """
    table = read_utf8(path)
    text, lang = _column(table, path, "toxic_sentence"), _column(table, path, "lang")
    return _each(table, path, lambda row, _: Text(_string(row[text]), _string(row[lang])))


def read_labelled(path: Path) -> list[LabelledText]:
    """Reads labelled texts: columns ``text``, ``label`` (0 or 1), ``lang``, optional ``source``.

    Raises:
        DataError: Naming file, row and column, if something is missing or of another type.
    """
    table = read_utf8(path)
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


def _column(table: Table, path: Path | str, *names: str) -> str:
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


def _each(table: Table, path: Path | str, make: Callable[[Row, int], T]) -> list[T]:
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
