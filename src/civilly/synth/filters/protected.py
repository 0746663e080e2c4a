"""What no rewrite may touch: links, names, tags, code and numbers that are gone, changed or new."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.detect.protected import keeps_protected
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 30
THRESHOLD = 1.0


def protected(samples: Sequence[Sample]) -> list[float | None]:
    """1 if all of it comes back as it was, and nothing new is invented, else 0."""
    return [float(keeps_protected(sample.given, sample.made)) for sample in samples]


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return protected
