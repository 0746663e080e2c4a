"""People's judgements of rewrites: STA, SIM and FL per output, several systems per sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from civilly.data.io import read_utf8
from civilly.data.table import Row
from civilly.errors import DataError
from civilly.languages import LANGUAGES, language_code
from civilly.score.joint import COMPONENTS, JOINT

TARGETS = (*COMPONENTS, JOINT)
"""What a metric can be compared with."""
SETS = ("textdetox2024", "russe2022_ru", "emnlp2021_en")
"""Files of ``human/`` in the data folder, by name."""
LEARNT_FROM = "textdetox2024"
"""The set that metrics are trained on (`Learner`)."""
_REQUIRED = ("lang", "system", "toxic", "output", *COMPONENTS)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One output that people judged.

    Attributes:
        text: The toxic input.
        lang: Language code.
        system: Who wrote the output.
        output: The rewrite.
        references: Civil versions by people; empty where the file has none.
        scores: ``STA``, ``SIM``, ``FL`` and ``J`` (their product), each in [0, 1].
        row: All columns of the file, for metrics that are saved there.
    """

    text: str
    lang: str
    system: str
    output: str
    references: tuple[str, ...]
    scores: dict[str, float]
    row: Row


@runtime_checkable
class Learner(Protocol):
    """A metric that was itself trained on people's judgements."""

    def learnt_from(self, judgement: Judgement) -> bool:
        """Whether it was trained on judgements of rewrites of this sentence (of `LEARNT_FROM`)."""


def resolve(name: str, data: Path | None = None) -> Path:
    """The file of a judgement set: one of `SETS` in the data folder, or a path.

    Raises:
        DataError: If there is no such file.
    """
    if name in SETS:
        from civilly.data.pairs import data_folder

        try:
            folder = data_folder(data)
        except DataError as error:
            raise DataError(
                f"The judgements {name!r} are no part of the package: they lie in the folder "
                f"human/ of the data, and {error.problem[0].lower()}{error.problem[1:]}",
                mend=f"name that folder with --data or in the environment variable CIVILLY_DATA, "
                f"or your own judgements with --judgements FILE ({', '.join(_REQUIRED)})",
            ) from error
        return folder / "human" / f"{name}.tsv.gz"
    path = Path(name)
    if not path.exists():
        raise DataError(
            f"There are no judgements {name!r}.",
            allowed=", ".join(SETS) + ", or a file",
            mend="check the name or the path",
        )
    return path


def read_judgements(path: Path) -> list[Judgement]:
    """Reads a table with the columns lang, system, toxic, output, STA, SIM, FL; optional reference.

    Raises:
        DataError: Naming file, row and column, if something is missing or out of range.
    """
    table = read_utf8(path)
    missing = [column for column in _REQUIRED if column not in table.columns]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))}.",
            allowed=", ".join(_REQUIRED),
            mend="rename or add them; the folder human/ of the data has examples",
        )
    return [_judgement(path, number, row) for number, row in enumerate(table.rows, start=1)]


def _judgement(path: Path, number: int, row: Row) -> Judgement:
    scores = {}
    for name in COMPONENTS:
        try:
            scores[name] = float(row[name])
        except (TypeError, ValueError, KeyError):
            scores[name] = math.nan
        if not 0.0 <= scores[name] <= 1.0:
            raise DataError(
                f"{path}, row {number}, column {name!r}: {row.get(name)!r}.",
                allowed="a number in [0, 1]",
            )
    lang = language_code(str(row["lang"]))
    if lang is None:
        raise DataError(
            f"{path}, row {number}, column 'lang': {row['lang']!r}.", allowed=", ".join(LANGUAGES)
        )
    scores[JOINT] = math.prod(scores.values())
    reference = row.get("reference") or ()
    references = (reference,) if isinstance(reference, str) else tuple(map(str, reference))
    text, output = str(row["toxic"]), str(row["output"] or "")
    return Judgement(text, lang, str(row["system"]), output, references, scores, row)


def with_references(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The judgements that have a reference."""
    return [judgement for judgement in judgements if judgement.references]


def unlearnt(metric: object, judgements: Sequence[Judgement], path: Path) -> list[Judgement]:
    """The judgements that may measure a metric: all, but for those that it was trained on.

    Args:
        metric: A metric.
        judgements: The rows of a file.
        path: The file; the rows of another than `LEARNT_FROM` are all kept.
    """
    if not isinstance(metric, Learner) or path.name.partition(".")[0] != LEARNT_FROM:
        return list(judgements)
    return [judgement for judgement in judgements if not metric.learnt_from(judgement)]
