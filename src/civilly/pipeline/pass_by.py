"""Detect first: texts below a least p(toxic) stay as they are, and nobody writes or chooses."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.detect import THREAT
from civilly.pipeline.find import find, found_in_texts
from civilly.types import Detection, Detector, Rewrite, Text


def passed_by(texts: Sequence[Text], detector: Detector, least: float) -> list[Rewrite | None]:
    """The results of the texts that are less toxic than that, and None for the others, in order.

    A text is as toxic as its worst sentence, as everywhere.

    Args:
        texts: In one of the 15 languages each.
        detector: Says how toxic they are; asked again for the others, it should remember them.
        least: The least p(toxic) of what is rewritten, in [0, 1].
    """
    found = found_in_texts(find(texts, detector), detector)
    return [
        unchanged(text, detection, least) if passes(detection, least) else None
        for text, detection in zip(texts, found, strict=True)
    ]


def passes(found: Detection, least: float) -> bool:
    """Whether a text is so civil that it is not rewritten; a threat may do without rude words."""
    return found.p_toxic < least and THREAT not in found.flags


def unchanged(text: Text, found: Detection, least: float) -> Rewrite:
    """The result of a text that passes."""
    reason = f"its p(toxic) is below {least:g}, so it was passed by"
    return Rewrite(text.text, text.text, text.lang, "keep", reason, found, found)
