"""The file that holds the scores of one system by one suite, sentence by sentence.

JSON, UTF-8, one row per line, so that it can be read again without scoring and compared by eye::

    {"format": 1, "system": "mt0_baseline", "suite": "embedded",
     "signature": "embedded|…|civilly:0.1.0", "config": {…},
     "rows": [
       {"lang": "en", "toxic": "…", "output": "…", "reference": "…",
        "STA": 0.91, "SIM": 0.87, "FL": 0.95, "J": 0.75},
       …
     ]}

``format`` is the version of this layout; a reader refuses others. ``signature`` is the suite's:
scores are comparable if it is equal. ``config`` (optional) says how the run was made: file
digests, options. A row has ``reference`` only if there is one, a string, or a list of strings if
there are several. An output that was missing is ``""`` and scores 0. A metric that is no suite has
one column, named like the metric, instead of STA, SIM, FL and J; one that finds faults has the
columns of `civilly.score.joint.SHARES` behind J. Rows are in the order of the references; a
sentence may occur more than once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from civilly.data.alignment import AlignedRow
from civilly.data.files import decode, encode, read_bytes, write_bytes
from civilly.data.values import as_json
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.score.joint import JOINT

FORMAT = 1
_TEXTS = ("lang", "toxic", "output")
_OTHER = (*_TEXTS, "reference")


@dataclass(frozen=True, slots=True)
class SystemScores:
    """Scores of one system by one suite.

    Attributes:
        system: Name of the system.
        suite: Name of the suite or metric.
        signature: Signature of the suite.
        rows: The sentences with their rewrites.
        scores: Scores by column, one mapping per row, the same columns in all.
        config: How the run was made; values of JSON.
    """

    system: str
    suite: str
    signature: str
    rows: Sequence[AlignedRow]
    scores: Sequence[Mapping[str, float]]
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the scores, in the order of the file; none if there are no rows."""
        return tuple(self.scores[0]) if self.scores else ()

    @property
    def main_column(self) -> str:
        """What systems are ranked by: J, or the one score of a metric that is no suite.

        Raises:
            DataError: If there are no rows.
        """
        if not self.columns:
            raise DataError(f"The scores of {self.system!r} have no rows.", mend="score again")
        return JOINT if JOINT in self.columns else self.columns[-1]


def write_scores(path: Path, scores: SystemScores) -> None:
    """Writes the file atomically; the same scores give the same bytes.

    Raises:
        DataError: If the file cannot be written.
    """
    head = {
        "format": FORMAT,
        "system": scores.system,
        "suite": scores.suite,
        "signature": scores.signature,
        "config": dict(scores.config),
    }
    lines = [
        as_json(_record(row, values))
        for row, values in zip(scores.rows, scores.scores, strict=True)
    ]
    rows = ",\n".join(lines)
    write_bytes(path, encode(f'{as_json(head)[:-1]}, "rows": [\n{rows}\n]}}\n'))


def _record(row: AlignedRow, values: Mapping[str, float]) -> dict[str, Any]:
    record: dict[str, Any] = {"lang": row.lang, "toxic": row.toxic, "output": row.output or ""}
    if row.references:
        record["reference"] = row.references[0] if len(row.references) == 1 else [*row.references]
    return {**record, **values}


def read_scores(path: Path) -> SystemScores:
    """Reads a scores file.

    Raises:
        DataError: If it is no scores file, of another format, or a row is damaged, naming the row.
    """
    return scores_from(read_json(path), path)


def read_json(path: Path) -> object:
    """Reads a file that should be a scores file; see `scores_from`.

    Raises:
        DataError: If it cannot be read or is not JSON.
    """
    try:
        return json.loads(decode(read_bytes(path), str(path)))
    except ValueError as error:
        raise DataError(
            f"{str(path)!r} is not JSON: {error}.",
            mend="make a scores file with: civilly score SUBMISSION --output SCORES.json",
        ) from error


def scores_from(content: object, path: Path) -> SystemScores:
    """The scores in the content of a scores file.

    Args:
        content: What JSON made of the file.
        path: The file, for messages.

    Raises:
        DataError: If it is no scores file, of another format, or a row is damaged, naming the row.
    """
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise DataError(
            f"{str(path)!r} is JSON, but no scores file.",
            mend="make one with: civilly score SUBMISSION --output SCORES.json",
        )
    if content.get("format") != FORMAT:
        raise DataError(
            f"{str(path)!r} is a scores file of format {content.get('format')!r}.",
            allowed=str(FORMAT),
            mend="score the submission again with this version",
        )
    for key in ("system", "suite", "signature"):
        if not isinstance(content.get(key), str):
            raise DataError(f"{str(path)!r}: {key!r} must be a string.", mend="score again")
    rows: list[AlignedRow] = []
    scores: list[dict[str, float]] = []
    for number, record in enumerate(content["rows"], start=1):
        try:
            row, values = _parse(record)
            if scores and values.keys() != scores[0].keys():
                raise ValueError(f"scores {list(values)} instead of {list(scores[0])}")
        except ValueError as error:
            raise DataError(f"{path}, row {number}: {error}.", mend="score again") from None
        rows.append(row)
        scores.append(values)
    config = content.get("config")
    return SystemScores(
        content["system"],
        content["suite"],
        content["signature"],
        rows,
        scores,
        config if isinstance(config, dict) else {},
    )


def _parse(record: object) -> tuple[AlignedRow, dict[str, float]]:
    if not isinstance(record, dict):
        raise ValueError("a row must be an object")
    for key in _TEXTS:
        if not isinstance(record.get(key), str):
            raise ValueError(f"{key!r} must be a string")
    if record["lang"] not in CODES:
        raise ValueError(f"unknown language {record['lang']!r}")
    given = record.get("reference", [])
    references = [given] if isinstance(given, str) else given
    if not isinstance(references, list) or not all(isinstance(r, str) for r in references):
        raise ValueError("'reference' must be a string or a list of strings")
    values = {key: value for key, value in record.items() if key not in _OTHER}
    if not values:
        raise ValueError("there are no scores")
    for key, value in values.items():
        # bool is an int, but no score; json reads NaN and Infinity.
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise ValueError(f"{key!r} must be a finite number, got {value!r}")
    row = AlignedRow(record["lang"], record["toxic"], record["output"] or None, tuple(references))
    return row, {key: float(value) for key, value in values.items()}
