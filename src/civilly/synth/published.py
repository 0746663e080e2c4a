"""Takes up a set of pairs that others made with a model, so that the filters can be put to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from civilly.data.columns import find_column
from civilly.data.files import write_bytes
from civilly.data.pairs import pairs_of
from civilly.data.table import Table
from civilly.errors import DataError
from civilly.languages import language
from civilly.synth.folder import ANSWERS_FILE, RUN_FILE, Run, json_file, json_lines
from civilly.synth.texts import LICENCE_COLUMNS

PUBLISHED = "published"
"""What a run calls the engine of a set that others made."""


def published_rows(table: Table, name: str, source: str, licence: str) -> list[dict[str, Any]]:
    """The pairs of a table as if they had been answered, in order (`civilly.synth.folder`).

    Args:
        table: Columns as of `civilly.data.pairs.pairs_of`; ``licence``, if there is one.
        name: What errors call it.
        source: The source of rows that name none.
        licence: The licence of rows that state none.

    Returns:
        A row of each toxic side; its civil sides are the candidates.

    Raises:
        DataError: Naming row and column, if something is missing or of another type.
        UnknownNameError: If a language is none of the 15.
    """
    stated = find_column(table.columns, LICENCE_COLUMNS)
    rows = []
    for pair, row in zip(pairs_of(table, name, source), table.rows, strict=True):
        language(pair.lang)
        rows.append({
            "id": pair.id,
            "lang": pair.lang,
            "source": pair.source,
            "licence": str((row.get(stated) if stated else None) or licence),
            "text": pair.toxic,
            "answers": [{"text": civil, "finished": True} for civil in pair.neutral],
            "error": "",
        })  # fmt: skip
    if not rows:
        raise DataError(f"{name} has no rows.", mend="name a file of pairs")
    return rows


def take_up(folder: Path, run: Run, rows: Sequence[dict[str, Any]], *, overwrite: bool) -> None:
    """Writes a set's answers and how it was made, as far as that is known.

    Args:
        folder: Where; made if it is missing.
        run: Without a version of the prompts: what the model was asked is not known.
        rows: See `published_rows`.
        overwrite: Throw away what is there.

    Raises:
        DataError: If another set is there.
    """
    if (folder / RUN_FILE).exists() and not overwrite:
        raise DataError(
            f"{str(folder)!r} holds a set already.",
            mend="filter that folder, name another with --output, or --overwrite",
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / ANSWERS_FILE, json_lines(rows))
    write_bytes(folder / RUN_FILE, json_file(asdict(run)))
