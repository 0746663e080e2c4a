"""Which column is the text, which its language, and where a rewrite goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from civilly.data.table import Original, Problem, Row, Table
from civilly.data.values import as_words
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
_BAD_TEXT = "the text is bytes that are not UTF-8; the bad ones were read as U+FFFD"


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of a table that matter for rewriting.

    Attributes:
        text: Column with the text.
        lang: Column with the language code, or None.
        rewrite: Column for the rewrite.
        kept_as: New name of a column that has the name of ``rewrite`` and has content, or None.
        new_lang: Column for the languages that were used, where ``lang`` is None.
    """

    text: str
    lang: str | None
    rewrite: str
    kept_as: str | None = None
    new_lang: str = LANG_COLUMNS[0]


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
    lang = _chosen(table, name, lang_column, "--lang-column")
    if lang == text:
        raise DataError(
            f"{name}: the column {text!r} cannot be both the text and the language.",
            allowed=_names(table.columns),
            mend="--text-column and --lang-column with different names",
        )
    others = [column for column in table.columns if column != text]
    lang = lang or find_column(others, LANG_COLUMNS)
    rewrite = _rewrite_column(text)
    there = find_column(others, [rewrite])
    if there is not None and not any(_filled(row.get(there)) for row in table.rows):
        rewrite, there = there, None
    kept_as = None if there is None else _free_name(f"{there}_before", table.columns)
    free = (column for column in LANG_COLUMNS if find_column(table.columns, [column]) is None)
    return Roles(
        text, lang, there or rewrite, kept_as, next(free, _free_name("lang_", table.columns))
    )


def _filled(value: object) -> bool:
    return value is not None and value != ""


def _rewrite_column(text: str) -> str:
    name = REWRITE_COLUMNS.get(_folded(text), REWRITE_COLUMN)
    return name if name != _folded(text) else f"{name}_again"


def _folded(column: str) -> str:
    return " ".join(column.split()).lower().replace(" ", "_")


def _chosen(table: Table, name: str, column: str | None, option: str) -> str | None:
    if column is None or column in table.columns:
        return column
    alike = [known for known in table.columns if _folded(known) == _folded(column)]
    if len(alike) == 1:
        return alike[0]
    raise DataError(
        f"{name} has no column {column!r}.",
        allowed=_names(table.columns),
        mend=f"{option} with one of these names",
    )


def _text_column(table: Table, name: str) -> str:
    found = find_column(table.columns, TEXT_COLUMNS)
    if found is not None:
        return found
    # The only column of a TSV or CSV file may be a file without header, whose first text would
    # be taken for a name; JSONL and Parquet always name their columns.
    if len(table.columns) == 1 and table.format not in ("tsv", "csv"):
        return table.columns[0]
    mend = "--text-column NAME, or add a header line if the file has none"
    if table.format in ("tsv", "csv") and _look_like_cells(table.columns):
        mend = "--text-column NAME; if its first line is a row, as it seems, add a header line"
        mend += ", or read it as plain texts: --format lines" if len(table.columns) == 1 else ""
    raise DataError(
        f"{name}: no column looks like the text; its columns are {_names(table.columns)}.",
        allowed=", ".join(TEXT_COLUMNS),
        mend=mend,
    )


def _look_like_cells(columns: Sequence[str]) -> bool:
    """Whether there is a number among the names of columns, or nothing but sentences."""
    sentences = [column for column in columns if len(column.split()) > 3]
    return len(sentences) == len(columns) or any(c.strip().isdigit() for c in columns)


def find_column(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The first of some names that a table has, whatever their case, blanks or underscores.

    Args:
        columns: The columns of the table.
        names: The names looked for, in lower case, the preferred one first.
    """
    by_name = {_folded(column): column for column in reversed(columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def named_so(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """All columns with one of some names, whatever their case, blanks or underscores."""
    return [column for column in columns if _folded(column) in names]


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
        texts.append(as_words(value))
        if value is None:
            problems.append(Problem(number, _EMPTY_TEXT))
        elif isinstance(value, bytes):
            problems += [Problem(number, _BAD_TEXT)] if "\ufffd" in texts[-1] else []
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
        given = as_words(row.get(roles.lang)).strip()
        code = language_code(given)
        codes.append(code or AUTO)
        if code is None and given.lower() not in ("", AUTO):
            problems.append(Problem(number, f"{_UNKNOWN_LANGUAGE} ({given[:20]!r})"))
    return codes, problems


def with_rewrites(
    table: Table,
    roles: Roles,
    rewrites: Sequence[str],
    langs: Sequence[str],
    start: int = 0,
    *,
    lang_given: bool = False,
) -> Table:
    """Rows of a table with their rewrites, all other columns kept in their order.

    The rewrite stands beside the text, and behind it the language if the file had none: the shared
    task's order. A language that the file left empty is filled in, and one that is not the one that
    the user gave is corrected; any other stays as it is.

    Args:
        table: The table that was read.
        roles: Its columns.
        rewrites: One per row.
        langs: The language code used, one per row.
        start: Index of the row that the first rewrite belongs to.
        lang_given: Whether the user said which language it is, whatever the file says.
    """
    part = table.take(range(start, start + len(rewrites)))
    lang = roles.lang or roles.new_lang
    moved = {roles.rewrite: roles.kept_as} if roles.kept_as else {}
    names = {column: moved.get(column, column) for column in table.columns}
    columns = [*names.values()] or [roles.text]
    for name, beside in ((roles.rewrite, roles.text), (lang, roles.rewrite)):
        if name not in columns:
            columns.insert(columns.index(beside) + 1, name)
    rows: list[Row] = []
    lang_touched = False
    for row, rewrite, code in zip(part.rows, rewrites, langs, strict=True):
        stated = row.get(lang)
        wrong = lang_given and language_code(as_words(stated)) != code
        says = code if wrong or not _filled(stated) else stated
        lang_touched |= says is not stated
        new = {roles.rewrite: rewrite, lang: says}
        rows.append(_placed(row, names, new, roles.text))
    origin = _origin(part, names, roles, lang if lang_touched else None)
    return replace(part, columns=columns, rows=rows, original=origin)


def _placed(row: Row, names: Mapping[str, str], new: Row, text: str) -> Row:
    """A row in its own order, with new values in their places or beside the text."""
    there = {names[column] for column in row}
    beside = {column: value for column, value in new.items() if column not in there}
    placed: Row = {}
    for column, value in row.items():
        words = as_words(value) if column == text and isinstance(value, bytes) else value
        placed[names[column]] = new.get(names[column], words)
        if column == text:
            placed |= beside
    return placed | beside


def _origin(
    table: Table, names: Mapping[str, str], roles: Roles, lang: str | None
) -> Original | None:
    """What the written columns were in the file, ``lang`` being one that was filled in."""
    if table.original is None:
        return None
    origin = {names[column]: known for column, known in table.original.columns.items()}
    if table.format == "parquet":  # by column; elsewhere by value, whether it is still the same
        origin = {column: known for column, known in origin.items() if column != lang}
        origin.pop(roles.rewrite, None)
    elif roles.text in origin:
        origin[roles.rewrite] = origin[roles.text]  # a text that was kept is spelt the same
    return replace(table.original, columns=origin)


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
