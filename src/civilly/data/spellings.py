"""What no encoder takes: mended for those who work on a row, remembered for those who write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from civilly.data.files import mend_surrogates
from civilly.data.table import Row

NOT_UTF8 = (
    "bytes that are not UTF-8 (or lone surrogates) are read as U+FFFD; in other columns they are "
    "written back as they are, if the format stays the same"
)


def mend_row(row: Row, spelt: dict[str, tuple[Any, str]], write: Callable[[str], str]) -> bool:
    """Replaces lone surrogates in the texts and names of a row, and keeps their spelling.

    Args:
        row: Changed in place.
        spelt: The spellings of the row, changed in place.
        write: Spells a text of which ``spelt`` says nothing.

    Returns:
        Whether there were any.
    """
    found = False
    for column, value in list(row.items()):
        name = mend_surrogates(column)
        text = mend_surrogates(value) if isinstance(value, str) else value
        if text != value:
            spelling = spelt[column][1] if column in spelt else write(value)
            row[column], spelt[column], found = text, (text, spelling), True
        if name != column:
            found = True
            del row[column]
            row[name] = text
    return found
