"""A suite that finds faults by plain arithmetic, so that shares can be worked out by hand.

Text of an output: ``good``, ``gap``, … is read as that fault, half surely (the other half is
``other``, or surely ``other`` where it is ``other``); STA, SIM and FL are 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from civilly.data.readings import FAULTS
from civilly.score.human import Judgement
from civilly.score.joint import JointSuite
from civilly.types import Text, Tools

NAME = "told"


def create(tools: Tools) -> Told:
    return Told()


def install(folder: Path) -> None:
    """Makes a folder that, on ``sys.path``, is an installed package that brings the suite."""
    metadata = folder / f"{NAME}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[civilly.score]\n{NAME} = reading_suite\n")


class Told(JointSuite):
    signature = "told"

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        return {name: [1.0] * len(outputs) for name in ("STA", "SIM", "FL")}

    def faults(self, inputs: Sequence[Text], outputs: Sequence[str]) -> dict[str, list[float]]:
        found = {f: [0.5 * (out == f) for out in outputs] for f in FAULTS}
        found["other"] = [0.5 + 0.5 * (out == "other") for out in outputs]
        return found

    def learnt_from(self, judgement: Judgement) -> bool:
        return str(judgement.row["id"]).startswith("learnt")
