"""chrF of the output against the references (Popović 2015), through sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from civilly.errors import CivillyError, MissingExtraError
from civilly.types import Text, Tools

OPTIONS = ()


def create(tools: Tools | None = None) -> Chrf:
    """The metric with sacrebleu's defaults: character order 6, beta 2."""
    return Chrf()


class Chrf:
    """Sentence-level chrF in [0, 1].

    Raises:
        MissingExtraError: If sacrebleu is not installed.
    """

    def __init__(self) -> None:
        try:
            from sacrebleu.metrics.chrf import CHRF
        except ImportError as error:
            raise MissingExtraError("chrF", "score", str(error.name)) from error
        self._chrf: Any = CHRF()

    @property
    def signature(self) -> str:
        """The options in sacrebleu's spelling; it signs itself only after scoring."""
        chrf = self._chrf
        options = f"case:mixed|eff:yes|nc:{chrf.char_order}|nw:{chrf.word_order}|beta:{chrf.beta}"
        return f"chrF|{options}|space:no|sacrebleu:{version('sacrebleu')}"

    def score(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """ChrF / 100 of each output against its references.

        Raises:
            CivillyError: If there are no references, or none for some text.
        """
        bare = 0 if references is None else sum(not refs for refs in references)
        if references is None or bare:
            raise CivillyError(
                f"chrF needs references{f', and {bare} texts have none' if bare else ''}.",
                mend="--reference FILE (in Python the argument references), or the suite "
                "'embedded', which needs none",
            )
        return [
            float(self._chrf.sentence_score(out, list(refs)).score) / 100
            for out, refs in zip(outputs, references, strict=True)
        ]
