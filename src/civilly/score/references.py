"""Which reference counts where a text has several: the one with the best joint score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from civilly.errors import CivillyError
from civilly.score.joint import joint
from civilly.types import Text

Components = dict[str, list[float]]
OneReference = Callable[[list[str], list[str], list[str]], Components]
"""Scores inputs and outputs against one reference each."""


def best_of_references(
    score: OneReference,
    inputs: Sequence[Text],
    outputs: Sequence[str],
    references: Sequence[Sequence[str]] | None,
) -> Components:
    """Components per text, all taken from its best reference by their product.

    The shared tasks have one reference per text, so for them this changes nothing. Components are
    never mixed from several references: their product stays the J of one comparison.

    Args:
        score: The suite for one reference per text.
        inputs: The texts that were rewritten.
        outputs: The rewrites, one per input.
        references: At least one reference per input.

    Raises:
        CivillyError: If there are no references, a text has none, or the lengths differ.
    """
    if references is None:
        raise CivillyError(
            "This suite compares outputs with references, and there are none.",
            mend="--reference FILE (in Python the argument references), or the suite 'embedded', "
            "which needs none",
        )
    if not len(inputs) == len(outputs) == len(references):
        raise CivillyError(
            f"There are {len(inputs)} inputs, {len(outputs)} outputs and references for "
            f"{len(references)} texts.",
            allowed="as many of each",
        )
    bare = [row for row, of_row in enumerate(references) if not of_row]
    if bare:
        raise CivillyError(
            f"{len(bare)} texts have no reference, the first in row {bare[0]} (counted from 0).",
            mend="leave these rows out, or use a suite that needs none",
        )
    pairs = [(row, each) for row, of_row in enumerate(references) for each in of_row]
    flat = score(
        [inputs[row].text for row, _ in pairs],
        [outputs[row] for row, _ in pairs],
        [each for _, each in pairs],
    )
    best: dict[int, int] = {}
    products = joint(flat)
    for place, (row, _) in enumerate(pairs):
        if row not in best or products[place] > products[best[row]]:
            best[row] = place
    return {
        name: [values[best[row]] for row in range(len(inputs))] for name, values in flat.items()
    }
