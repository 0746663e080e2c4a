"""The official metrics of TextDetox 2025: STA, SIM and XCOMET-lite, all against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from civilly import __version__
from civilly.registry import Option
from civilly.score import official
from civilly.score.models import ModelSource
from civilly.score.official import OfficialSuite
from civilly.score.xcomet import XComet
from civilly.types import Tools

STA_MODEL = "textdetox/xlmr-large-toxicity-classifier-v2"
STA_TOKENIZER = "cardiffnlp/twitter-xlm-roberta-large-2022"
FL_MODEL = "myyycroft/XCOMET-lite"
FL_ENCODER = "microsoft/mdeberta-v3-base"
INPUT_WEIGHT, REFERENCE_WEIGHT = 0.4, 0.6


OPTIONS = (
    *official.OPTIONS,
    Option("fl", "XCOMET-lite: org/name, org/name@revision or a folder."),
    Option("fl_encoder", "The encoder that it is built on."),
)


def create(tools: Tools) -> TextDetox2025:
    """The suite; see `TextDetox2025` for its options."""
    return TextDetox2025(tools.options)


def style_transfer(p_input: float, p_output: float, p_reference: float) -> float:
    """STA: ``max(1[p(r) <= p(o)], (p(o) + 1[p(i) <= p(o)]) / 2)``, in [0, 1].

    1 if the output is at least as neutral as the reference; else at most the mean of its own
    neutrality and 1, and without that 1 if it is less neutral than the input.

    Args:
        p_input: P(neutral) of the input, in [0, 1].
        p_output: P(neutral) of the output.
        p_reference: P(neutral) of the reference.
    """
    if p_reference <= p_output:
        return 1.0
    return (p_output + (p_input <= p_output)) / 2


def similarity(to_input: float, to_reference: float) -> float:
    """SIM: the weighted mean of two cosines."""
    return INPUT_WEIGHT * to_input + REFERENCE_WEIGHT * to_reference


class TextDetox2025(OfficialSuite):
    """``J = STA·SIM·FL`` as in the shared task of CLEF 2025 (Dementieva et al. 2025).

    See `style_transfer` and `similarity` (of LaBSE); FL is XCOMET-lite with the input as source.
    As in the official code, neither SIM nor FL is clipped at 0. With several references the best
    counts (see `best_of_references`).

    Equal texts get the very same P(neutral). The official code may see them in batches of another
    width, where the last digit, and with it STA of an unchanged text, is left to chance.

    Args:
        options: ``sta``, ``sta_tokenizer``, ``sim``, ``fl`` and ``fl_encoder`` (``org/name``,
            ``org/name@revision`` or a folder; the tokenizer of a classifier that you name is its
            own by default), ``device`` (``auto``), ``dtype`` (``fp32``, ``bf16``, ``fp16``) and
            ``batch`` (32). Models are opened on first use; those on the hub are downloaded then,
            unless ``HF_HUB_OFFLINE`` is set.

    Raises:
        UnknownNameError: If there is no option of a given name.
        CivillyError: If an option has a wrong value.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__("textdetox2025", options, STA_MODEL, STA_TOKENIZER, OPTIONS)
        self._fl = ModelSource.parse(str(options.get("fl", FL_MODEL)))
        self._fl_encoder = ModelSource.parse(str(options.get("fl_encoder", FL_ENCODER)))

    @cached_property
    def _xcomet(self) -> XComet:
        return XComet(self._fl, self._fl_encoder, self._runtime)

    @cached_property
    def signature(self) -> str:
        """Models with commit or digest, and how they ran."""
        sta, sim, fl = self._sta.signed(), self._sim.signed(), self._fl.signed()
        tokenizer, encoder = self._tokenizer.signed(), self._fl_encoder.signed()
        return (
            f"textdetox2025|sta:{sta},tokenizer:{tokenizer}|sim:{sim}|fl:{fl},encoder:{encoder}"
            f"|dtype:{self._runtime.dtype}|civilly:{__version__}"
        )

    def _components(
        self, inputs: list[str], outputs: list[str], references: list[str]
    ) -> dict[str, list[float]]:
        size = len(inputs)
        neutral = self._classifier.p_neutral([*inputs, *outputs, *references])
        columns = (neutral[:size], neutral[size : 2 * size], neutral[2 * size :])
        to_input = self._encoder.cosines(inputs, outputs)
        to_reference = self._encoder.cosines(references, outputs)
        return {
            "STA": list(map(style_transfer, *columns)),
            "SIM": list(map(similarity, to_input, to_reference)),
            "FL": [each.score for each in self._xcomet.judge(inputs, outputs, references)],
        }
