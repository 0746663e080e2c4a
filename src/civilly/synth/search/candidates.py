"""A data set as the search sees it: a few hundred rows of each language, from any file."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from civilly.data.columns import find_column
from civilly.data.corpus.licences import NONE_STATED
from civilly.data.io import knows_suffix, read_table, uncompressed
from civilly.data.leaks import normalise
from civilly.data.table import Table
from civilly.data.values import as_words
from civilly.detect.language import identify
from civilly.errors import CivillyError, DataError
from civilly.languages import language_code
from civilly.synth.search.columns import Chosen, Columns, civil_sides, guess_columns, labels_of
from civilly.synth.texts import LICENCE_COLUMNS

POOL = 20
"""Times as many rows as are compared are looked at for languages and duplicates."""
CARD = "README.md"


@dataclass(frozen=True, slots=True)
class SetRow:
    """A row of a set.

    Attributes:
        text: The text; the toxic side of a pair.
        lang: One of the 15 languages, as stated, else as identified.
        label: 1 toxic, 0 civil, None unknown.
        civil: Civil sides of a pair.
    """

    text: str
    lang: str
    label: int | None = None
    civil: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """A set that was read.

    Attributes:
        name: What it is called: the file's name without suffix, or the id on the hub.
        where: The file, or the address.
        total: Rows in all.
        rows: Rows looked at, drawn at random.
        columns: What was taken for what.
        licence: As stated; `NONE_STATED` otherwise.
        languages: Share of the rows looked at in each language.
        duplicates: Share of the rows looked at that repeat another but for case and signs.
        notes: What the user should know.
    """

    name: str
    where: str
    total: int
    rows: tuple[SetRow, ...]
    columns: Columns
    licence: str = NONE_STATED
    languages: Mapping[str, float] = field(default_factory=dict)
    duplicates: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def pairs(self) -> bool:
        """Whether it holds pairs."""
        return self.columns.civil is not None


def files_of(places: Sequence[Path]) -> list[Path]:
    """The data files of files and folders, folders at any depth, each once, in order.

    Raises:
        DataError: If a place does not exist, or a folder holds none.
    """
    found: dict[Path, None] = {}
    for place in places:
        if place.is_dir():
            inside = sorted(p for p in place.rglob("*") if p.is_file() and knows_suffix(p))
            if not inside:
                raise DataError(
                    f"{str(place)!r} holds no data files.",
                    allowed=".tsv, .csv, .jsonl, .parquet, .txt, each also with .gz",
                )
            found |= dict.fromkeys(inside)
        else:
            found[place] = None
    return list(found)


def read_licences(path: Path) -> dict[str, str]:
    """The licences of sets: a table with the columns ``name`` and ``licence``.

    Raises:
        DataError: If a column is missing.
    """
    table = read_table(path)
    name, licence = (find_column(table.columns, names) for names in (("name",), LICENCE_COLUMNS))
    if name is None or licence is None:
        raise DataError(
            f"{str(path)!r} has no column {'name' if name is None else 'licence'!r}.",
            allowed=", ".join(map(repr, table.columns)) + " were found",
            mend="a header line: name, licence",
        )
    return {as_words(row.get(name)): as_words(row.get(licence)) for row in table.rows}


def read_set(
    path: Path, chosen: Chosen, most: int, seed: int, licences: Mapping[str, str]
) -> DataSet:
    """Reads a file.

    Args:
        path: Of any format of `civilly.data.io`.
        chosen: What the user says about its columns.
        most: Rows to be compared, of each language.
        seed: Of the choice of rows.
        licences: Of sets by name.

    Raises:
        DataError: If it cannot be read, is empty, or no column holds texts.
    """
    name = uncompressed(path).stem
    table = read_table(path)
    stated = licences.get(name) or _card_licence(path.parent)
    return set_of_table(table, name, str(path), chosen, most, seed, stated)


def set_of_table(
    table: Table,
    name: str,
    where: str,
    chosen: Chosen,
    most: int,
    seed: int,
    licence: str | None = None,
    total: int | None = None,
) -> DataSet:
    """A set of the rows of a table; see `read_set`."""
    if not table.rows:
        raise DataError(f"{where} is empty.")
    columns = guess_columns(table, where, chosen)
    rows = list(table.rows)
    random.Random(seed).shuffle(rows)
    rows = rows[: most * POOL]
    labels: list[int | None] = [None] * len(rows)
    notes = []
    if columns.label is not None:
        labels = labels_of([row.get(columns.label) for row in rows], chosen.toxic_values)
        if all(label is None for label in labels):
            notes.append(f"labels in {columns.label!r} are not understood: --toxic-value VALUE")
    texts = [as_words(row.get(columns.text)).strip() for row in rows]
    stated = [language_code(as_words(row.get(columns.lang or "")).strip()) for row in rows]
    unstated = [i for i, code in enumerate(stated) if code is None]
    for i, code in zip(unstated, identify([texts[i] for i in unstated]), strict=True):
        stated[i] = code
    made = [
        SetRow(text, lang, label, civil_sides(row.get(columns.civil)) if columns.civil else ())
        for text, lang, label, row in zip(texts, stated, labels, rows, strict=True)
        if text and lang
    ]
    if not made:
        raise DataError(f"{where}: the column {columns.text!r} holds no texts.")
    counts = Counter(row.lang for row in made)
    return DataSet(
        name,
        where,
        total or len(table.rows),
        tuple(made),
        columns,
        licence or _column_licence(table, columns),
        {code: counts[code] / len(made) for code in sorted(counts, key=lambda c: -counts[c])},
        _repeated(row.text for row in made),
        tuple(notes),
    )


def _repeated(texts: Iterable[str]) -> float:
    plain = [normalise(text) or text for text in texts]
    return 1.0 - len(set(plain)) / len(plain)


def _column_licence(table: Table, columns: Columns) -> str:
    """The licences that rows state, all of which apply."""
    if columns.licence is None:
        return NONE_STATED
    stated = {as_words(row.get(columns.licence)) or NONE_STATED for row in table.rows}
    return " AND ".join(sorted(stated))


def _card_licence(folder: Path) -> str | None:
    """What the card in the folder says, as those of the hub do."""
    card = folder / CARD
    if not card.is_file():
        return None
    from huggingface_hub.repocard import metadata_load

    try:
        stated = (metadata_load(card) or {}).get("license")
    except (ValueError, OSError):
        return None
    return " AND ".join(map(str, stated)) if isinstance(stated, list) else stated


def read_sets(
    paths: Sequence[Path], chosen: Chosen, most: int, seed: int, licences: Mapping[str, str]
) -> tuple[list[DataSet], dict[str, str]]:
    """Reads files; one that cannot be read does not end the search.

    Returns:
        The sets, and why others could not be read, by file.
    """
    sets: list[DataSet] = []
    failed: dict[str, str] = {}
    for path in paths:
        try:
            sets.append(read_set(path, chosen, most, seed, licences))
        except CivillyError as error:
            failed[str(path)] = str(error)
    return sets, failed
