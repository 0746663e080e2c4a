"""The fixed texts of an audit: held-out pairs that no training has seen."""

from __future__ import annotations

from pathlib import Path

from civilly.data.pairs import Pair, read_authored
from civilly.data.split import dev_part
from civilly.train.audit.recipe import AuditSettings
from civilly.train.finetuning import tuning_pairs
from civilly.train.recipe import ValidationSettings


def fixed_pairs(settings: AuditSettings, data: Path) -> list[Pair]:
    """Pairs of the part ``tune``, as many of each language as the recipe says.

    Args:
        settings: How many, how long, and the folder with further languages.
        data: The data folder.

    Raises:
        DataError: If there are none.
    """
    authored = read_authored(Path(settings.authored)) if settings.authored else []
    kept = [pair for pair in authored if dev_part(pair.id) == "tune"]
    wanted = ValidationSettings(
        pairs=settings.texts, longest_characters=settings.longest_characters
    )
    return tuning_pairs(kept, data, wanted)
