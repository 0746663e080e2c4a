"""Invented threads: every comment of every answer is a row, with its post and its cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly.synth.filters import Sample
from civilly.synth.folder import Run
from civilly.synth.sifting import NO_ANSWER, NOT_AS_ASKED, UNFINISHED, Verdict
from civilly.synth.threads import Comment, parsed

ONE_EACH = False


def verdicts_of(run: Run, rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Every comment in the answers, not judged yet; what holds none has one empty comment."""
    verdicts = []
    for number, row in enumerate(rows):
        for candidate, answer in enumerate(row["answers"] or [None]):
            found = _comments(run, row, number, candidate, answer)
            for place, verdict in enumerate(found):
                verdict.comment = place
            verdicts += found
    return verdicts


def _comments(
    run: Run,
    row: Mapping[str, Any],
    number: int,
    candidate: int,
    answer: Mapping[str, Any] | None,
) -> list[Verdict]:
    def verdict(post: str, comment: Comment | str, against: str = "") -> Verdict:
        toxic, civil = "", ""
        told: dict[str, Any] = {}
        if isinstance(comment, Comment):
            toxic, civil, told = comment.toxic, comment.civil, {"toxicity": comment.toxicity}
        else:
            told = {"wrong": comment}
        said = answer["text"] if answer else ""
        sample = Sample(civil, toxic, said, row["lang"], run.model_licence, run.way, run.head, post)
        return Verdict(number, candidate, sample, told=told, against=[against] if against else [])

    if answer is None:
        return [verdict("", row["error"], NO_ANSWER)]
    read = parsed(answer["text"])
    if read.wrong:
        return [verdict("", read.wrong, NOT_AS_ASKED if answer["finished"] else UNFINISHED)]
    return [
        verdict(read.post, each, "" if isinstance(each, Comment) else NOT_AS_ASKED)
        for each in read.comments
    ]


def row_of(run: Run, verdict: Verdict, answered: Mapping[str, Any]) -> dict[str, Any]:
    """One row as it is written, with its provenance."""
    row: dict[str, Any] = {
        "id": f"{answered['id']}-{verdict.candidate}-{verdict.comment}",
        "lang": answered["lang"],
        "source": answered["source"],
        "post": verdict.sample.context,
        "toxic": verdict.sample.toxic,
        "neutral": [verdict.sample.civil],
        "use": run.way.use,
        "source_id": answered["id"],
        "cell": answered["cell"],
        "licence": verdict.sample.licence,
        **run.provenance(verdict.candidate),
        **verdict.told,
        "filters": verdict.values,
    }
    if verdict.against:
        row |= {
            "rejected_by": verdict.against,
            "answer": verdict.sample.answer,
            "error": answered["error"],
        }
    return row
