"""What the judge learns from: readings, made faults, and human judgements, grouped by text."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from civilly.data.kept_apart import judgement_kept_apart, reading_kept_apart
from civilly.data.pairs import read_authored
from civilly.data.readings import FAULTS, Reading
from civilly.languages import CODES
from civilly.score.human import Judgement
from civilly.score.reader import HUMAN
from civilly.train.reader.made_faults import FaultMaker

SMOOTHING = 0.05
"""Share of a reading's label that is spread over all faults."""
MADE_WEIGHT = 0.6
"""How much a made fault counts, against a reading."""
_LEAST, _MOST = 0.03, 0.97
"""Human judgements are drawn in to these, since few people judged an output."""
_GROUP = 6
"""Outputs of one text that are read together; people judged up to twenty."""


@dataclass(frozen=True, slots=True)
class Output:
    """A rewrite with what is known of it.

    Attributes:
        rewrite: The rewrite.
        faults: Probability of each of `FAULTS`; None: not known.
        use: In [0, 2]; None: not known.
        human: Each of `HUMAN`, in [0, 1]; None: not known.
        weight: How much ``faults`` counts.
    """

    rewrite: str
    faults: tuple[float, ...] | None = None
    use: float | None = None
    human: tuple[float, ...] | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """A text with rewrites, which are ranked against each other.

    Attributes:
        text: The text.
        outputs: Its rewrites.
    """

    text: str
    outputs: tuple[Output, ...]


def from_readings(readings: Sequence[Reading]) -> list[Group]:
    """A group for each text that is not kept apart."""
    groups: dict[tuple[str, str], list[Output]] = defaultdict(list)
    for reading in readings:
        if not reading_kept_apart(reading.text):
            faults = tuple(
                SMOOTHING / len(FAULTS) + (1 - SMOOTHING) * (fault == reading.fault)
                for fault in FAULTS
            )
            output = Output(reading.rewrite, faults, float(reading.use))
            groups[reading.text, reading.lang].append(output)
    return [Group(text, tuple(outputs)) for (text, _), outputs in groups.items()]


def from_judgements(judgements: Sequence[Judgement]) -> list[Group]:
    """Groups of at most `_GROUP` outputs of a source sentence that is not kept apart."""
    groups: dict[tuple[str, str, str], list[Output]] = defaultdict(list)
    for judgement in judgements:
        row_id = str(judgement.row["id"])
        if not judgement_kept_apart(row_id):
            human = tuple(min(max(judgement.scores[n], _LEAST), _MOST) for n in HUMAN)
            key = (judgement.text, judgement.lang, row_id)
            groups[key].append(Output(judgement.output, human=human))
    return [
        Group(text, tuple(outputs[first : first + _GROUP]))
        for (text, _, _), outputs in groups.items()
        for first in range(0, len(outputs), _GROUP)
    ]


def made_from_pairs(folders: Sequence[Path], count: int, rng: random.Random) -> list[Group]:
    """Made faults of written pairs (`civilly.train.reader.made_faults`), equally many a language.

    Pairs whose text is kept apart as a reading are left out, and those without a change.

    Args:
        folders: Of pairs written for this project.
        count: Groups in all.
        rng: Chooses pairs and faults.
    """
    pairs: dict[str, list[tuple[str, str]]] = {code: [] for code in CODES}
    for pair in (pair for folder in folders for pair in read_authored(folder)):
        toxic, civil = pair.toxic, pair.neutral[0]
        if toxic != civil and not reading_kept_apart(toxic):
            pairs[pair.lang].append((toxic, civil))
    groups: list[Group] = []
    for lang, found in pairs.items():
        others = [civil for code in CODES if code != lang for _, civil in pairs[code]]
        maker = FaultMaker(lang, [civil for _, civil in found], others, rng)
        rng.shuffle(found)
        for toxic, civil in found[: count // len(CODES)]:
            outputs = tuple(
                Output(made.rewrite, made.faults, made.use, weight=MADE_WEIGHT)
                for made in maker.rewrites(toxic, civil)
            )
            groups.append(Group(toxic, outputs))
    rng.shuffle(groups)
    return groups
