"""Station 3: the method proposes wordings for each sentence, and deletion beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from civilly.data.files import mend_surrogates
from civilly.detect.parts import size
from civilly.pipeline.disguises import undisguised
from civilly.pipeline.find import Batch
from civilly.pipeline.protect import mended
from civilly.pipeline.stand_ins import Shortened, shortened
from civilly.pipeline.tags import Untagged, untagged
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


@dataclass(frozen=True, slots=True)
class Given:
    """A text as a method gets it.

    Attributes:
        bare: It, perhaps without its tags.
        short: The same, perhaps with stand-ins.
    """

    bare: Untagged
    short: Shortened

    def given(self, proposal: str) -> str:
        """A proposal of somebody who saw the text itself, as the method would write it."""
        return self.short.given(self.bare.given(proposal))

    def told(self, answer: str) -> str:
        """An answer of the method with what its stand-ins stand for, and its tags."""
        return self.bare.told(self.short.told(answer))


class Writer:
    """Asks a method, and deletion beside it.

    A method that generates is given a text with its disguised words spelt out
    (`civilly.pipeline.disguises`), without tags (`civilly.pipeline.tags`) and with stand-ins for
    what is long and must not be touched (`civilly.pipeline.stand_ins`), and what it spells
    differently is put right where that is sure (`civilly.pipeline.protect`).

    Args:
        rewriter: The method.
        fallback: Its candidates stand beside those of the method, if there is one.
        n: Candidates per text that the method is asked for.
    """

    def __init__(self, rewriter: Rewriter, fallback: Rewriter | None, n: int) -> None:
        self._rewriter = rewriter
        self._fallback = fallback
        self._n = n
        self._generates = getattr(rewriter, "generates", True)

    def write(
        self, texts: Sequence[Text], detections: Sequence[Detection], effort: Sequence[Effort]
    ) -> list[list[Candidate]]:
        """The candidates for each text, in order."""
        asked = [i for i, spent in enumerate(effort) if spent > Effort.CUT or not self._fallback]
        given = self._given([texts[i] for i in asked], [detections[i] for i in asked])
        made = self._rewriter.rewrite(
            [each.short.text for each in given], [each.short.detection for each in given], self._n
        )
        of_text = dict(zip(asked, _sound([texts[i] for i in asked], given, made), strict=True))
        candidates = [of_text.get(i, []) for i in range(len(texts))]
        if self._fallback is not None:
            extra = self._fallback.rewrite(texts, detections, 1)
            known = [{candidate.text for candidate in row} for row in candidates]
            new = [
                [c for c in row if c.text not in before]
                for row, before in zip(extra, known, strict=True)
            ]
            for i, row in zip(asked, self._scored(given, [new[i] for i in asked]), strict=True):
                new[i] = row
            candidates = [[*row, *more] for row, more in zip(candidates, new, strict=True)]
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
        given = self._given(texts, detections)
        made = self._rewriter.look_again(
            [each.short.text for each in given], [each.short.detection for each in given]
        )
        return _sound(texts, given, made)

    def _given(self, texts: Sequence[Text], detections: Sequence[Detection]) -> list[Given]:
        """The texts as the method gets them."""
        made = []
        for text, detection in zip(texts, detections, strict=True):
            if self._generates:
                bare = untagged(*undisguised(text, detection))
                made.append(Given(bare, shortened(bare.text, bare.detection)))
            else:
                made.append(Given(Untagged(text, detection), Shortened(text, detection, {})))
        return made

    def _scored(
        self, given: Sequence[Given], rows: Sequence[Sequence[Candidate]]
    ) -> list[list[Candidate]]:
        """Deletions as the method finds them, if it can say."""
        if not isinstance(self._rewriter, CandidateScorer):
            return [list(row) for row in rows]
        flat = [(text, c) for text, row in zip(given, rows, strict=True) for c in row]
        scores = iter(
            self._rewriter.score(
                [text.short.text for text, _ in flat], [text.given(c.text) for text, c in flat]
            )
        )
        return [[replace(candidate, logprob=next(scores)) for candidate in row] for row in rows]


def _sound(
    texts: Sequence[Text], given: Sequence[Given], rows: Sequence[Sequence[Candidate]]
) -> list[list[Candidate]]:
    """Candidates as the user may see them, each once.

    They can be encoded (a server's JSON may spell lone surrogates), and have what their stand-ins
    stand for and their tags.
    """
    found = []
    for text, asked, row in zip(texts, given, rows, strict=True):
        proposals: dict[str, Candidate] = {}
        for each in row:
            proposal = mended(text.text, asked.told(mend_surrogates(each.text)))
            proposals.setdefault(proposal, replace(each, text=proposal))
        found.append(list(proposals.values()))
    return found
