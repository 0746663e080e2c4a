"""What every detector promises of any text."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.types import Detection, Text


def assert_valid(texts: Sequence[Text], found: Sequence[Detection]) -> None:
    """One detection per text, probabilities in [0, 1], spans in order that do not overlap."""
    assert len(found) == len(texts)
    for text, detection in zip(texts, found, strict=True):
        assert 0 <= detection.p_toxic <= 1
        last = 0
        for span in detection.spans:
            assert last <= span.start < span.end <= len(text.text)
            assert 0 <= span.score <= 1
            last = span.end
