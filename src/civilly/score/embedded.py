"""STA, SIM, FL and J on the CPU, fitted to people's judgements, with or without references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from civilly import __version__, registry
from civilly.errors import CivillyError
from civilly.languages import says_something
from civilly.model.cache import fingerprint
from civilly.registry import Option
from civilly.score.embedded_cache import VectorCache, default_path
from civilly.score.embedded_encoder import SIGNATURE, WIDTH, SentenceEncoder
from civilly.score.embedded_features import FeatureReader, Features
from civilly.score.embedded_model import WEIGHTS, SuiteModel
from civilly.score.joint import COMPONENTS, JointSuite
from civilly.types import Text, Tools

CHUNK = 1_000
"""Rows read at once, so that memory stays bounded."""


OPTIONS = (Option("cache", "Whether vectors of texts are kept on disk.", ("on", "off")),)


def create(tools: Tools) -> EmbeddedSuite:
    """The suite; the option ``cache=off`` keeps nothing on disk.

    Its coefficients were fitted to the n-gram model, so it keeps to that detector.
    """
    cache = str(tools.options.get("cache", "on")).lower()
    if cache not in ("on", "off"):
        raise CivillyError(f"The option cache is {cache!r}.", allowed="on, off")
    path = default_path() if cache == "on" else None
    encoder = SentenceEncoder(VectorCache(path, SIGNATURE, WIDTH))
    return EmbeddedSuite(
        FeatureReader(registry.create("detect", "toxicity"), encoder), SuiteModel.load()
    )


class EmbeddedSuite(JointSuite):
    """Features of `civilly.score.embedded_features` in the model of `embedded_model`.

    Args:
        reader: Computes the features.
        model: The coefficients.
    """

    def __init__(self, reader: FeatureReader, model: SuiteModel) -> None:
        self._reader = reader
        self._model = model

    @property
    def signature(self) -> str:
        """See `civilly.types.Metric`."""
        coefficients = fingerprint(WEIGHTS.read_bytes())
        return f"embedded|coefficients:{coefficients}|encoder:{SIGNATURE}|civilly:{__version__}"

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """STA, SIM and FL of each output; an output without a letter or digit has no SIM or FL.

        STA: how surely people find the output less toxic than the input. SIM: how probably they
        find its content kept. FL: how probably they find it no less fluent than the input.
        """
        found: dict[str, list[float]] = {name: [] for name in COMPONENTS}
        for rows, features in self.features(inputs, outputs, references):
            blank = [not says_something(output) for output in outputs[rows]]
            for name, column in self._model.components(features).items():
                for value, empty in zip(column.tolist(), blank, strict=True):
                    found[name].append(0.0 if empty and name != "STA" else value)
        return found

    def features(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> Iterator[tuple[slice, Features]]:
        """The features, a chunk of rows at a time."""
        for start in range(0, len(inputs), CHUNK):
            rows = slice(start, start + CHUNK)
            of_rows = None if references is None else references[rows]
            yield rows, self._reader.features(inputs[rows], outputs[rows], of_rows)
