"""Texts to work on, with the table that they came in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from civilly.data.columns import Roles, languages_of, recognize, texts_of
from civilly.data.files import read_bytes
from civilly.data.io import format_of, parse_table
from civilly.data.table import Problem, Table, findings, summarize
from civilly.languages import AUTO


@dataclass(frozen=True, slots=True)
class Source:
    """Texts to work on.

    Attributes:
        name: For messages.
        table: The rows they came in.
        roles: The columns of the table.
        texts: One per row.
        langs: A language code, or ``auto``, per row.
        digest: SHA-256 of the content.
        single: Whether it is one text given as an argument.
        lang_given: Whether the user said which language the texts are in.
        warnings: What was odd about the rows.
        problems: The same, row by row.
    """

    name: str
    table: Table
    roles: Roles
    texts: list[str]
    langs: list[str]
    digest: str
    single: bool
    lang_given: bool = False
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the files of a job are read, as the user says it.

    Attributes:
        lang: A language code for all texts, or ``auto``.
        format: Format of the files; None: by their suffixes.
        text_column: Column with the texts, or None to find it.
        lang_column: Column with their languages, or None to find it.
        encoding: Encoding of the files, or None to find it.
    """

    lang: str = AUTO
    format: str | None = None
    text_column: str | None = None
    lang_column: str | None = None
    encoding: str | None = None


def digest_of(data: bytes, encoding: str | None) -> str:
    """SHA-256 of what is read, and as what."""
    return hashlib.sha256(data + (encoding or "").encode()).hexdigest()


def read_source(path: Path, how: Reading) -> Source:
    """Reads a file.

    Raises:
        DataError: If the file cannot be read, or its columns are not understood.
        UnknownNameError: If there is no such format or encoding.
    """
    data = read_bytes(path)
    table = parse_table(data, how.format or format_of(path), str(path), how.encoding)
    digest = digest_of(data, how.encoding)
    return source_of(table, str(path), digest, how.lang, how.text_column, how.lang_column)


def source_of(
    table: Table,
    name: str,
    digest: str,
    lang: str = AUTO,
    text_column: str | None = None,
    lang_column: str | None = None,
    *,
    single: bool = False,
) -> Source:
    """The texts of a table.

    Args:
        table: The rows.
        name: For messages.
        digest: SHA-256 of the content.
        lang: A code of `civilly.languages` that all texts are in, or ``auto``.
        text_column: The user's choice, or None.
        lang_column: The user's choice, or None.
        single: Whether it is one text given as an argument.

    Raises:
        DataError: If the columns are not understood.
    """
    roles = recognize(table, name, text_column, lang_column)
    texts, odd_texts = texts_of(table, roles)
    langs, odd_langs = languages_of(table, roles)
    if lang != AUTO:
        other = f"column {roles.lang!r} says another language; --lang {lang} is used and written"
        odd_langs = [
            Problem(number, other)
            for number, stated in enumerate(langs, start=1)
            if stated not in (lang, AUTO)
        ]
        langs = [lang] * len(texts)
    problems = [*odd_texts, *odd_langs]
    warnings = [*findings(table), *summarize(problems)]
    if roles.kept_as:
        warnings.append(f"column {roles.rewrite!r} has content; it is kept as {roles.kept_as!r}")
    if not texts:
        warnings.append("it is empty: no rows")
    return Source(
        name,
        table,
        roles,
        texts,
        langs,
        digest,
        single=single,
        lang_given=lang != AUTO,
        warnings=[f"{name}: {warning}" for warning in warnings],
        problems=[*table.problems, *problems],
    )
