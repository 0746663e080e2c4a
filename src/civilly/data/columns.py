"""Which column is the text, which its language, and where a rewrite goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from civilly.data.table import Problem, Row, Table
from civilly.data.values import as_text
from civilly.errors import DataError
from civilly.languages import AUTO, language_code

TEXT_COLUMNS = (
    "toxic_sentence", "toxic", "toxic_comment", "text", "comment", "comment_text", "sentence",
    "input", "message", "content", "body", "tweet", "post",
)  # fmt: skip
"""Names of a text column, first match wins; upper and lower case are the same."""

LANG_COLUMNS = ("lang", "language", "lang_code", "language_code", "locale")
"""Names of a language column, first match wins."""

REWRITE_COLUMNS = {"toxic_sentence": "neutral_sentence", "toxic": "neutral"}
"""Where the rewrite of a text column goes; anything else goes to `REWRITE_COLUMN`."""

REWRITE_COLUMN = "rewritten"

_UNKNOWN_LANGUAGE = "unknown language code, so the language was detected from the text"
_NOT_A_STRING = "the text is not a string, so it was read as JSON"
_EMPTY_TEXT = "the text is missing, so it was read as empty"


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of a table that matter for rewriting.

    Attributes:
        text: Column with the text.
        lang: Column with the language code, or None.
        rewrite: Column for the rewrite.
        kept_as: New name of a column that has the name of ``rewrite`` and has content, or None.
    """

    text: str
    lang: str | None
    rewrite: str
    kept_as: str | None = None


def recognize(
    table: Table, name: str, text_column: str | None = None, lang_column: str | None = None
) -> Roles:
    """Finds the columns of a table by their names.

    Args:
        table: The table.
        name: Name of the file, for messages.
        text_column: The user's choice, or None.
        lang_column: The user's choice, or None.

    Raises:
        DataError: If a chosen column does not exist, or no column looks like the text.
    """
    if not table.columns:
        text = text_column or TEXT_COLUMNS[0]
        return Roles(text, lang_column or LANG_COLUMNS[0], _rewrite_column(text))
    text = _chosen(table, name, text_column, "--text-column") or _text_column(table, name)
    lang = _chosen(table, name, lang_column, "--lang-column") or _first(table, LANG_COLUMNS)
    rewrite = _rewrite_column(text)
    taken = any(row.get(rewrite) for row in table.rows)
    kept_as = _free_name(f"{rewrite}_before", table.columns) if taken else None
    return Roles(text, lang, rewrite, kept_as)


def _rewrite_column(text: str) -> str:
    return REWRITE_COLUMNS.get(text.strip().lower(), REWRITE_COLUMN)


def _chosen(table: Table, name: str, column: str | None, option: str) -> str | None:
    if column is None or column in table.columns:
        return column
    raise DataError(
        f"{name} has no column {column!r}.",
        allowed=_names(table.columns),
        mend=f"{option} with one of these names",
    )


def _text_column(table: Table, name: str) -> str:
    found = _first(table, TEXT_COLUMNS)
    if found is not None:
        return found
    # The only column of a TSV or CSV file may be a file without header, whose first text would
    # be taken for a name; JSONL and Parquet always name their columns.
    if len(table.columns) == 1 and table.format not in ("tsv", "csv"):
        return table.columns[0]
    raise DataError(
        f"{name}: no column looks like the text; its columns are {_names(table.columns)}.",
        allowed=", ".join(TEXT_COLUMNS),
        mend="--text-column NAME, or add a header line if the file has none",
    )


def _first(table: Table, names: Sequence[str]) -> str | None:
    by_name = {column.strip().lower(): column for column in reversed(table.columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def _names(columns: Sequence[str]) -> str:
    shown = [column if len(column) <= 40 else column[:39] + "…" for column in columns[:20]]
    return ", ".join(map(repr, shown)) + (", …" if len(columns) > 20 else "")


def texts_of(table: Table, roles: Roles) -> tuple[list[str], list[Problem]]:
    """The text of every row, and what was odd about it.

    A missing text is empty; a value that is not a string is taken as JSON.
    """
    texts: list[str] = []
    problems: list[Problem] = []
    for number, row in enumerate(table.rows, start=1):
        value = row.get(roles.text)
        texts.append(as_text(value))
        if value is None:
            problems.append(Problem(number, _EMPTY_TEXT))
        elif not isinstance(value, str):
            problems.append(Problem(number, _NOT_A_STRING))
    return texts, problems


def languages_of(table: Table, roles: Roles) -> tuple[list[str], list[Problem]]:
    """The language code of every row, `AUTO` where the row has none that is known.

    They are read as `civilly.languages.language_code` does.
    """
    if roles.lang is None:
        return [AUTO] * len(table.rows), []
    codes: list[str] = []
    problems: list[Problem] = []
    for number, row in enumerate(table.rows, start=1):
        given = as_text(row.get(roles.lang)).strip()
        code = language_code(given)
        codes.append(code or AUTO)
        if code is None and given.lower() not in ("", AUTO):
            problems.append(Problem(number, f"{_UNKNOWN_LANGUAGE} ({given[:20]!r})"))
    return codes, problems


def with_rewrites(
    table: Table, roles: Roles, rewrites: Sequence[str], langs: Sequence[str], start: int = 0
) -> Table:
    """Rows of a table with their rewrites, all other columns kept.

    The shared task's columns come first: text, rewrite, language. A language that the file left
    empty is filled in; one that it states stays as it is.

    Args:
        table: The table that was read.
        roles: Its columns.
        rewrites: One per row.
        langs: The language code used, one per row.
        start: Index of the row that the first rewrite belongs to.
    """
    lang = roles.lang or LANG_COLUMNS[0]
    first = [roles.text, roles.rewrite, lang]
    moved = {roles.rewrite: roles.kept_as} if roles.kept_as else {}
    others = [moved.get(c, c) for c in table.columns if c in moved or c not in first]
    rows: list[Row] = []
    for number, (rewrite, code) in enumerate(zip(rewrites, langs, strict=True), start=start):
        row = table.rows[number]
        kept = {moved.get(column, column): value for column, value in row.items()}
        stated = row.get(lang)
        kept[roles.text] = row.get(roles.text)
        kept[roles.rewrite] = rewrite
        kept[lang] = code if stated in (None, "") else stated
        rows.append(kept)
    return Table([*first, *others], rows, table.format)


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
