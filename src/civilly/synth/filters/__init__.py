"""Filters: plain functions that say how much speaks for a row; a file's name is the filter's name.

A module has ``create(tools) -> Measure``, ``THRESHOLD`` (a row with a lower value is taken out) and
``ORDER`` (of several that take a row out, the lowest is named first). One that compares rows with
each other says ``AMONG_KEPT = True`` and is asked about those alone that all others leave. Other
packages add theirs by entry points in the group ``civilly.synth.filters``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from civilly import registry
from civilly.data.corpus.recipe import SHIPPABLE
from civilly.errors import CivillyError, UnknownNameError
from civilly.synth.prompts import Direction
from civilly.types import Detector, Metric, Text

NO_DATA = "there is no data folder (--data, or CIVILLY_DATA)"


@dataclass(frozen=True, slots=True)
class Sample:
    """One candidate beside its text.

    Attributes:
        given: The real text; of an invented thread the civil side.
        made: What the model made of it, out of its answer.
        answer: All that it said.
        lang: Language code.
        licence: Of the real text, with that of the model's outputs; "" where none is stated.
        direction: Which of the two is the toxic side.
        prompt: The instruction and the examples that the model saw.
        context: What the model wrote before both sides: the post of an invented thread.
    """

    given: str
    made: str
    answer: str
    lang: str
    licence: str
    direction: Direction
    prompt: str = ""
    context: str = ""

    @property
    def real(self) -> str:
        """What no model wrote, or ""."""
        return "" if self.direction.invents else self.given

    @property
    def written(self) -> tuple[str, ...]:
        """All that the model wrote."""
        return (self.context, self.given, self.made) if self.direction.invents else (self.made,)

    @property
    def toxic(self) -> str:
        """The toxic side."""
        return self.direction.sides(self.given, self.made)[0]

    @property
    def civil(self) -> str:
        """The civil side."""
        return self.direction.sides(self.given, self.made)[1]


class Measure(Protocol):
    """How much speaks for rows."""

    def __call__(self, samples: Sequence[Sample], /) -> list[float | None]:
        """A value of each sample, in order, in [0, 1], higher is better; None: not known."""


@dataclass
class FilterTools:
    """What filters may ask for; made once, lazily.

    Attributes:
        data: The data folder, or None.
        licences: Which are allowed.
        known: Texts that no row may repeat, besides the held-out ones of the data folder.
    """

    data: Path | None = None
    licences: Sequence[str] = SHIPPABLE
    known: Sequence[str] = field(default_factory=tuple)

    @cached_property
    def detector(self) -> Detector:
        """The detector in context, asked sentence by sentence."""
        from civilly.detect.by_sentence import open_detector

        return open_detector()

    @cached_property
    def similarity(self) -> Metric:
        """The packaged sentence encoder."""
        metric: Metric = registry.create("score", "similarity")
        return metric

    def p_toxic(self, texts: Sequence[Text]) -> list[float]:
        """p(toxic) of each text, in order; equal ones are read once."""
        unique = list(dict.fromkeys(texts))
        found = dict(zip(unique, self.detector.detect(unique), strict=True))
        return [found[text].p_toxic for text in texts]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter with its threshold.

    Attributes:
        name: The file's name.
        measure: Says how much speaks for rows.
        threshold: A row with a lower value is taken out.
        among_kept: Whether it compares the rows that all others leave.
        summary: What it looks for, one line.
    """

    name: str
    measure: Measure
    threshold: float
    among_kept: bool = False
    summary: str = ""

    def keeps(self, value: float | None) -> bool:
        """Whether a row of this value stays; one that is not known does."""
        return value is None or value >= self.threshold


def open_filters(
    tools: FilterTools,
    thresholds: Mapping[str, float] | None = None,
    without: Sequence[str] = (),
) -> list[Filter]:
    """All registered filters in their order.

    Args:
        tools: What they may ask for.
        thresholds: Other thresholds than their own, by name.
        without: Names of filters to leave out.

    Raises:
        UnknownNameError: If there is no filter of a given name.
        CivillyError: If a threshold is no number.
    """
    known = {entry.name: entry for entry in registry.entries("synth.filters")}
    for name in (*(thresholds or {}), *without):
        if name not in known:
            raise UnknownNameError(registry.ROOMS["synth.filters"], name, known)
    made: list[tuple[int, Filter]] = []
    for name, entry in known.items():
        if name in without:
            continue
        module = registry.load("synth.filters", name)
        threshold = (thresholds or {}).get(name, module.THRESHOLD)
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise CivillyError(
                f"The threshold of the filter {name!r} is {threshold!r}.", allowed="a number"
            )
        among = getattr(module, "AMONG_KEPT", False)
        new = Filter(name, module.create(tools), float(threshold), among, entry.summary)
        made.append((module.ORDER, new))
    return [each for _, each in sorted(made, key=lambda pair: (pair[0], pair[1].name))]
