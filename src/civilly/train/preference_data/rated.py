"""Texts with outputs whose worth is known: what every source of preferences comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rated:
    """An output with what it is worth.

    Attributes:
        output: The rewrite.
        worth: Higher is better; in [0, 1] for readings and judgements, else the reward.
        label: True: good enough to be chosen; False: bad enough to be rejected; None: between.
        fault: Its worst fault (`civilly.data.readings.FAULTS`), the component that people found
            worst, or "" where nobody named it.
        logprob: How likely the model that wrote it found it; None: not known.
    """

    output: str
    worth: float
    label: bool | None
    fault: str = ""
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class RatedText:
    """A text with outputs.

    Attributes:
        id: Of the text; texts with one id stay on one side of the split.
        lang: Language code.
        text: The toxic text.
        source: The data set that it is from.
        outputs: Different ones, in the order of their source.
        kept_apart: Whether the text measures a reader or metric, so that it is never trained on.
    """

    id: str
    lang: str
    text: str
    source: str
    outputs: tuple[Rated, ...]
    kept_apart: bool = False


@dataclass(slots=True)
class Read:
    """What came of a source.

    Attributes:
        texts: Texts with outputs.
        ties: Comparisons that found neither side better, by the reason.
    """

    texts: list[RatedText] = field(default_factory=list)
    ties: Counter[str] = field(default_factory=Counter)


def label_of(worth: float, chosen_from: float, rejected_to: float) -> bool | None:
    """Whether an output of this worth may be chosen (True), be rejected (False), or neither."""
    return True if worth >= chosen_from else False if worth <= rejected_to else None
