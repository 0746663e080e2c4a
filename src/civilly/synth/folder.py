"""The folder of a synthetic set: run, answers, accepted and rejected rows, report, card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.data.corpus.synthetic_reader import ACCEPTED_FILE, REPORT_FILE
from civilly.data.files import decode, read_bytes, write_bytes
from civilly.data.values import as_json
from civilly.errors import DataError
from civilly.synth.asking import Task
from civilly.synth.prompts import DIRECTIONS, Direction

RUN_FILE, ANSWERS_FILE, REJECTED_FILE, SPENT_FILE, CARD_FILE = (
    "run.json", "answers.jsonl", "rejected.jsonl", "spent.json", "README.md",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """How a set was made; with the answers it says everything that rows have in common.

    Attributes:
        direction: ``detoxify``, ``toxify`` or ``threads``.
        engine: Name of the engine.
        model: The model's name.
        prompt: Version of the prompts; "" of a set that others made: what was asked is not known,
            and what was answered is the rewrite itself.
        shots: Examples in a prompt.
        n: Candidates asked for per text or thread.
        temperature: Of sampling.
        seed: Of sampling.
        model_licence: Under what terms the model's outputs may be used, SPDX, or "".
        input: SHA-256 of the input.
        version: Of Civilly.
        head: What the prompts of an invented set begin with.
    """

    direction: str
    engine: str
    model: str
    prompt: str
    shots: int
    n: int
    temperature: float
    seed: int
    model_licence: str
    input: str
    version: str
    head: str = ""

    @property
    def way(self) -> Direction:
        """The direction itself."""
        return DIRECTIONS[self.direction]

    def provenance(self, candidate: int) -> dict[str, Any]:
        """What every row says of how it was made."""
        return {
            "engine": self.engine,
            "model": self.model,
            "prompt_version": self.prompt,
            "temperature": self.temperature,
            "seed": self.seed,
            "candidate": candidate,
        }


def answer_rows(tasks: Sequence[Task], records: Mapping[int, Mapping[str, Any]]) -> list[Any]:
    """What was answered, with the tasks, in order; those without a record are left out."""
    return [
        task.row() | {"answers": records[row]["answers"], "error": records[row]["error"]}
        for row, task in enumerate(tasks)
        if row in records
    ]


def write_folder(folder: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Writes files whole or not at all; their SHA-256 by name."""
    for name, data in files.items():
        write_bytes(folder / name, data)
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def json_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(as_json(row) + "\n" for row in rows).encode()


def json_file(content: Mapping[str, Any]) -> bytes:
    """One object as JSON for people."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read_run(folder: Path) -> tuple[Run, list[dict[str, Any]]]:
    """How a set was made, and all answers.

    Raises:
        DataError: If there is no complete set in the folder.
    """
    try:
        run = Run(**json.loads(decode(read_bytes(folder / RUN_FILE), RUN_FILE)))
        return run, read_rows(folder / ANSWERS_FILE)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{str(folder)!r} holds no synthetic set: {error}", mend="make it again: --overwrite"
        ) from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of JSON lines that were written here.

    Raises:
        DataError: If the file is missing or damaged.
    """
    try:
        return [json.loads(line) for line in decode(read_bytes(path), str(path)).split("\n")[:-1]]
    except ValueError as error:
        raise DataError(f"{str(path)!r} is damaged: {error}", mend="make it again") from error


__all__ = [
    "ACCEPTED_FILE", "ANSWERS_FILE", "CARD_FILE", "REJECTED_FILE", "REPORT_FILE", "RUN_FILE",
    "SPENT_FILE", "Run", "answer_rows", "json_file", "json_lines", "read_rows", "read_run",
    "write_folder",
]  # fmt: skip
