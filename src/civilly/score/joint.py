"""J, the joint score of a suite: the product of its components, text by text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

COMPONENTS = ("STA", "SIM", "FL")
"""Style transfer accuracy, similarity of content, fluency: the components of the shared tasks."""
JOINT = "J"


def joint(components: Mapping[str, Sequence[float]]) -> list[float]:
    """The product of all components per text, in order.

    Args:
        components: Scores in [0, 1] by name, all of one length.
    """
    return [math.prod(row) for row in zip(*components.values(), strict=True)]
