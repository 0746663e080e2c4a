"""A suite that grades any output, also of an untrained model: is it as long as the reference?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from civilly.score.joint import JointSuite
from civilly.types import Text, Tools

NAME = "ratio"


def create(tools: Tools) -> Ratio:
    return Ratio()


def install(folder: Path) -> None:
    """Makes a folder that, on ``sys.path``, is an installed package that brings the suite."""
    metadata = folder / f"{NAME}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[civilly.score]\n{NAME} = ratio_suite\n")


class Ratio(JointSuite):
    signature = "ratio"

    def components(
        self,
        inputs: Sequence[Text],
        outputs: Sequence[str],
        references: Sequence[Sequence[str]] | None = None,
    ) -> dict[str, list[float]]:
        assert references is not None
        ones = [1.0] * len(outputs)
        sizes = [(len(o) + 1, len(r[0]) + 1) for o, r in zip(outputs, references, strict=True)]
        like = [min(each) / max(each) for each in sizes]
        return {"STA": ones, "SIM": like, "FL": ones}
