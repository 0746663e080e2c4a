"""How well formed an output is beside its input, by the embedded language model without adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from civilly import __version__
from civilly.engines.embedded import EmbeddedEngine
from civilly.types import Prompt, Segment, Text, Tools

BEGIN = Prompt((Segment("<bos>", special=True),))


OPTIONS = ()


def create(tools: Tools | None = None) -> Fluency:
    """The metric on the embedded model."""
    return Fluency(EmbeddedEngine())


class Fluency:
    """``min(1, exp(log p(output) - log p(input)))``, log p being the mean per token.

    An output that the language model finds as likely as what the user wrote is fluent; the user's
    own spelling is no fault of the rewriter.

    Args:
        engine: The embedded engine.
    """

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._model = engine.model()

    @property
    def signature(self) -> str:
        """See `civilly.types.Metric`."""
        return f"fluency|model:gemma-3-270m-trimmed-int8|civilly:{__version__}"

    def score(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """Fluency of each output in [0, 1]; an empty output has none."""
        unique = sorted({*(t.text for t in inputs), *outputs})
        logprobs = self._model.logprobs([BEGIN] * len(unique), unique)
        of = dict(zip(unique, logprobs, strict=True))
        return [
            math.exp(min(0.0, of[out] - of[text.text])) if out.strip() else 0.0
            for text, out in zip(inputs, outputs, strict=True)
        ]
