"""J, the joint score of a suite: the product of its components, text by text.

Beside J a suite may tell which faults a careful reader would find (`FaultFinder`). Of a system that
gives the shares of its outputs that are good, have a gap, stay rude, or say something else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from civilly.types import Text

COMPONENTS = ("STA", "SIM", "FL")
"""Style transfer accuracy, similarity of content, fluency: the components of the shared tasks."""
JOINT = "J"
SHARES = {
    "good": ("good",),
    "gap": ("gap",),
    "insult+kept": ("insult", "kept"),
    "meaning+overcut": ("meaning", "overcut"),
}
"""What systems are told apart by beside J, and the faults of `civilly.data.readings.FAULTS` in it;
what is left to 1 is ``other``."""
LOWER_IS_BETTER = frozenset(SHARES) - {"good"}
LOST = "meaning+overcut"
"""Where an output that is not there counts: all of the content was cut."""


@runtime_checkable
class FaultFinder(Protocol):
    """A suite that also says what a careful reader would find wrong."""

    def faults(self, inputs: Sequence[Text], outputs: Sequence[str]) -> dict[str, list[float]]:
        """The probability of each of `civilly.data.readings.FAULTS` per output, in order."""


def shares(faults: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The probability of each of `SHARES` per text, in order; its mean is the expected share.

    Args:
        faults: Probabilities in [0, 1] by fault, all of one length.
    """
    return {
        name: [min(1.0, sum(row)) for row in zip(*(faults[kind] for kind in kinds), strict=True)]
        for name, kinds in SHARES.items()
    }


def joint(components: Mapping[str, Sequence[float]]) -> list[float]:
    """The product of all components per text, in order.

    Args:
        components: Scores in [0, 1] by name, all of one length.
    """
    return [math.prod(row) for row in zip(*components.values(), strict=True)]


class JointSuite(ABC):
    """A suite whose score is J, the product of its components."""

    @abstractmethod
    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        """See `civilly.types.Suite`."""

    def score(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> list[float]:
        """J per output, in order; raises as `components`."""
        return joint(self.components(inputs, outputs, references))
