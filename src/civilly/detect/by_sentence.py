"""Detection sentence by sentence: a text is as toxic as its worst sentence, whatever else it says.

Any detector of one sentence becomes one of messages; what a sentence is found to be does not depend
on the sentences around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from civilly import registry
from civilly.detect import DEFAULT
from civilly.detect.parts import core, parts
from civilly.types import Detection, Detector, Text, Tools


def open_detector(name: str = DEFAULT, tools: Tools | None = None) -> Detector:
    """A registered detector, asked sentence by sentence.

    Args:
        name: A detector of the registry.
        tools: What it is made with.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    return BySentence(registry.create("detect", name, tools))


class BySentence:
    """See the module; `civilly.types.Detector`.

    Args:
        detector: Judges single sentences; equal ones of a call once.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        """One detection per text, in order."""
        rows = [sentences_of(text) for text in texts]
        unique = list(dict.fromkeys(sentence for row in rows for _, sentence in row))
        found = dict(zip(unique, self._detector.detect(unique), strict=True))
        return [of_whole((start, found[sentence]) for start, sentence in row) for row in rows]


def sentences_of(text: Text) -> list[tuple[int, Text]]:
    """The sentences of a text without blanks around them, and where they start; one at least."""
    found = [
        (start, Text(text.text[start:end], text.lang))
        for start, end in (core(text.text, *bounds) for bounds in parts(text.text, text.lang))
        if start < end
    ]
    return found or [(0, text)]


def of_whole(found: Iterable[tuple[int, Detection]]) -> Detection:
    """The detection of a text: p(toxic) of its worst sentence, the spans and flags of all.

    Args:
        found: Where each sentence starts, and what was found in it; at least one, in order.
    """
    rows = list(found)
    if len(rows) == 1 and rows[0][0] == 0:
        return rows[0][1]
    return Detection(
        max(detection.p_toxic for _, detection in rows),
        tuple(
            replace(span, start=span.start + start, end=span.end + start)
            for start, detection in rows
            for span in detection.spans
        ),
        tuple(dict.fromkeys(flag for _, detection in rows for flag in detection.flags)),
    )
