"""STA, SIM and FL as a careful reader would see them, without references; J is their product.

Each is the geometric mean of two opinions of the reader (`civilly.score.reader`): how probable it
is that a careful reader finds no fault of that kind, and how people of the shared task of 2024
would judge it. A reader names the worst fault alone, so the first ones are chained: the product of
the three is the probability that the rewrite is good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from civilly import __version__
from civilly.data.readings import FAULTS
from civilly.model.cache import fingerprint
from civilly.model.reader_weights import shipped_reader
from civilly.score.joint import COMPONENTS, JointSuite
from civilly.score.reader import Opinion, Reader, load
from civilly.types import Text, Tools

CHUNK = 2_000
"""Rows read at once, so that memory stays bounded."""
OF_COMPONENT = {"STA": ("insult", "kept"), "SIM": ("meaning", "overcut"), "FL": ("gap", "other")}
"""The faults that each component is about, in the order in which they are chained."""

OPTIONS = ()


def create(tools: Tools | None = None) -> ReadingSuite:
    """The suite with the shipped reader.

    Raises:
        ModelError: If this copy of Civilly brings none.
    """
    return ReadingSuite(load())


class ReadingSuite(JointSuite):
    """See the module; references are not looked at.

    Args:
        reader: Reads the rewrites.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def signature(self) -> str:
        """See `civilly.types.Metric`."""
        weights = fingerprint(shipped_reader("judge").read_bytes())
        return f"reading|reader:{weights}|civilly:{__version__}"

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """STA, SIM and FL of each output; one without a letter or digit has no SIM or FL."""
        found: dict[str, list[float]] = {name: [] for name in COMPONENTS}
        for output, opinion in zip(outputs, self._opinions(inputs, outputs), strict=True):
            blank = not any(map(str.isalnum, output))
            for name, value in components_of(opinion).items():
                found[name].append(0.0 if blank and name != "STA" else value)
        return found

    def faults(self, inputs: Sequence[Text], outputs: Sequence[str]) -> dict[str, list[float]]:
        """The probability of each fault of `civilly.data.readings.FAULTS` per output, in order."""
        opinions = list(self._opinions(inputs, outputs))
        return {fault: [opinion.faults[fault] for opinion in opinions] for fault in FAULTS}

    def _opinions(self, inputs: Sequence[Text], outputs: Sequence[str]) -> Iterator[Opinion]:
        for start in range(0, len(inputs), CHUNK):
            rows = slice(start, start + CHUNK)
            yield from self._reader.opinions([text.text for text in inputs[rows]], outputs[rows])


def components_of(opinion: Opinion) -> dict[str, float]:
    """STA, SIM and FL of one opinion, each in [0, 1]."""
    chained = chain(opinion.faults)
    return {name: (chained[name] * opinion.human[name]) ** 0.5 for name in COMPONENTS}


def chain(faults: Mapping[str, float]) -> dict[str, float]:
    """Probability of no fault of a kind, given that there is none of the kinds before it.

    The product of all is the probability of ``good``.
    """
    left, found = 1.0, {}
    for name, kinds in OF_COMPONENT.items():
        rest = max(0.0, left - sum(faults[kind] for kind in kinds))
        found[name] = rest / left if left > 0 else 0.0
        left = rest
    return found
