"""Rewrites of real texts: every candidate of a text, of which one at most is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.synth.filters import Sample
from civilly.synth.folder import Run
from civilly.synth.prompts import made_text, prompt_for
from civilly.synth.sifting import NO_ANSWER, UNFINISHED, Verdict
from civilly.synth.texts import SourceText

ONE_EACH = True


def verdicts_of(run: Run, rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Every candidate in the answers, not judged yet; a text without an answer has an empty one."""
    verdicts = []
    for number, row in enumerate(rows):
        text = source_text(row)
        head = prompt_for(text.as_text, run.way, run.shots).head if run.prompt else ""
        for candidate, answer in enumerate(row["answers"] or [{"text": "", "finished": True}]):
            made = made_text(answer["text"], text.as_text) if run.prompt else answer["text"]
            sample = Sample(
                text.text, made, answer["text"], text.lang, _licence(run, text), run.way, head
            )
            verdict = Verdict(number, candidate, sample)
            if not row["answers"]:
                verdict.against.append(NO_ANSWER)
            elif not (answer["finished"] or "\n" in answer["text"].strip()):
                verdict.against.append(UNFINISHED)
            verdicts.append(verdict)
    return verdicts


def _licence(run: Run, text: SourceText) -> str:
    """All licences that apply to a row; "" where the text states none."""
    return " AND ".join(filter(None, (text.licence, run.model_licence))) if text.licence else ""


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
        **run.provenance(verdict.candidate),
        "filters": verdict.values,
    }
    if verdict.against:
        row |= {
            "rejected_by": verdict.against,
            "answer": verdict.sample.answer,
            "error": answered["error"],
        }
    return row
