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
from civilly.errors import CivillyError
from civilly.types import Detection, Detector, Text, Tools


def open_detector(spec: str = DEFAULT, tools: Tools | None = None) -> Detector:
    """A registered detector, asked sentence by sentence; the only place where one is parsed.

    Args:
        spec: A detector of the registry, or one and what it opens, separated by a colon:
            ``context``, ``sae``, ``sae:FOLDER``, ``sae:FOLDER#probe``.
        tools: What it is made with.

    Raises:
        UnknownNameError: If there is none of that name.
        CivillyError: If it opens nothing, or not that.
    """
    check_detector(spec)
    name, _, target = spec.partition(":")
    made = (tools, target) if target else (tools,)
    return BySentence(registry.create("detect", name, *made))


def check_detector(spec: str) -> None:
    """Makes sure that a specification is understood, without loading a model.

    Raises:
        UnknownNameError: If there is no detector of that name.
        CivillyError: If it opens nothing, or not that.
    """
    name, _, target = spec.partition(":")
    check = getattr(registry.load("detect", name), "check_target", None)
    if target and check is None:
        raise CivillyError(
            f"The detector {name!r} opens nothing, but {target!r} is named.", mend=name
        )
    if check is not None:
        check(target)


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
