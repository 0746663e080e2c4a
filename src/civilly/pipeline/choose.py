"""Station 5: the selector decides for each sentence; equal sentences are decided once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from civilly.pipeline.find import Batch, of_self_harm, worth_trying
from civilly.pipeline.write import Effort, Writer, efforts, told
from civilly.types import Candidate, Choice, Detection, Detector, Selector, Text

KEPT_SELF_HARM = "it speaks of harm to oneself; such a text is kept as it is and flagged"
MORE_TOXIC = "the rewrite was more toxic than the text"
MOST_GROWTH, GROWTH_ROOM = 2, 24
"""What is rewritten of a text has at most so many characters per character, and so many more."""


def choose(
    batch: Batch, writer: Writer, selector: Selector, detector: Detector
) -> dict[int, Choice]:
    """The choice for each part that is worth a try, or kept for a reason of its own.

    Args:
        batch: The sentences and what was found in them.
        writer: Makes the candidates.
        selector: Chooses among them.
        detector: Has the last word: no choice may be more toxic than its sentence.
    """
    tried = worth_trying(batch, selector)
    effort = efforts(batch, tried)
    unique: dict[tuple[Text, Effort], int] = {}
    for i in tried:
        unique.setdefault((batch.inputs[i], effort[i]), i)
    of_text = dict(zip(unique, _decided(batch, unique, writer, selector), strict=True))
    made = told(batch, effort, {i: of_text[batch.inputs[i], effort[i]] for i in tried})
    made |= _shorter(batch, made, selector)
    made |= _more_toxic(batch, made, detector)
    return made | {i: Choice(None, KEPT_SELF_HARM) for i in of_self_harm(batch)}


def _decided(
    batch: Batch, unique: Mapping[tuple[Text, Effort], int], writer: Writer, selector: Selector
) -> list[Choice]:
    texts, effort = [text for text, _ in unique], [spent for _, spent in unique]
    detections = [batch.found[i] for i in unique.values()]
    candidates = writer.write(texts, detections, effort)
    choices = selector.select(texts, detections, candidates)
    poor = [
        i
        for i, choice in enumerate(choices)
        if effort[i] == Effort.LOOK_AGAIN and not selector.satisfied(choice)
    ]
    if poor and writer.looks_again:
        again = _again(
            [texts[i] for i in poor],
            [detections[i] for i in poor],
            [candidates[i] for i in poor],
            writer,
            selector,
        )
        for i, choice in zip(poor, again, strict=True):
            choices[i] = choice
    return choices


def _again(
    texts: Sequence[Text],
    detections: Sequence[Detection],
    candidates: Sequence[Sequence[Candidate]],
    writer: Writer,
    selector: Selector,
) -> list[Choice]:
    """Choices anew, with what the method finds on a second look."""
    more = writer.look_again(texts, detections)
    known = [{candidate.text for candidate in row} for row in candidates]
    both = [
        [*row, *(candidate for candidate in found if candidate.text not in before)]
        for row, found, before in zip(candidates, more, known, strict=True)
    ]
    return selector.select(texts, detections, both)


def _shorter(batch: Batch, choices: Mapping[int, Choice], selector: Selector) -> dict[int, Choice]:
    """Choices anew for texts that would bloat, among the candidates no longer than their part."""
    before: dict[int, int] = {}
    after: dict[int, int] = {}
    for i, choice in choices.items():
        row, core = batch.parts[i].row, batch.parts[i].core
        chosen = choice.candidate.text if choice.candidate else core
        before[row] = before.get(row, 0) + len(core)
        after[row] = after.get(row, 0) + len(chosen)
    bloated = {row for row in before if after[row] > MOST_GROWTH * before[row] + GROWTH_ROOM}
    again = [i for i in choices if batch.parts[i].row in bloated]
    candidates = [
        [c for c, _ in choices[i].scored if len(c.text) <= len(batch.inputs[i].text)] for i in again
    ]
    made = selector.select(
        [batch.inputs[i] for i in again], [batch.found[i] for i in again], candidates
    )
    return dict(zip(again, made, strict=True))


def _more_toxic(
    batch: Batch, choices: Mapping[int, Choice], detector: Detector
) -> dict[int, Choice]:
    """Choices that are taken back, whatever the selector thought."""
    taken = [(i, choice.candidate) for i, choice in choices.items() if choice.candidate]
    written = [Text(candidate.text, batch.inputs[i].lang) for i, candidate in taken]
    return {
        i: replace(choices[i], candidate=None, reason=MORE_TOXIC)
        for (i, _), after in zip(taken, detector.detect(written), strict=True)
        if after.p_toxic > batch.found[i].p_toxic
    }
