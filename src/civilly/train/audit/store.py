"""Looks on disk, so that a checkpoint is looked at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from civilly.data.pairs import Pair
from civilly.train.audit.look import Look
from civilly.train.audit.recipe import AuditSettings
from civilly.train.rewards.mixture import Combination, RewardSettings
from civilly.train.run_folder import read_json, write_json

FOLDER = "audit"
"""Of a run folder."""


class LookStore:
    """Looks of one run, with the same eyes.

    Args:
        run: The run folder.
        seen_with: What the looks depend on beside the weights (`seen_with`).
    """

    def __init__(self, run: Path, seen_with: str) -> None:
        self._folder, self._seen_with = run / FOLDER, seen_with

    def get(self, step: int, weights: Path | None) -> Look | None:
        """A look, if there is one of these weights with these eyes."""
        row = read_json(self._path(step))
        if row.pop("seen_with", None) != self._seen_with or row.pop("weights") != _digest(weights):
            return None
        return Look(**row)

    def put(self, look: Look, weights: Path | None) -> None:
        """Keeps a look."""
        self._folder.mkdir(parents=True, exist_ok=True)
        named = {"seen_with": self._seen_with, "weights": _digest(weights)}
        write_json(self._path(look.step), {**named, **look.as_row()})

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step}.json"


def _digest(weights: Path | None) -> str | None:
    return hashlib.sha256(weights.read_bytes()).hexdigest() if weights else None


def seen_with(
    settings: AuditSettings,
    rewards: Sequence[RewardSettings],
    combine: Combination,
    pairs: Sequence[Pair],
) -> str:
    """SHA-256 of what a look depends on beside the model: texts, rewards, referees."""
    digest = hashlib.sha256()
    for name, referee in settings.referees.items():
        digest.update(f"{name} {referee.model_dump_json()}".encode())
        if referee.weights:
            digest.update(Path(referee.weights).read_bytes())
    digest.update(json.dumps([combine, *(each.model_dump() for each in rewards)]).encode())
    digest.update(json.dumps([[p.toxic, p.lang, *p.neutral] for p in pairs]).encode())
    return digest.hexdigest()
