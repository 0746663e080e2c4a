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
from civilly.synth.filters import Sample
from civilly.synth.prompts import DIRECTIONS, Direction, made_text, prompt_for
from civilly.synth.sifting import NO_ANSWER, UNFINISHED, Verdict
from civilly.synth.texts import SourceText

RUN_FILE, ANSWERS_FILE, REJECTED_FILE, SPENT_FILE, CARD_FILE = (
    "run.json", "answers.jsonl", "rejected.jsonl", "spent.json", "README.md",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """How a set was made; with the answers it says everything that rows have in common.

    Attributes:
        direction: ``detoxify`` or ``toxify``.
        engine: Name of the engine.
        model: The model's name.
        prompt: Version of the prompts; "" of a set that others made: what was asked is not known,
            and what was answered is the rewrite itself.
        shots: Examples in a prompt.
        n: Candidates asked for per text.
        temperature: Of sampling.
        seed: Of sampling.
        model_licence: Under what terms the model's outputs may be used, SPDX, or "".
        input: SHA-256 of the input.
        version: Of Civilly.
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

    @property
    def way(self) -> Direction:
        """The direction itself."""
        return DIRECTIONS[self.direction]

    def licence(self, text: SourceText) -> str:
        """All licences that apply to a row; "" where the text states none."""
        return (
            " AND ".join(filter(None, (text.licence, self.model_licence))) if text.licence else ""
        )


def answer_rows(texts: Sequence[SourceText], records: Mapping[int, Mapping[str, Any]]) -> list[Any]:
    """What was answered, with the texts, in their order; texts without a record are left out."""
    return [
        {
            "id": text.id,
            "lang": text.lang,
            "source": text.source,
            "licence": text.licence,
            "text": text.text,
            "answers": records[row]["answers"],
            "error": records[row]["error"],
        }
        for row, text in enumerate(texts)
        if row in records
    ]


def verdicts_of(run: Run, rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Every candidate in the answers, not judged yet; a text without an answer has an empty one."""
    verdicts = []
    for number, row in enumerate(rows):
        text = source_text(row)
        head = prompt_for(text.as_text, run.way, run.shots).head if run.prompt else ""
        for candidate, answer in enumerate(row["answers"] or [{"text": "", "finished": True}]):
            made = made_text(answer["text"], text.as_text) if run.prompt else answer["text"]
            sample = Sample(
                text.text, made, answer["text"], text.lang, run.licence(text), run.way, head
            )
            verdict = Verdict(number, candidate, sample)
            if not row["answers"]:
                verdict.against.append(NO_ANSWER)
            elif not (answer["finished"] or "\n" in answer["text"].strip()):
                verdict.against.append(UNFINISHED)
            verdicts.append(verdict)
    return verdicts


def source_text(row: Mapping[str, Any]) -> SourceText:
    """The text of a row of answers."""
    return SourceText(row["id"], row["text"], row["lang"], row["source"], row["licence"])


def row_of(run: Run, verdict: Verdict, answered: Mapping[str, Any]) -> dict[str, Any]:
    """One row as it is written, with its provenance."""
    row: dict[str, Any] = {
        "id": f"{answered['source']}-{answered['id']}-{run.direction}-{verdict.candidate}",
        "lang": answered["lang"],
        "source": answered["source"],
        "toxic": verdict.sample.toxic,
        "neutral": [verdict.sample.civil],
        "use": run.way.use,
        "source_id": answered["id"],
        "licence": verdict.sample.licence,
        "engine": run.engine,
        "model": run.model,
        "prompt_version": run.prompt,
        "temperature": run.temperature,
        "seed": run.seed,
        "candidate": verdict.candidate,
        "filters": verdict.values,
    }
    if verdict.against:
        row |= {
            "rejected_by": verdict.against,
            "answer": verdict.sample.answer,
            "error": answered["error"],
        }
    return row


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
    "row_of", "source_text", "verdicts_of", "write_folder",
]  # fmt: skip
