"""Reads a folder that ``civilly data build`` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from civilly.data.files import decode, read_bytes
from civilly.data.pairs import Pair, read_pairs
from civilly.errors import DataError

TRAIN_FILE, DEV_FILE, REPORT_FILE, CARD_FILE = (
    "train.jsonl", "dev.jsonl", "corpus.json", "README.md",
)  # fmt: skip


def read_built(folder: Path) -> tuple[list[Pair], list[Pair]]:
    """The training pairs and the development pairs of a built corpus, in the order of its files.

    Raises:
        DataError: If a file is missing or damaged.
    """
    return read_pairs(folder / TRAIN_FILE), read_pairs(folder / DEV_FILE)


def built_licences(folder: Path) -> dict[str, str]:
    """The licence of each source that a built corpus consists of.

    Raises:
        DataError: If its report is missing, damaged, or states none.
    """
    path = folder / REPORT_FILE
    try:
        licences = dict(_licences(json.loads(decode(read_bytes(path), str(path)))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{str(path)!r} is no report of a built corpus.", mend="build the corpus again"
        ) from error
    if not licences:
        raise DataError(f"{str(path)!r} states no licences.", mend="build the corpus again")
    return licences


def _licences(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for source in report["sources"]:
        if source["licence"] is not None:
            yield source["name"], source["licence"]
