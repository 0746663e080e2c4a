"""What the official suites of TextDetox 2024 and 2025 share: options, two models, J."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from civilly.registry import Option, refuse_unknown
from civilly.score.joint import JointSuite
from civilly.score.models import RUNTIME_OPTIONS, ModelSource, Runtime
from civilly.score.references import best_of_references
from civilly.score.sentence_encoder import SentenceEncoder
from civilly.score.toxicity_classifier import ToxicityClassifier
from civilly.types import Text

SIM_MODEL = "sentence-transformers/LaBSE"
OPTIONS = (
    Option("sta", "Toxicity classifier: org/name, org/name@revision or a folder."),
    Option("sta_tokenizer", "Its tokenizer, if not its own."),
    Option("sim", "Sentence encoder."),
    *RUNTIME_OPTIONS,
)
"""What both years can be told."""


class OfficialSuite(JointSuite):
    """A toxicity classifier, a sentence encoder, and whatever a year adds to them.

    Args:
        name: The suite's name, for messages.
        options: Some of those in ``known``.
        sta: The classifier of that year.
        sta_tokenizer: Its tokenizer; a classifier that the user names brings its own.
        known: The options of this year's suite, those of `OPTIONS` among them.

    Raises:
        UnknownNameError: If there is no option of a given name.
        CivillyError: If an option has a wrong value.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        sta: str,
        sta_tokenizer: str,
        known: Sequence[Option] = OPTIONS,
    ) -> None:
        refuse_unknown(f"option of the metric {name!r}", options, known)
        own_tokenizer = options.get("sta", sta_tokenizer)
        self._sta = ModelSource.parse(str(options.get("sta", sta)))
        self._tokenizer = ModelSource.parse(str(options.get("sta_tokenizer", own_tokenizer)))
        self._sim = ModelSource.parse(str(options.get("sim", SIM_MODEL)))
        self._runtime = Runtime.of(options)

    @cached_property
    def _classifier(self) -> ToxicityClassifier:
        return ToxicityClassifier(self._sta, self._tokenizer, self._runtime)

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        return SentenceEncoder(self._sim, self._runtime)

    @abstractmethod
    def _components(
        self, inputs: list[str], outputs: list[str], references: list[str]
    ) -> dict[str, list[float]]:
        """``STA``, ``SIM`` and ``FL`` per output with one reference each."""

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """``STA``, ``SIM`` and ``FL`` per output, in order.

        Raises:
            CivillyError: If a text has no reference.
            MissingExtraError: If the extra ``official`` is not installed.
            ModelError: If a model cannot be opened.
        """
        return best_of_references(self._components, inputs, outputs, references)
