"""Where the texts come from: an argument, standard input, or a file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from civilly.cli._console import stdin_is_terminal
from civilly.errors import CivillyError, DataError
from civilly.languages import AUTO, chosen_language

if TYPE_CHECKING:
    from civilly.batch.source import Source

STDIN = Path("-")
_OTHER_SUFFIXES = frozenset(
    f".{ending}"
    for endings in (
        "json xls xlsx ods doc docx odt rtf pdf html htm xml yaml yml toml md log sql db sqlite",
        "feather arrow avro orc zip gz bz2 xz zst 7z tar dat",
    )
    for ending in endings.split()
)
"""What ends like this is the name of a file, though of none that can be read here."""


def complete_entry(room: str, incomplete: str) -> list[tuple[str, str]]:
    """What a room of the registry holds, for shell completion, with the summaries."""
    from civilly import registry

    offered = registry.entries(room)
    return [(entry.name, entry.summary) for entry in offered if entry.name.startswith(incomplete)]


def complete_language(incomplete: str) -> list[tuple[str, str]]:
    """Language codes for shell completion, with their names."""
    from civilly.languages import LANGUAGES

    offered = [("auto", "detect it"), *((code, lang.name) for code, lang in LANGUAGES.items())]
    return [(code, name) for code, name in offered if code.startswith(incomplete)]


def complete_format(incomplete: str) -> list[str]:
    """File formats for shell completion."""
    from civilly.data.io import FORMATS

    return [name for name in FORMATS if name.startswith(incomplete)]


TextArgument = Annotated[
    str | None,
    typer.Argument(metavar="[TEXT|FILE|-]", help="A text, a file that exists, or - for stdin."),
]
TextOption = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="A text, also if it is the name of a file or begins with a dash.",
    ),
]
LangOption = Annotated[
    str,
    typer.Option(
        "--lang",
        "-l",
        autocompletion=complete_language,
        help="Language code, or auto: the file's own column, else detected.",
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        autocompletion=complete_format,
        help="Format of the input: tsv, csv, jsonl, parquet, lines. Default: by suffix.",
    ),
]
TextColumnOption = Annotated[
    str | None, typer.Option("--text-column", help="Column that holds the text.")
]
LangColumnOption = Annotated[
    str | None, typer.Option("--lang-column", help="Column that holds the language code.")
]

EncodingOption = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Encoding of the input, for example windows-1251. Default: UTF-8, else found or "
        "guessed, which is said. What is written is UTF-8.",
    ),
]


def open_source(
    argument: str | None,
    lang: str,
    format_name: str | None = None,
    text_column: str | None = None,
    lang_column: str | None = None,
    encoding: str | None = None,
    given_text: str | None = None,
) -> Source:
    """Reads the texts that the user means.

    Args:
        argument: A text, a path, ``-``, or None for stdin when it is not a terminal.
        lang: A code, or ``auto``.
        format_name: Format of the file; None: by its suffix.
        text_column: The user's choice, or None.
        lang_column: The user's choice, or None.
        encoding: Encoding of the file, or None to find it.
        given_text: What is a text whatever it looks like, instead of ``argument``.

    Raises:
        CivillyError: If both ``argument`` and ``given_text`` are given.
        UnknownNameError: If ``lang``, ``format_name`` or ``encoding`` does not exist.
        DataError: If the file cannot be read, or its columns are not understood.
    """
    from civilly.batch.source import digest_of, source_of
    from civilly.data.files import mend_surrogates, read_bytes
    from civilly.data.io import format_of, parse_table
    from civilly.data.lines import COLUMN
    from civilly.data.table import Table

    code = chosen_language(lang, auto=True)
    if argument is not None and given_text is not None:
        raise CivillyError("There are two texts.", mend="leave one out, or hand over a file")
    path = _path_of(argument) if given_text is None else None
    text_column, lang_column = map(_as_typed, (text_column, lang_column))
    if path is None:
        text = mend_surrogates(_as_typed(given_text or argument) or "")
        data, name = text.encode(), "the text"
        table = Table([COLUMN], [{COLUMN: text}], "lines")
    else:
        data, name = read_bytes(path), "stdin" if path == STDIN else str(path)
        if format_name is None:
            format_name = "lines" if path == STDIN else format_of(path)
        table = parse_table(data, format_name.strip().lower(), name, encoding)
    digest = digest_of(data, encoding)
    return source_of(table, name, digest, code, text_column, lang_column, single=path is None)


def losses_of(source: Source, output: Path | None, *, json_lines: bool) -> list[str]:
    """What the output cannot hold as it is; see `civilly.data.io.losses`.

    Args:
        source: The input.
        output: The file to write, or None for standard output.
        json_lines: Whether JSON objects are written.
    """
    from civilly.data.io import format_of, losses

    usual = "jsonl" if source.table.format == "parquet" else source.table.format
    written = (
        "jsonl" if json_lines else usual if output is None else format_of(output, writing=True)
    )
    found = losses(source.table, written, source.roles.text)
    return [f"{source.name}: {loss}" for loss in found]


def settled_languages(texts: Sequence[str], langs: Sequence[str]) -> list[str]:
    """Language codes with every ``auto`` replaced by the detected language."""
    unsettled = [text for text, lang in zip(texts, langs, strict=True) if lang == AUTO]
    if not unsettled:
        return list(langs)
    from civilly.detect.language import identify

    detected = iter(identify(unsettled))
    return [next(detected) if lang == AUTO else lang for lang in langs]


def file_or_stdout(path: Path | None) -> Path | None:
    """The file that ``-o`` names; None, which is standard output, for ``-``."""
    return None if path == STDIN else path


def a_file(path: Path | None) -> Path | None:
    """What ``-o`` or the like names, where standard output is taken by something else.

    Raises:
        CivillyError: If it is ``-``.
    """
    if path == STDIN:
        raise CivillyError("This cannot go to standard output.", mend="name a file or folder")
    return path


def _as_typed(argument: str | None) -> str | None:
    """An argument as UTF-8, whatever encoding Python took the command line for.

    In an old locale without UTF-8 mode, bytes above 127 arrive as lone surrogates.
    """
    if argument is None or argument.isascii():
        return argument
    try:
        return os.fsencode(argument).decode("utf-8", errors="replace")
    except UnicodeEncodeError:  # no argument of a command line
        return argument


def _path_of(argument: str | None) -> Path | None:
    """The file that an argument names; None if it is a text."""
    from civilly.data.io import knows_suffix

    if argument is None:
        if stdin_is_terminal():
            raise DataError(
                "There is no text.", mend='civilly rewrite "a text", a file name, or - for stdin'
            )
        return STDIN
    if argument == "-":
        return STDIN
    try:
        path = Path(argument)
        exists = path.exists()
    except (OSError, ValueError):  # too long for a file name, or a NUL in it
        return None
    if exists and argument:
        return path
    suffix = path.suffix.lower()
    if len(argument.split()) == 1 and (knows_suffix(path) or suffix in _OTHER_SUFFIXES):
        raise DataError(
            f"There is no file {argument!r}.",
            mend=f"check the path; if it is a text: --text {shlex.quote(argument)}",
        )
    return None
