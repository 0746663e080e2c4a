"""Reads a folder of runs: files of scores (``civilly score --output``) and plain submissions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from civilly.data.columns import language_code
from civilly.data.files import decode, mend_surrogates, read_bytes
from civilly.data.io import format_of, knows_suffix, read_table
from civilly.data.table import Table
from civilly.data.values import as_text
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.score.joint import COMPONENTS, JOINT

MEASURES = (JOINT, *COMPONENTS)
"""What a row is scored on: J, STA, SIM, FL."""
FORMAT = 1
"""Version of the files of scores that is understood."""

_SOURCE = ("toxic", "toxic_sentence")
_OUTPUT = ("output", "neutral_sentence", "rewritten")
_LANG = ("lang", "language")


class Sentence(NamedTuple):
    """A sentence of a test set.

    Attributes:
        lang: Language code.
        text: The toxic sentence.
        occurrence: 0 for its first row in a file, 1 for the second with the same text, and so on.
    """

    lang: str
    text: str
    occurrence: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """What a system made of a sentence.

    Attributes:
        output: The rewrite.
        references: What people wrote; may be empty.
        scores: J, STA, SIM and FL in [0, 1] by name.
    """

    output: str
    references: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class System:
    """A scored system.

    Attributes:
        name: What it is called.
        suite: Name of the suite that scored it.
        signature: The suite's signature.
        rows: Its rows, in the order of the file.
    """

    name: str
    suite: str
    signature: str
    rows: Mapping[Sentence, Row]


@dataclass(frozen=True, slots=True)
class Submission:
    """A system's outputs that nobody has scored yet.

    Attributes:
        name: What it is called.
        outputs: Output of each sentence, in the order of the file.
    """

    name: str
    outputs: Mapping[Sentence, str]


@dataclass(slots=True)
class Runs:
    """What a folder holds.

    Attributes:
        systems: Scored systems, sorted by name.
        submissions: Systems still to be scored, sorted by name; none that is among `systems`.
        ignored: Files that are neither, with the reason.
    """

    systems: list[System] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def read_runs(folder: Path, suite: str | None = None) -> Runs:
    """Reads every file of scores and every submission below a folder.

    A submission is called like its file (with the folder before it where two files have one name).
    One that was also scored, by a file of scores with the same system's name, is not scored again.

    Args:
        folder: The folder, searched with all folders in it.
        suite: Only the scores of this suite; None: of all.

    Raises:
        DataError: If there is no such folder, nothing in it, a damaged file, or two scores of one
            system by one suite.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {str(folder)!r}.", mend="check the path")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _looks_like_run(path))
    runs = Runs()
    origin: dict[tuple[str, str], Path] = {}
    tables: dict[Path, dict[Sentence, str]] = {}
    for path in files:
        if path.suffix != ".json":
            _read_table(path, tables, runs)
            continue
        system = _read_scores(path)
        if system is None:
            runs.ignored.append(f"{path}: not a file of scores")
        elif suite in (None, system.suite):
            key = (system.name, system.suite)
            if key in origin:
                raise DataError(
                    f"{str(origin[key])!r} and {str(path)!r} are both the scores of "
                    f"{system.name!r} by {system.suite!r}.",
                    mend="remove one of them, or change the system's name in it",
                )
            origin[key] = path
            runs.systems.append(system)
    scored = {name for name, _ in origin}
    for path, name in _names(tables, folder).items():
        if name not in scored:
            runs.submissions.append(Submission(name, tables[path]))
    runs.systems.sort(key=lambda system: (system.name, system.suite))
    runs.submissions.sort(key=lambda submission: submission.name)
    if not runs.systems and not runs.submissions:
        raise DataError(
            f"{str(folder)!r} holds no scores" + (f" by {suite!r}" if suite else "") + ".",
            allowed="files of civilly score --output, or submissions with the columns "
            "toxic_sentence, neutral_sentence, lang",
        )
    return runs


def _looks_like_run(path: Path) -> bool:
    if any(part.startswith(".") for part in path.parts[-2:]):
        return False
    return path.suffix == ".json" or (knows_suffix(path) and format_of(path) != "lines")


def _read_table(path: Path, tables: dict[Path, dict[Sentence, str]], runs: Runs) -> None:
    table = read_table(path)
    chosen = [_first(table, names) for names in (_SOURCE, _OUTPUT, _LANG)]
    missing = [
        names[0]
        for names, column in zip((_SOURCE, _OUTPUT, _LANG), chosen, strict=True)
        if column is None
    ]
    if missing or not table.rows:
        reason = f"no column {missing[0]!r}" if missing else "no rows"
        runs.ignored.append(f"{path}: not a submission ({reason})")
        return
    source, output, lang = (str(column) for column in chosen)
    rows = [(row.get(lang), row.get(source), row.get(output)) for row in table.rows]
    keys = number_sentences((_code(row[0], path, i), as_text(row[1])) for i, row in enumerate(rows))
    tables[path] = {key: as_text(row[2]) for key, row in zip(keys, rows, strict=True)}


def _first(table: Table, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table.columns), None)


def _names(tables: Iterable[Path], folder: Path) -> dict[Path, str]:
    """A name per submission: the file's, with its folders where two files share it."""
    stems = {path: path.name.split(".")[0] for path in tables}
    often = Counter(stems.values())
    return {
        path: stem if often[stem] == 1 else (path.parent.relative_to(folder) / stem).as_posix()
        for path, stem in stems.items()
    }


def number_sentences(keys: Iterable[tuple[str, str]]) -> list[Sentence]:
    """Sentences of (language, text) pairs; the same pair again is the next occurrence."""
    seen: Counter[tuple[str, str]] = Counter()
    numbered = []
    for key in keys:
        numbered.append(Sentence(*key, seen[key]))
        seen[key] += 1
    return numbered


def _code(value: object, path: Path, index: int) -> str:
    code = language_code(as_text(value))
    if code is None:
        raise DataError(
            f"{path}, row {index + 1}: unknown language {as_text(value)[:20]!r}.",
            allowed=", ".join(CODES),
        )
    return code


def _read_scores(path: Path) -> System | None:
    """A file of scores; None if the file is another kind of JSON."""
    try:
        found = json.loads(decode(read_bytes(path), str(path)))
    except json.JSONDecodeError as error:
        raise DataError(f"{str(path)!r} is not JSON: {error}.", mend="score it again") from error
    if not isinstance(found, dict) or not {"system", "suite", "rows"} <= found.keys():
        return None
    if found.get("format") != FORMAT:
        raise DataError(
            f"{str(path)!r} has format {found.get('format')!r}.",
            allowed=str(FORMAT),
            mend="score it again with this version",
        )
    rows = found["rows"]
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{str(path)!r} has no rows.", mend="score it again")
    keys = []
    values = []
    for index, row in enumerate(rows):
        keys.append((_code(row.get("lang"), path, index), _text(row, "toxic", path, index)))
        values.append(_row(row, path, index))
    return System(
        mend_surrogates(str(found["system"])),
        str(found["suite"]),
        str(found.get("signature", "")),
        dict(zip(number_sentences(keys), values, strict=True)),
    )


def _row(row: Mapping[str, Any], path: Path, index: int) -> Row:
    references = row.get("reference") or ()
    if isinstance(references, str):
        references = (references,)
    scores = {}
    for name in MEASURES:
        value = row.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0.0 <= float(value or 0) <= 1.0:
            raise DataError(
                f"{path}, row {index + 1}: {name} is {value!r}.",
                allowed="a number in [0, 1]",
                mend="score it again",
            )
        scores[name] = float(value or 0)
    return Row(
        _text(row, "output", path, index),
        tuple(mend_surrogates(str(r)) for r in references),
        scores,
    )


def _text(row: Mapping[str, Any], key: str, path: Path, index: int) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise DataError(f"{path}, row {index + 1}: {key!r} is not a string.", mend="score it again")
    return mend_surrogates(value)
