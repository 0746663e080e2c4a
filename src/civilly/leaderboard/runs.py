"""Reads a folder of runs: files of scores (``civilly score --output``) and plain submissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from civilly.data.alignment import AlignedRow, align_alone
from civilly.data.io import format_of, knows_suffix, read_table, uncompressed
from civilly.data.submission import REWRITE_COLUMNS, TOXIC_COLUMNS, submission_from
from civilly.errors import CivillyError, DataError
from civilly.score.joint import COMPONENTS, JOINT, SHARES
from civilly.score.scores_file import SystemScores, read_json, scores_from

MEASURES = (JOINT, *COMPONENTS)
"""What a row is scored on: J, STA, SIM, FL."""


class Sentence(NamedTuple):
    """A sentence of a test set.

    Attributes:
        lang: Language code.
        text: The toxic sentence, white space made equal: published outputs are often stripped.
        occurrence: 0 for its first row in a file, 1 for the second with the same text, and so on.
    """

    lang: str
    text: str
    occurrence: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """What a system made of a sentence.

    Attributes:
        output: The rewrite; "" where it is missing.
        references: What people wrote; may be empty.
        scores: J, STA, SIM and FL in [0, 1] by name.
        shares: Those of `civilly.score.joint.SHARES`, of a suite that finds faults.
    """

    output: str
    references: tuple[str, ...]
    scores: Mapping[str, float]
    shares: Mapping[str, float] = field(default_factory=dict)


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
        rows: Its rows, without references.
    """

    name: str
    rows: Sequence[AlignedRow]


@dataclass(slots=True)
class Runs:
    """What a folder holds.

    Attributes:
        systems: Scored systems, sorted by name.
        submissions: Systems still to be scored, sorted by name; none that is among `systems`.
        warnings: Files that are neither, and what was odd about the others.
    """

    systems: list[System] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_runs(folder: Path, suite: str | None = None) -> Runs:
    """Reads every file of scores and every submission below a folder.

    A submission is called like its file (with the folder before it where two files have one name).
    One that was also scored, by a file of scores with the same system's name, is not scored again.

    Args:
        folder: The folder, searched with all folders in it.
        suite: Only the scores of this suite; None: of all.

    Raises:
        DataError: If there is no such folder, nothing in it, a damaged file, scores without STA,
            SIM, FL and J, or two scores of one system by one suite.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {str(folder)!r}.", mend="check the path")
    runs = Runs()
    origin: dict[tuple[str, str], Path] = {}
    tables: dict[Path, Sequence[AlignedRow]] = {}
    for path in sorted(path for path in folder.rglob("*") if _may_be_run(path, folder)):
        if path.suffix == ".json":
            _add_scores(path, suite, runs, origin)
        else:
            _add_table(path, runs, tables)
    scored = {name for name, _ in origin}
    for path, name in _names(tables, folder).items():
        if name not in scored and tables[path]:
            runs.submissions.append(Submission(name, tables[path]))
    runs.systems.sort(key=lambda system: (system.name, system.suite))
    runs.submissions.sort(key=lambda submission: submission.name)
    if not runs.systems and not runs.submissions:
        raise DataError(
            f"{str(folder)!r} holds no scores" + (f" by {suite!r}" if suite else "") + ".",
            allowed="files of civilly score --output, or submissions with the columns "
            "toxic_sentence, neutral_sentence, lang",
            mend=f"civilly score SUBMISSION -o {folder / 'NAME.json'}"
            + (", or another --suite" if suite else ""),
        )
    return runs


def _may_be_run(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    if hidden or not path.is_file():
        return False
    return path.suffix == ".json" or (knows_suffix(path) and format_of(path) != "lines")


def _add_scores(
    path: Path, suite: str | None, runs: Runs, origin: dict[tuple[str, str], Path]
) -> None:
    content = read_json(path)
    if not (isinstance(content, dict) and {"system", "suite", "rows"} <= content.keys()):
        runs.warnings.append(f"{path}: ignored, since it is no file of scores")
        return
    scores = scores_from(content, path)
    if suite not in (None, scores.suite):
        return
    key = (scores.system, scores.suite)
    if key in origin:
        raise DataError(
            f"{str(origin[key])!r} and {str(path)!r} are both the scores of {scores.system!r} by "
            f"{scores.suite!r}.",
            mend="remove one of them, or change the system's name in it",
        )
    origin[key] = path
    runs.systems.append(system_of(scores, str(path)))


def _add_table(path: Path, runs: Runs, tables: dict[Path, Sequence[AlignedRow]]) -> None:
    table = read_table(path)
    columns = {column.strip().lower() for column in table.columns}
    if columns.isdisjoint(TOXIC_COLUMNS) or columns.isdisjoint(REWRITE_COLUMNS):
        runs.warnings.append(f"{path}: ignored, since it is no submission")
        return
    rows, warnings = submission_from(table, path)
    tables[path] = align_alone(rows, "zero", str(path)).rows
    runs.warnings += warnings


def system_of(scores: SystemScores, name: str = "The scores") -> System:
    """A system of the board from its scores.

    Args:
        scores: Scores by a suite, at least one row.
        name: What to call them in messages.

    Raises:
        DataError: If there are no rows, no STA, SIM, FL and J, or a score outside [0, 1].
    """
    missing = [measure for measure in MEASURES if measure not in scores.columns]
    if missing:
        raise DataError(
            f"{name} of {scores.system!r} by {scores.suite!r} lack {', '.join(missing)}.",
            mend="score with a suite (civilly ls metrics), a plain metric has no components",
        )
    told = [share for share in SHARES if share in scores.columns]
    for number, values in enumerate(scores.scores, start=1):
        if not all(0.0 <= values[column] <= 1.0 for column in (*MEASURES, *told)):
            raise DataError(f"{name}, row {number}: a score is outside [0, 1].", mend="score again")
    rows = [
        Row(
            row.output or "",
            row.references,
            {measure: values[measure] for measure in MEASURES},
            {share: values[share] for share in told},
        )
        for row, values in zip(scores.rows, scores.scores, strict=True)
    ]
    sentences = sentences_of(scores.rows)
    pairs = dict(zip(sentences, rows, strict=True))
    return System(scores.system, scores.suite, scores.signature, pairs)


def sentences_of(rows: Iterable[AlignedRow]) -> list[Sentence]:
    """The sentence of each row; the same text again is the next occurrence."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for row in rows:
        key = (row.lang, " ".join(row.toxic.split()))
        found.append(Sentence(*key, seen[key]))
        seen[key] += 1
    return found


def chosen_suite(runs: Runs, default: str) -> str:
    """The one suite of a board: that of the files of scores, or the default where there are none.

    Raises:
        CivillyError: If there are scores by several suites: they cannot be compared.
    """
    names = sorted({system.suite for system in runs.systems})
    if len(names) > 1:
        raise CivillyError(
            f"The runs were scored by {len(names)} suites: {', '.join(names)}.",
            mend=f"choose one, for example --suite {names[0]}",
        )
    return names[0] if names else default


def _names(tables: Iterable[Path], folder: Path) -> dict[Path, str]:
    """A name per submission: the file's, with its folders where two files share it."""
    stems = {path: uncompressed(path).stem for path in tables}
    often = Counter(stems.values())
    return {
        path: stem if often[stem] == 1 else (path.parent.relative_to(folder) / stem).as_posix()
        for path, stem in stems.items()
    }
