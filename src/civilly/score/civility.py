"""1 - p(toxic) of the output, by the embedded toxicity model."""

from __future__ import annotations

from collections.abc import Sequence

from civilly import __version__
from civilly.types import Detector, Text, Tools

OPTIONS = ()


def create(tools: Tools) -> Civility:
    """The metric on the shared detector."""
    return Civility(tools.detector)


class Civility:
    """How civil an output is.

    Args:
        detector: Any detector with calibrated p(toxic).
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @property
    def signature(self) -> str:
        """See `civilly.types.Metric`."""
        return f"civility|model:embedded|civilly:{__version__}"

    def score(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """1 - p(toxic) of each output; references are not used."""
        texts = [Text(out, text.lang) for text, out in zip(inputs, outputs, strict=True)]
        return [1.0 - d.p_toxic for d in self._detector.detect(texts)]
