"""Refuses to quote numbers of a system whose training file holds what it is scored on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from civilly.data.columns import REWRITE_COLUMN, REWRITE_COLUMNS, TEXT_COLUMNS
from civilly.data.io import read_table
from civilly.data.leaks import Leak, find_leaks, normalise
from civilly.data.table import name_rows
from civilly.data.values import as_text
from civilly.errors import DataError, LeakError

MIN_LETTERS = 12
"""Shorter references are no evidence of a leak, even if equal."""

_TEXT_NAMES = {
    *TEXT_COLUMNS,
    *REWRITE_COLUMNS.values(),
    REWRITE_COLUMN,
    "output",
    "reference",
    "references",
}


def refuse_leaks_of_file(
    path: Path, toxic: Sequence[str], references: Sequence[str], *, go_on: bool = False
) -> list[str]:
    """Checks a file that a system was trained on against the sentences that it is scored on.

    Every text of the file counts, toxic side and civil side. References of fewer than `MIN_LETTERS`
    letters are not looked for: "thank you" is nobody's property.

    Args:
        path: The training file: TSV, CSV, JSON lines, Parquet or plain lines.
        toxic: Toxic sentences of the evaluation.
        references: Civil references of the evaluation, of all sentences together.
        go_on: Return what was found instead of raising.

    Returns:
        What was found, as messages; empty if there are no leaks.

    Raises:
        DataError: If the file cannot be read, or no column of it looks like text.
        LeakError: If there are leaks, naming the rows of the file (from 1).
    """
    numbers, texts = _training_texts(path)
    long_enough = [text for text in references if len(normalise(text)) >= MIN_LETTERS]
    evaluation = list(dict.fromkeys([*toxic, *long_enough]))
    found: dict[int, Leak] = {}
    for leak in find_leaks(texts, evaluation):
        found.setdefault(numbers[leak.training], leak)
    if not found:
        return []
    kinds = Counter(leak.kind for leak in found.values())
    row, first = next(iter(found.items()))
    problem = (
        f"{path}: {len(found)} of {len(set(numbers))} rows repeat sentences that are scored "
        f"({kinds['exact']} exactly, {kinds['normalised']} but for case and punctuation, "
        f"{kinds['near']} nearly): {name_rows(list(found))}. "
        f"Row {row} has {evaluation[first.evaluation][:80]!r}."
    )
    if not go_on:
        raise LeakError(
            problem, mend="train without these rows, or quote the numbers as leaked with --go-on"
        )
    return [problem]


def _training_texts(path: Path) -> tuple[list[int], list[str]]:
    """Every text of a training file, with the number of its row."""
    table = read_table(path)
    columns = [name for name in table.columns if name.strip().lower() in _TEXT_NAMES]
    if not columns and table.rows:
        raise DataError(
            f"{path}: no column looks like text; its columns are {', '.join(table.columns)}.",
            allowed=", ".join(sorted(_TEXT_NAMES)),
            mend="rename the columns that hold the texts",
        )
    texts = [
        (number, as_text(value))
        for number, row in enumerate(table.rows, start=1)
        for column in columns
        for value in (row[column] if isinstance(row.get(column), list) else [row.get(column)])
    ]
    return [number for number, _ in texts], [text for _, text in texts]
