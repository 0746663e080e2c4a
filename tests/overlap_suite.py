"""A suite of plain arithmetic, so that its scores can be worked out by hand.

STA: 0 if the output holds "idiot", else 1. SIM: the share of the input's words that the output
keeps. FL: 1 if the output equals a reference, else the option ``other`` (.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from civilly.errors import CivillyError
from civilly.score.joint import JointSuite
from civilly.types import Text, Tools

NAME = "overlap"


def create(tools: Tools) -> Overlap:
    return Overlap(float(tools.options.get("other", 0.5)))


def install(folder: Path) -> None:
    """Makes a folder that, on ``sys.path``, is an installed package that brings the suite."""
    metadata = folder / f"{NAME}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[civilly.score]\n{NAME} = overlap_suite\n")


class Overlap(JointSuite):
    def __init__(self, other: float) -> None:
        self._other = other

    @property
    def signature(self) -> str:
        return f"overlap|other:{self._other}"

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        if references is None:
            raise CivillyError("overlap needs references.", mend="--reference FILE")
        kept = [
            sum(word in out.split() for word in text.text.split()) / len(text.text.split())
            for text, out in zip(inputs, outputs, strict=True)
        ]
        fluent = [
            1.0 if out in refs else self._other
            for out, refs in zip(outputs, references, strict=True)
        ]
        return {"STA": [float("idiot" not in out) for out in outputs], "SIM": kept, "FL": fluent}
