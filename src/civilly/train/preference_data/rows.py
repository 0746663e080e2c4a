"""Files of preferences, in the column formats of the library TRL, as JSON lines.

Pairs have ``prompt``, ``chosen`` and ``rejected``; unpaired rows ``prompt``, ``completion`` and
``label`` (true: good). ``prompt`` is the toxic text itself: whoever trains a writer puts it into
the writer's own prompt. Further columns: ``lang``, ``source``, ``id``; of pairs ``margin`` (by how
much the chosen side is worth more) and ``fault`` (the rejected side's).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

from civilly.data.files import encode
from civilly.data.io import read_utf8
from civilly.data.jsonl import format_jsonl
from civilly.data.table import Row, Table
from civilly.errors import DataError
from civilly.languages import LANGUAGES, language_code


@dataclass(frozen=True, slots=True)
class PairRow:
    """A preference.

    Attributes:
        prompt: The toxic text.
        chosen: The better output.
        rejected: The worse output, another text.
        lang: Language code.
        source: The data set of the text, or "".
        id: Of the text, or "".
        margin: By how much the chosen output is worth more; 0 if unknown.
        fault: Of the rejected output, or "".
    """

    prompt: str
    chosen: str
    rejected: str
    lang: str
    source: str = ""
    id: str = ""
    margin: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """An output that is good or not.

    Attributes:
        prompt: The toxic text.
        completion: The output.
        label: Whether it is good.
        lang: Language code.
        source: The data set of the text, or "".
        id: Of the text, or "".
        fault: Of an output that is not good, or "".
    """

    prompt: str
    completion: str
    label: bool
    lang: str
    source: str = ""
    id: str = ""
    fault: str = ""


RowT = TypeVar("RowT", PairRow, LabelledRow)

_MENDS = {
    PairRow: "civilly data preferences RECIPE -o FOLDER writes such files; rows with completion "
    "and label are for methods that need no pairs, such as kto",
    LabelledRow: "civilly data preferences RECIPE -o FOLDER writes such files; rows with chosen "
    "and rejected are for methods that need pairs, such as dpo",
}


def read_pair_rows(path: Path) -> list[PairRow]:
    """Reads pairs, in any format of `civilly.data.io`.

    Raises:
        DataError: Naming file, row and column, if a column or side is missing, the sides are
            equal, or the language is none of ours.
    """
    return _read(path, PairRow, ("prompt", "chosen", "rejected", "lang"), _pair_row)


def read_labelled_rows(path: Path) -> list[LabelledRow]:
    """Reads unpaired rows, in any format of `civilly.data.io`.

    Raises:
        DataError: Naming file, row and column, if a column or text is missing, the label is not
            true or false, or the language is none of ours.
    """
    return _read(path, LabelledRow, ("prompt", "completion", "label", "lang"), _labelled_row)


def format_rows(rows: Sequence[PairRow] | Sequence[LabelledRow], kind: type) -> bytes:
    """The rows as their file holds them; columns that may be empty are written all the same."""
    columns = [each.name for each in fields(kind)]
    return encode(format_jsonl(Table(columns, [asdict(row) for row in rows], "jsonl")))


def _read(
    path: Path, kind: type[RowT], needed: Sequence[str], make: Callable[[Row], RowT]
) -> list[RowT]:
    table = read_utf8(path)
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))}.",
            allowed=f"{', '.join(map(repr, table.columns)) or 'no columns'} were found; "
            f"{', '.join(map(repr, needed))} are needed",
            mend=_MENDS[kind],
        )
    if not table.rows:
        raise DataError(f"{path}: there are no rows.", mend=_MENDS[kind])
    made = []
    for number, row in enumerate(table.rows, start=1):
        try:
            made.append(make(row))
        except ValueError as error:
            raise DataError(
                f"{path}, row {number}: {error}.", mend="correct the row, or take it out"
            ) from error
    return made


def _pair_row(row: Row) -> PairRow:
    chosen, rejected = _said(row, "chosen"), _said(row, "rejected")
    if chosen == rejected:
        raise ValueError("chosen and rejected are the same text, so neither is preferred")
    margin = row.get("margin") or 0.0
    if isinstance(margin, bool) or not isinstance(margin, (int, float, str)):
        raise ValueError(f"margin must be a number, got {margin!r}")
    return PairRow(
        _said(row, "prompt"),
        chosen,
        rejected,
        _lang(row),
        str(row.get("source") or ""),
        str(row.get("id") or ""),
        float(margin),
        str(row.get("fault") or ""),
    )


def _labelled_row(row: Row) -> LabelledRow:
    given = row.get("label")
    labels = {"true": True, "1": True, "false": False, "0": False}
    label = labels.get(str(given).lower())
    if label is None:
        raise ValueError(f"label must be true (good) or false, got {given!r}")
    return LabelledRow(
        _said(row, "prompt"),
        _said(row, "completion"),
        label,
        _lang(row),
        str(row.get("source") or ""),
        str(row.get("id") or ""),
        str(row.get("fault") or ""),
    )


def _said(row: Row, column: str) -> str:
    """A text that says something."""
    value = row.get(column)
    if not isinstance(value, str):
        raise ValueError(f"{column} must be a text, got {value!r}")
    if not value.strip():
        raise ValueError(f"{column} is empty")
    return value


def _lang(row: Row) -> str:
    code = language_code(str(row.get("lang")))
    if code is None:
        raise ValueError(f"unknown language {row.get('lang')!r}; known are {', '.join(LANGUAGES)}")
    return code
