"""The official metrics of TextDetox 2024: STA of the output, SIM to the input, chrF as FL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from civilly import __version__
from civilly.score import official
from civilly.score.chrf import Chrf
from civilly.score.official import OfficialSuite
from civilly.types import Text, Tools

STA_MODEL = "textdetox/xlmr-large-toxicity-classifier"


OPTIONS = official.OPTIONS


def create(tools: Tools) -> TextDetox2024:
    """The suite; see `TextDetox2024` for its options."""
    return TextDetox2024(tools.options)


class TextDetox2024(OfficialSuite):
    """``J = STA·SIM·FL`` as in the shared task of CLEF 2024 (Dementieva et al. 2024).

    STA = P(neutral) of the output, SIM = cos(input, output) of LaBSE, FL = sentence-level chrF of
    the output against the reference, / 100. SIM is not clipped: a cosine can be below 0. With
    several references the best counts (see `best_of_references`).

    Args:
        options: ``sta``, ``sta_tokenizer`` and ``sim`` (``org/name``, ``org/name@revision`` or a
            folder; the tokenizer is the classifier's own by default), ``device`` (``auto``),
            ``dtype`` (``fp32``, ``bf16``, ``fp16``) and ``batch`` (32). Models are opened on first
            use; those on the hub are downloaded then, unless ``HF_HUB_OFFLINE`` is set.

    Raises:
        UnknownNameError: If there is no option of a given name.
        CivillyError: If an option has a wrong value.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__("textdetox2024", options, STA_MODEL, STA_MODEL)

    @cached_property
    def _chrf(self) -> Chrf:
        return Chrf()

    @cached_property
    def signature(self) -> str:
        """Models with commit or digest, and how they ran."""
        tokenizer = f",tokenizer:{self._tokenizer.signed()}" if self._tokenizer != self._sta else ""
        return (
            f"textdetox2024|sta:{self._sta.signed()}{tokenizer}|sim:{self._sim.signed()}"
            f"|fl:{self._chrf.signature.replace('|', ',')}"
            f"|dtype:{self._runtime.dtype}|civilly:{__version__}"
        )

    def _components(
        self, inputs: list[str], outputs: list[str], references: list[str]
    ) -> dict[str, list[float]]:
        texts = [Text(text, "") for text in inputs]
        return {
            "STA": self._classifier.p_neutral(outputs),
            "SIM": self._encoder.cosines(inputs, outputs),
            "FL": self._chrf.score(texts, outputs, [[each] for each in references]),
        }
