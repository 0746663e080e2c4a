"""Preferences of careful readers: an output found good against a faulty one of the same text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from civilly.data.kept_apart import reading_kept_apart
from civilly.data.readings import Reading, read_readings
from civilly.errors import DataError
from civilly.train.preference_data.rated import Rated, RatedText, Read
from civilly.train.preference_data.recipe import ReadingsSource

WRITTEN = "written"
"""What readings call a civil version that the reader wrote because no output was good."""


def read_source(source: ReadingsSource, beside: Path) -> Read:
    """The texts of folders of readings, each once, with every output that may be used.

    An output that one reader found good and another did not is a tie.

    Args:
        source: What the recipe says.
        beside: The recipe's folder.

    Raises:
        DataError: If a folder holds no readings, or a line is none.
    """
    readings = [row for path in source.paths for row in _of_folder(beside / path)]
    by_text: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        by_text.setdefault((reading.lang, reading.text), []).append(reading)
    read = Read()
    for rows in by_text.values():
        used = [row for row in rows if _is_used(row, source)]
        outputs = _rated(used, read.ties)
        if outputs:
            first = rows[0]
            apart = reading_kept_apart(first.text)
            read.texts.append(
                RatedText(first.id, first.lang, first.text, first.source, outputs, apart)
            )
    return read


def worth(reading: Reading) -> float:
    """In [0, 1]: 1 good as it is, 2/3 good after an edit, 1/3 faulty but usable, 0 faulty."""
    return (reading.use + (reading.fault == "good")) / 3


def _of_folder(folder: Path) -> list[Reading]:
    found = read_readings(folder)
    if not found:
        raise DataError(
            f"There are no readings in {str(folder)!r}.",
            mend="check paths of the source; they start at the recipe's folder",
        )
    return found


def _is_used(reading: Reading, source: ReadingsSource) -> bool:
    """Whether the recipe takes an output of these systems."""
    left_out = set(source.left_out_systems)
    if not source.written:
        left_out.add(WRITTEN)
    return not set(reading.systems) <= left_out


def _rated(rows: Sequence[Reading], ties: Counter[str]) -> tuple[Rated, ...]:
    """The different outputs; readings of one output are averaged where they agree on good."""
    by_output: dict[str, list[Reading]] = {}
    for row in rows:
        by_output.setdefault(row.rewrite, []).append(row)
    rated = []
    for output, read in by_output.items():
        good = {row.fault == "good" for row in read}
        if len(good) > 1:
            ties["readers_disagree"] += 1
            continue
        value = sum(map(worth, read)) / len(read)
        rated.append(Rated(output, value, good.pop(), read[0].fault))
    return tuple(rated)
