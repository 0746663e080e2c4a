"""Station 6: the sentences become texts again, with the trace of why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from civilly.pipeline.choose import KEPT_SELF_HARM, MORE_TOXIC
from civilly.pipeline.find import Batch
from civilly.pipeline.sentences import Part
from civilly.types import Candidate, Choice, Detection, Detector, Rewrite, Scores, Text

NOTHING_TO_DO = "the text is civil already, or has no words"
ALSO_SELF_HARM = "a sentence that speaks of harm to oneself is kept as it is and flagged"


def join(
    batch: Batch,
    choices: Mapping[int, Choice],
    before: Sequence[Detection],
    detector: Detector,
) -> list[Rewrite]:
    """One result per text of the batch.

    Args:
        batch: The sentences.
        choices: For those that were tried.
        before: What was found in each text.
        detector: Looks at what came out.
    """
    outputs = joined(batch, choices)
    changed = [row for row, text in enumerate(batch.texts) if outputs[row] != text.text]
    written = [Text(outputs[row], batch.texts[row].lang) for row in changed]
    after = dict(zip(changed, detector.detect(written), strict=True))
    return [
        _result(
            text,
            outputs[row],
            (before[row], after.get(row, before[row])),
            [(batch.parts[i], choices[i]) for i in members if i in choices],
        )
        for text, (row, members) in zip(batch.texts, batch.rows(), strict=True)
    ]


def joined(batch: Batch, choices: Mapping[int, Choice]) -> list[str]:
    """Each text from its parts, as they were or as they were rewritten."""
    rows: list[list[str]] = [[] for _ in batch.texts]
    for i, part in enumerate(batch.parts):
        chosen = choices[i].candidate if i in choices else None
        rows[part.row].append(part.left + (chosen.text if chosen else part.core) + part.right)
    return ["".join(row) for row in rows]


def _result(
    text: Text,
    output: str,
    found: tuple[Detection, Detection],
    made: Sequence[tuple[Part, Choice]],
) -> Rewrite:
    """The last word on safety: no output may be more toxic than its input.

    No sentence is (`civilly.pipeline.choose`); two that became one by losing an end mark may be.
    """
    before, after = found
    result = Rewrite(
        text=text.text,
        rewritten=output,
        lang=text.lang,
        method=next((c.candidate.method for _, c in made if c.candidate), "keep"),
        reason=_reason([choice for _, choice in made]),
        before=before,
        after=after,
        candidates=tuple(item for part, choice in made for item in _placed(text, part, choice)),
    )
    if after.p_toxic <= before.p_toxic:
        return result
    return replace(result, rewritten=text.text, method="keep", reason=MORE_TOXIC, after=before)


def _placed(text: Text, part: Part, choice: Choice) -> Sequence[tuple[Candidate, Scores]]:
    """The candidates of a part, saying of which part of the text, where that says more."""
    if part.core == text.text:
        return choice.scored
    return [(replace(candidate, place=part.place), scores) for candidate, scores in choice.scored]


def _reason(made: Sequence[Choice]) -> str:
    """Why a text became what it is: the reason of its first part that changed, if any did."""
    changed = [choice.reason for choice in made if choice.candidate]
    reasons = [choice.reason for choice in made]
    reason = next(iter([*changed, *reasons]), NOTHING_TO_DO)
    if changed and KEPT_SELF_HARM in reasons:
        return f"{reason}; {ALSO_SELF_HARM}"
    return KEPT_SELF_HARM if KEPT_SELF_HARM in reasons else reason
