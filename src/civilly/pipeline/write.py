"""Station 3: the method proposes wordings for each sentence, and deletion beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum

from civilly.data.files import mend_surrogates
from civilly.detect.parts import size
from civilly.pipeline.find import Batch
from civilly.pipeline.protect import mended
from civilly.types import (
    Candidate,
    CandidateScorer,
    Choice,
    Detection,
    Rewriter,
    SecondLook,
    Text,
)

LEAST_ASKED = 1_600
"""The model is asked for parts that are worth so much, or as many letters as the text has
characters; in the others toxic words are only cut. Real texts of alphabets have none such."""

TOO_LONG = "the text has too many tokens, so only its rudest parts were given to the model"
"""The reason that is added to those of such a text."""

LOOKED = 3
"""Parts of one text that may get a second look, which costs as much as the first."""


class Effort(IntEnum):
    """What a part is worth: cutting only, an answer of the model, or a second look, too."""

    CUT, ASK, LOOK_AGAIN = range(3)


def efforts(batch: Batch, tried: Sequence[int]) -> dict[int, Effort]:
    """The effort for each part that is tried, so that no text takes more time than others.

    Of a text that has more tokens than its length promises, the model is asked for the most toxic
    parts (`LEAST_ASKED`); of those, the first `LOOKED` different ones may get a second look.

    Args:
        batch: All parts.
        tried: Numbers of those that are rewritten.
    """
    rows: dict[int, list[int]] = {}
    for i in tried:
        rows.setdefault(batch.parts[i].row, []).append(i)
    made: dict[int, Effort] = {}
    for row in rows.values():
        room = max(LEAST_ASKED, sum(len(batch.inputs[i].text) for i in row))
        asked: set[Text] = set()
        for i in sorted(row, key=lambda i: (-batch.found[i].p_toxic, i)):
            worth = 0 if batch.inputs[i] in asked else size(batch.inputs[i].text)
            if worth <= room:
                room -= worth
                asked.add(batch.inputs[i])
        known = dict.fromkeys(batch.inputs[i] for i in row if batch.inputs[i] in asked)
        looked = list(known)[:LOOKED]
        for i in row:
            made[i] = Effort((batch.inputs[i] in asked) + (batch.inputs[i] in looked))
    return made


def told(
    batch: Batch, effort: Mapping[int, Effort], choices: Mapping[int, Choice]
) -> dict[int, Choice]:
    """The choices, saying so where a text was too long for the model to be asked for all of it."""
    short = {batch.parts[i].row for i, spent in effort.items() if spent is Effort.CUT}
    made = dict(choices)
    for i, choice in choices.items():
        if batch.parts[i].row in short:
            made[i] = replace(choice, reason=f"{choice.reason}; {TOO_LONG}")
    return made


class Writer:
    """Asks a method, and deletion beside it.

    What a method spelt differently though it must not be touched is put right, where that is sure
    (`civilly.pipeline.protect`).

    Args:
        rewriter: The method.
        fallback: Its candidates stand beside those of the method, if there is one.
        n: Candidates per text that the method is asked for.
    """

    def __init__(self, rewriter: Rewriter, fallback: Rewriter | None, n: int) -> None:
        self._rewriter = rewriter
        self._fallback = fallback
        self._n = n

    def write(
        self, texts: Sequence[Text], detections: Sequence[Detection], effort: Sequence[Effort]
    ) -> list[list[Candidate]]:
        """The candidates for each text, in order."""
        asked = [i for i, spent in enumerate(effort) if spent > Effort.CUT or not self._fallback]
        inputs = [texts[i] for i in asked]
        answers = self._rewriter.rewrite(inputs, [detections[i] for i in asked], self._n)
        of_text = dict(zip(asked, _sound(inputs, answers), strict=True))
        candidates = [of_text.get(i, []) for i in range(len(texts))]
        if self._fallback is not None:
            self._add_fallback(self._fallback, texts, detections, candidates, set(asked))
        return candidates

    @property
    def looks_again(self) -> bool:
        """Whether the method can try harder."""
        return isinstance(self._rewriter, SecondLook)

    def look_again(
        self, texts: Sequence[Text], detections: Sequence[Detection]
    ) -> list[list[Candidate]]:
        """Further candidates for texts whose first ones were poor."""
        assert isinstance(self._rewriter, SecondLook)
        return _sound(texts, self._rewriter.look_again(texts, detections))

    def _add_fallback(
        self,
        fallback: Rewriter,
        texts: Sequence[Text],
        detections: Sequence[Detection],
        candidates: list[list[Candidate]],
        asked: set[int],
    ) -> None:
        """Adds deletions, scored by the method if it can and wrote to that text, too."""
        extra = _sound(texts, fallback.rewrite(texts, detections, 1))
        new = [
            (i, c)
            for i, row in enumerate(extra)
            for c in row
            if c.text not in {known.text for known in candidates[i]}
        ]
        if isinstance(self._rewriter, CandidateScorer):
            rated = [(i, c) for i, c in new if i in asked]
            scores = self._rewriter.score([texts[i] for i, _ in rated], [c.text for _, c in rated])
            scored = [(i, replace(c, logprob=s)) for (i, c), s in zip(rated, scores, strict=True)]
            new = [*scored, *((i, c) for i, c in new if i not in asked)]
        for i, candidate in new:
            candidates[i].append(candidate)


def _sound(texts: Sequence[Text], rows: Sequence[Sequence[Candidate]]) -> list[list[Candidate]]:
    """Candidates that can be encoded (a server's JSON may spell lone surrogates) and are mended."""
    return [
        [replace(each, text=mended(text.text, mend_surrogates(each.text))) for each in row]
        for text, row in zip(texts, rows, strict=True)
    ]
