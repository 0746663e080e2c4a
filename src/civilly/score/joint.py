"""J, the joint score of a suite: the product of its components, text by text."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from civilly.types import Text

COMPONENTS = ("STA", "SIM", "FL")
"""Style transfer accuracy, similarity of content, fluency: the components of the shared tasks."""
JOINT = "J"


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
