"""Leaks: a side that repeats a held-out or an official text, exactly or nearly."""

from __future__ import annotations

from collections.abc import Sequence

from civilly.data.corpus.build import DEV_FILE, evaluation_texts
from civilly.data.leaks import find_leaks, normalise
from civilly.data.pair_leaks import MIN_LETTERS
from civilly.data.pairs import read_pairs
from civilly.data.split import dev_part
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 50
THRESHOLD = 0.3


def create(tools: FilterTools) -> Measure:
    """The filter: 1 - the similarity of the most alike side (`civilly.data.leaks`).

    It knows nothing where there is no data folder, and no texts are given.
    """

    def leak(samples: Sequence[Sample]) -> list[float | None]:
        evaluation = [*tools.known, *_held_out(tools)]
        if not evaluation:
            return [None] * len(samples)
        sides = [{sample.given, *sample.written} for sample in samples]
        unique = sorted(set().union(*sides))
        found = {unique[each.training]: each.similarity for each in find_leaks(unique, evaluation)}
        return [1.0 - max(found.get(text, 0.0) for text in texts) for texts in sides]

    return leak


def _held_out(tools: FilterTools) -> list[str]:
    """Toxic sides and references that no training may see, and the official inputs."""
    if tools.data is None or not (tools.data / DEV_FILE).exists():
        return []
    texts = evaluation_texts(tools.data, None)
    held = (p for p in read_pairs(tools.data / DEV_FILE) if dev_part(p.id) != "train")
    references = {reference for pair in held for reference in pair.neutral}
    return texts + sorted(text for text in references if len(normalise(text)) >= MIN_LETTERS)
