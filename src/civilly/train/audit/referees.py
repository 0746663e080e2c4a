"""Referees: metrics that a training was not optimised for, each a number in [0, 1] per text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from civilly import registry
from civilly.errors import DataError
from civilly.languages import says_something
from civilly.score.joint import joint
from civilly.toolbox import Toolbox
from civilly.train.audit.recipe import Referee
from civilly.types import Text

READER = "reader"
"""The judge of rewrites, of any course; the other names are those of `civilly.score`."""

Judge = Callable[[Sequence[Text], Sequence[str], Sequence[Sequence[str]]], list[float]]


def open_referees(settings: Mapping[str, Referee]) -> dict[str, Judge]:
    """The referees of a recipe, by name.

    Raises:
        UnknownNameError: If there is no such metric, or it has no such option.
        DataError: If weights or an engine are given to a metric that has none.
        ModelError: If there are no such weights.
    """
    return {name: _opened(name, referee) for name, referee in settings.items()}


def _opened(name: str, referee: Referee) -> Judge:
    if referee.metric == READER:
        return _reader(Path(referee.weights) if referee.weights else None)
    if referee.weights is not None:
        raise DataError(
            f"The referee {name!r} is the metric {referee.metric!r}, which takes no weights.",
            mend=f'metric = "{READER}", or leave weights out',
        )
    registry.check_options("score", referee.metric, referee.options)
    metric = registry.create("score", referee.metric, Toolbox(referee.engine, referee.options))

    def judge(
        texts: Sequence[Text], outputs: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[float]:
        if hasattr(metric, "components"):
            return joint(metric.components(texts, outputs, references))
        return list(map(float, metric.score(texts, outputs, references)))

    return judge


def _reader(weights: Path | None) -> Judge:
    """How probable it is that a careful reader finds no fault; of nothing said it is 0."""
    from civilly.score.reader import load

    reader = load(weights)

    def judge(
        texts: Sequence[Text], outputs: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[float]:
        opinions = reader.opinions([text.text for text in texts], list(outputs))
        return [
            opinion.good if says_something(output) else 0.0
            for opinion, output in zip(opinions, outputs, strict=True)
        ]

    return judge
