"""Reads a folder that ``civilly synth detoxify`` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from civilly.data.corpus.licences import NONE_STATED, licence_parts
from civilly.data.files import decode, read_bytes
from civilly.data.pairs import Pair, read_pairs
from civilly.errors import DataError

ACCEPTED_FILE, REPORT_FILE = "accepted.jsonl", "synthetic.json"
PAIRS = "pairs"
"""The use of rows that rewriters may be trained on."""


def read_synthetic(folder: Path) -> list[Pair]:
    """The accepted pairs of a synthetic set, in order.

    Raises:
        DataError: If a file is missing or damaged, or the set's toxic sides were made by a model:
            rewriters trained on them are misled.
    """
    report = _report(folder)
    if report["use"] != PAIRS:
        raise DataError(
            f"{str(folder)!r} may be used as {report['use']!r} only: a model made its toxic sides.",
            allowed="sets of civilly synth detoxify",
            mend="leave the source out",
        )
    return read_pairs(folder / ACCEPTED_FILE)


def synthetic_licence(folder: Path) -> str:
    """All licences of the rows of a synthetic set, put together with `` AND ``.

    Raises:
        DataError: If its report is missing or damaged.
    """
    stated = _report(folder)["licences"]
    parts = [part for licence in stated for part in licence_parts(licence) or [NONE_STATED]]
    return " AND ".join(dict.fromkeys(parts))


def _report(folder: Path) -> dict[str, Any]:
    path = folder / REPORT_FILE
    try:
        report = json.loads(decode(read_bytes(path), str(path)))
        return {"use": str(report["use"]), "licences": sorted(map(str, report["licences"]))}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{str(path)!r} is no report of a synthetic set.", mend="make the set again"
        ) from error
