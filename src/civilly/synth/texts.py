"""The real texts that a model is to rewrite, each with where it comes from and its licence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from civilly.data.columns import find_column
from civilly.data.table import Table
from civilly.types import Text

ID_COLUMNS = ("id", "source_id")
SOURCE_COLUMNS = ("source", "dataset")
LICENCE_COLUMNS = ("licence", "license")


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text with its provenance.

    Attributes:
        id: What names it in its file.
        text: The text.
        lang: Language code.
        source: The data set.
        licence: SPDX expression, or "" where none is stated.
    """

    id: str
    text: str
    lang: str
    source: str
    licence: str

    def row(self) -> dict[str, Any]:
        """What is written down of it beside its answers."""
        return asdict(self)

    @property
    def as_text(self) -> Text:
        """The text with its language."""
        return Text(self.text, self.lang)


def texts_of_table(
    table: Table, texts: Sequence[str], langs: Sequence[str], name: str, licence: str
) -> list[SourceText]:
    """The texts of a table with what its columns say of them, in order.

    Args:
        table: Its columns ``id``, ``source`` and ``licence``, if there are such, are used.
        texts: The text of each row.
        langs: The language of each row, none of them ``auto``.
        name: The source of rows that name none.
        licence: The licence of rows that state none.
    """
    columns = [
        find_column(table.columns, names) for names in (ID_COLUMNS, SOURCE_COLUMNS, LICENCE_COLUMNS)
    ]

    def cell(row: Mapping[str, Any], column: str | None, usual: str) -> str:
        value = row.get(column) if column else None
        return usual if value in (None, "") else str(value)

    return [
        SourceText(
            cell(row, columns[0], str(number)),
            text,
            lang,
            cell(row, columns[1], name),
            cell(row, columns[2], licence),
        )
        for number, (row, text, lang) in enumerate(
            zip(table.rows, texts, langs, strict=True), start=1
        )
    ]
