"""Puts other words at some places of a text, and keeps what was found in it where it now is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from civilly.types import Detection, Text

Substitute = tuple[int, int, str]
"""First character of a stretch, one past its last, and what stands there instead."""


def substituted(
    text: Text, detection: Detection, substitutes: Sequence[Substitute]
) -> tuple[Text, Detection]:
    """A text with its substitutes, and the detection with its spans moved.

    Args:
        text: Any text.
        detection: What was found in it; a span of which nothing is left is dropped.
        substitutes: In order, not overlapping.
    """
    pieces, last = [], 0
    for start, end, new in substitutes:
        pieces += [text.text[last:start], new]
        last = end
    pieces.append(text.text[last:])

    def moved(place: int) -> int:
        shift = 0
        for start, end, new in substitutes:
            if end <= place:
                shift += len(new) - (end - start)
            elif start < place:
                shift += min(len(new), place - start) - (place - start)
        return place + shift

    spans = tuple(
        replace(span, start=moved(span.start), end=moved(span.end))
        for span in detection.spans
        if moved(span.start) < moved(span.end)
    )
    return Text("".join(pieces), text.lang), replace(detection, spans=spans)
