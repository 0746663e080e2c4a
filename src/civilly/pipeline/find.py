"""Station 2: the language of each text, what is toxic in each sentence, and what is worth a try."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from civilly import arguments
from civilly.detect import SELF_HARM
from civilly.detect.by_sentence import of_whole
from civilly.languages import AUTO
from civilly.pipeline.sentences import Part, parts_of
from civilly.types import Detection, Detector, Selector, Text


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts with their sentences, and what was found in each.

    Attributes:
        texts: The texts.
        parts: The parts of all of them.
        inputs: The core of each part, in its text's language.
        found: What the detector says of each core.
    """

    texts: Sequence[Text]
    parts: Sequence[Part]
    inputs: Sequence[Text]
    found: Sequence[Detection]

    def rows(self) -> Iterator[tuple[int, list[int]]]:
        """Each text with the numbers of its parts that are no blanks."""
        members: list[list[int]] = [[] for _ in self.texts]
        for i, part in enumerate(self.parts):
            if part.core:
                members[part.row].append(i)
        return enumerate(members)


class Remembers:
    """A detector that looks at equal texts once, for the time of one batch."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._known: dict[Text, Detection] = {}

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        """See `civilly.types.Detector`."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._detector.detect(new), strict=True))
        return [self._known[text] for text in texts]


def with_languages(texts: Sequence[str], langs: str | Iterable[str]) -> list[Text]:
    """The texts in the languages that are given, or that each of them as a whole is in.

    Raises:
        UnknownNameError: If a language is not one of the 15.
        CivillyError: If ``langs`` is of another kind or length.
    """
    given = arguments.checked_languages(langs, len(texts))
    unknown = [i for i, code in enumerate(given) if code == AUTO]
    if unknown:
        from civilly.detect.language import identify

        for i, code in zip(unknown, identify([texts[i] for i in unknown]), strict=True):
            given[i] = code
    return [Text(text, code) for text, code in zip(texts, given, strict=True)]


def find(texts: Sequence[Text], detector: Detector) -> Batch:
    """Cuts the texts and looks at each sentence by itself."""
    parts = parts_of(texts)
    inputs = [Text(part.core, texts[part.row].lang) for part in parts]
    there = [i for i, part in enumerate(parts) if part.core]
    found = [Detection(0.0)] * len(parts)
    for i, detection in zip(there, detector.detect([inputs[i] for i in there]), strict=True):
        found[i] = detection
    return Batch(texts, parts, inputs, found)


def found_in_texts(batch: Batch, detector: Detector) -> list[Detection]:
    """What was found in each whole text: that of its worst sentence, and the spans of all."""
    blank = [row for row, members in batch.rows() if not members]
    known = dict(zip(blank, detector.detect([batch.texts[row] for row in blank]), strict=True))
    for row, members in batch.rows():
        if members:
            known[row] = of_whole((batch.parts[i].start, batch.found[i]) for i in members)
    return [known[row] for row in range(len(batch.texts))]


def worth_trying(batch: Batch, selector: Selector) -> list[int]:
    """Numbers of the parts that are toxic enough to be rewritten, and may be."""
    return [
        i
        for i, (part, detection) in enumerate(zip(batch.parts, batch.found, strict=True))
        if selector.worth_trying(detection) and part.spoken and SELF_HARM not in detection.flags
    ]


def of_self_harm(batch: Batch) -> list[int]:
    """Numbers of the parts that speak of harm to oneself: that needs an ear, not a rewrite."""
    return [i for i, detection in enumerate(batch.found) if SELF_HARM in detection.flags]
