"""Rude words in disguise, spelt out for whoever writes.

``you are an 1d10t`` is asked as ``you are an idiot``: the detector knows the word behind the
disguise (`civilly.detect.normalise`), a model mends its letters instead (docs/decisions.md).
"""

from __future__ import annotations

import re

from civilly.detect.normalise import MASK, normalise
from civilly.pipeline.substitution import Substitute, substituted
from civilly.types import Detection, Text

_DISGUISED = re.compile(
    r"\w[\d@$€£!|+]|[\d@$€£]\w"  # digits and symbols for letters
    r"|[\u200b-\u200f\u2060\ufeff\u00ad]"  # what nobody sees
    r"|(?<!\w)\w[\s.\-_/|,·•~+=:;'^]+\w(?!\w)"  # letters apart
)


def undisguised(text: Text, detection: Detection) -> tuple[Text, Detection]:
    """A text with its toxic spans as they are meant, and the detection at its new places.

    A span that the normaliser cannot spell out in letters alone (``f**k``) stays as it is.

    Args:
        text: Any text.
        detection: What was found in it.
    """
    if not any(_DISGUISED.search(text.text[span.start : span.end]) for span in detection.spans):
        return text, detection
    substitutes: list[Substitute] = []
    for span in sorted(detection.spans, key=lambda each: each.start):
        if not substitutes or span.start >= substitutes[-1][1]:
            meant = _meant(text.text[span.start : span.end], text.lang)
            substitutes.append((span.start, span.end, meant))
    return substituted(text, detection, substitutes)


def _meant(surface: str, lang: str) -> str:
    """What a toxic stretch says; itself, where it is in no disguise or none that can be undone."""
    if not _DISGUISED.search(surface):
        return surface
    meant = normalise(surface, lang).text.strip()
    spelt = meant and MASK not in meant and all(c.isalpha() or c.isspace() for c in meant)
    return meant if spelt else surface
