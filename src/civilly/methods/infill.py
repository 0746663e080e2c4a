"""Cuts the toxic words out and lets a model that sees both sides fill the holes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from civilly.detect.words import Bounds
from civilly.errors import CivillyError, ModelError
from civilly.languages import says_something
from civilly.methods.banned_words import BannedWords
from civilly.methods.fillers import FILLERS, filler_options, open_filler
from civilly.methods.holes import (
    Filler,
    Filling,
    JointFiller,
    broken_at,
    filled,
    gap_at,
    holes_of,
)
from civilly.registry import Option
from civilly.types import Candidate, Detection, Detector, Text, Tools

METHOD = "infill"
CANDIDATES = 4
"""Candidates per text where the user does not say: a filling costs a few tokens only."""
LONGEST_TEXT = 2_000
"""Characters; longer texts get no candidate here, the pipeline cuts them into parts before."""
MOST_HOLES = 4
"""Holes of one text that are filled, where the user does not say; the others are deleted."""
FILLINGS = 3
"""Fillings per hole, at least: one candidate needs some to choose from, too."""
BEAM = 1
"""Ways to fill the holes so far that are followed up, each at the cost of an answer per hole."""
LAST = 4
"""Ways that are kept when the last hole is filled."""
NOTHING_LOGPROB = -1.5
"""What leaving a hole empty is worth, as a mean log probability per token, where the filler does
not say."""
UNKNOWN_LOGPROB = -0.3
"""Stands for that of a filling that no model has scored."""
FILLED_SHARE = 0.5
"""How much of a sentence's fluency its fillings decide; the rest of it is the user's own."""
TOXIC_FILLING = 0.5
"""From this p(toxic) on, a filling by itself is not taken."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Fillings of the first holes of one text.

    Attributes:
        made: One per hole.
        logprobs: How likely they are, of those that a filler was asked for.
    """

    made: tuple[str, ...] = ()
    logprobs: tuple[float, ...] = ()

    @classmethod
    def of(cls, fillings: Sequence[Filling]) -> _Way:
        way = cls()
        for filling in fillings:
            way = way.with_filling(filling)
        return way

    def with_filling(self, filling: Filling) -> _Way:
        unknown = NOTHING_LOGPROB if not filling.text else UNKNOWN_LOGPROB
        logprob = unknown if filling.logprob is None else filling.logprob
        return _Way((*self.made, filling.text), (*self.logprobs, logprob))

    @property
    def value(self) -> float:
        return sum(self.logprobs) / max(1, len(self.logprobs))


@dataclass(slots=True)
class _Work:
    """A text on its way.

    Attributes:
        row: Which text of the batch.
        text: It.
        holes: Where it is cut.
        asked: Numbers of the holes that are filled; the others stay empty.
        banned: What may not come back.
        ways: How its first holes may be filled, best first; at last, nothing in any of them.
    """

    row: int
    text: Text
    holes: list[Bounds]
    asked: set[int]
    banned: BannedWords
    ways: list[_Way]

    @property
    def followed(self) -> list[_Way]:
        """The ways to which further fillings are looked for."""
        return [way for way in self.ways if any(way.made)] or self.ways


class InfillRewriter:
    """See the module; everything outside the holes stays as it is, byte for byte.

    A hole that stays empty is a deletion, whose seam is mended (`civilly.methods.delete`).

    Args:
        filler: Writes what may stand in a hole.
        detector: Judges the fillings.
        most_holes: Holes of one text that are filled.
    """

    judges = False
    """What `score` tells is what deletions are worth, not what the model finds of a text."""

    def __init__(
        self,
        filler: Filler,
        detector: Detector,
        most_holes: int = MOST_HOLES,
    ) -> None:
        self._filler = filler
        self._detector = detector
        self._most_holes = most_holes

    def rewrite(
        self, texts: Sequence[Text], detections: Sequence[Detection], n: int = 1
    ) -> list[list[Candidate]]:
        """Up to ``n`` candidates per text; none where the detector marked nothing."""
        works = [
            self._work(row, text, detection)
            for row, (text, detection) in enumerate(zip(texts, detections, strict=True))
            if detection.spans and len(text.text) <= LONGEST_TEXT
        ]
        rest = self._fill_together(works, n)
        for number in range(max((len(work.holes) for work in rest), default=0)):
            self._fill([work for work in rest if number < len(work.holes)], number, n)
        return self._best(texts, works, n)

    def score(self, texts: Sequence[Text], proposals: Sequence[str]) -> list[float]:
        """See `civilly.types.CandidateScorer`: what deletions are worth, as these proposals are."""
        return [FILLED_SHARE * NOTHING_LOGPROB] * len(proposals)

    def _work(self, row: int, text: Text, detection: Detection) -> _Work:
        holes = holes_of(text.text, detection.spans, text.lang)

        def worst(number: int) -> float:
            start, end = holes[number]
            return max(
                (s.score for s in detection.spans if s.start < end and start < s.end), default=0.0
            )

        ranked = sorted(range(len(holes)), key=lambda number: (-worst(number), number))
        asked = set(ranked[: self._most_holes])
        banned = BannedWords(text, detection.spans)
        return _Work(row, text, holes, asked, banned, [_Way()])

    def _fill_together(self, works: Sequence[_Work], n: int) -> list[_Work]:
        """Fills all holes of a text at once, where the filler can; the other texts are returned."""
        if not isinstance(self._filler, JointFiller):
            return list(works)
        able = [w for w in works if len(w.holes) > 1 and len(w.asked) == len(w.holes)]
        texts = [broken_at(w.text.text, w.holes, w.text.lang) for w in able]
        found = self._filler.fill_texts(texts, max(n, FILLINGS))
        flat = [(w, list(way)) for w, row in zip(able, found, strict=True) for way in row]
        for (work, way), kept in zip(flat, self._civil(flat), strict=True):
            if len(kept) == len(way) and any(filling.text for filling in way):
                work.ways.append(_Way.of(way))
        for work in able:
            if len(work.ways) > 1:
                work.ways = [*work.ways[1:], _Way.of([Filling("")] * len(work.holes))]
        return [work for work in works if work.ways == [_Way()]]

    def _fill(self, works: Sequence[_Work], number: int, n: int) -> None:
        """Fills hole ``number`` of every text, for each way to fill those before it."""
        asked = [(work, way) for work in works if number in work.asked for way in work.followed]
        gaps = [
            gap_at(work.text.text, work.holes, number, way.made, work.text.lang)
            for work, way in asked
        ]
        rows = self._filler.fill(gaps, max(n - 1, FILLINGS)) if gaps else []
        kept = self._civil([(work, row) for (work, _), row in zip(asked, rows, strict=True)])
        more: dict[int, list[_Way]] = {}
        for (work, way), fillings in zip(asked, kept, strict=True):
            options = [*fillings, Filling("")]
            more.setdefault(work.row, []).extend(way.with_filling(each) for each in options)
        for work in works:
            if number not in work.asked:
                work.ways = [replace(way, made=(*way.made, "")) for way in work.ways]
                continue
            ways = {way.made: way for way in reversed(more[work.row])}
            best = sorted(ways.values(), key=lambda way: -way.value)
            nothing = tuple("" for _ in range(number + 1))
            most = LAST if number == max(work.asked) else BEAM
            work.ways = [way for way in best if way.made != nothing][:most]
            work.ways.append(ways.get(nothing, _Way(nothing, (NOTHING_LOGPROB,))))

    def _civil(self, rows: Sequence[tuple[_Work, list[Filling]]]) -> list[list[Filling]]:
        """The fillings that bring nothing toxic back; nothing at all, if the filler scored it."""
        new = [
            [f for f in fillings if not f.text or not work.banned.found_in(f.text)]
            for work, fillings in rows
        ]
        alone = [
            Text(f.text, work.text.lang)
            for (work, _), row in zip(rows, new, strict=True)
            for f in row
        ]
        found = iter(self._detector.detect(alone))
        return [[f for f in row if next(found).p_toxic < TOXIC_FILLING] for row in new]

    def _best(self, texts: Sequence[Text], works: Sequence[_Work], n: int) -> list[list[Candidate]]:
        """Of each text the ``n`` sentences with the best civility · fluency."""
        values: dict[tuple[int, str], float] = {}
        for work in works:
            for way in work.ways:
                text = filled(work.text.text, work.holes, way.made)
                if text != work.text.text and says_something(text):
                    values.setdefault((work.row, text), FILLED_SHARE * way.value)
        made = [Text(text, texts[row].lang) for row, text in values]
        rated = [
            ((1 - detection.p_toxic) * math.exp(value), row, Candidate(text, METHOD, value))
            for ((row, text), value), detection in zip(
                values.items(), self._detector.detect(made), strict=True
            )
        ]
        answers: list[list[Candidate]] = [[] for _ in texts]
        for _, row, candidate in sorted(rated, key=lambda item: -item[0]):
            if len(answers[row]) < n:
                answers[row].append(candidate)
        return answers


def options(given: Mapping[str, Any]) -> Sequence[Option]:
    """The method's options, and those of the filler that is given."""
    return (
        Option("filler", "Who fills the holes.", FILLERS),
        Option("holes", "The most holes of a text that are filled."),
        *filler_options(given),
    )


def create(tools: Tools) -> InfillRewriter:
    """The method; see `options`.

    Raises:
        CivillyError: If an option is wrong.
        ModelError: If the shipped adapter is needed and not there.
    """
    most_holes = _most_holes(tools.options.get("holes"))
    return InfillRewriter(open_filler(tools, tools.options), tools.detector, most_holes)


def _most_holes(given: Any) -> int:
    if given is None:
        return MOST_HOLES
    try:
        number = int(given)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise CivillyError(f"The option 'holes' is {given!r}.", allowed="a whole number, 1 or more")
    return number


def fingerprint(tools: Tools) -> str:
    """A hash of the adapter, so that a journal notices when it was trained anew."""
    from civilly.methods.fillers.fim import fingerprint as of_adapter

    try:
        return of_adapter(tools)
    except ModelError:
        return ""  # an engine that needs none, or `create` will say what is missing
