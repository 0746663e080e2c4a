"""What the reference model says of all answers: asked once, kept in the run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.errors import DataError, ModelError
from civilly.model.adapter import CONFIG_FILE
from civilly.model.progress import reported
from civilly.train.base_model import TrainableModel, load_trainable, start_folder
from civilly.train.prefer.likelihood import measured
from civilly.train.prefer.recipe import PreferRecipe
from civilly.train.prefer.rows import Row
from civilly.train.recipe import AdapterSettings

REFERENCE_FILE = "reference.safetensors"
"""Of a run folder: log probabilities by the reference model, float32 [rows, 2], by group."""
_FINGERPRINT = "fingerprint"


def reference_model(
    recipe: PreferRecipe, trainable: TrainableModel, precision: str, embedded: Path | None = None
) -> TrainableModel:
    """The model that a training is not to go far from.

    Args:
        recipe: Names it.
        trainable: The model that is trained, as it is at the start.
        precision: ``fp32`` or ``bf16``.
        embedded: Folder of the embedded model in Hugging Face form; default: the shipped one.

    Raises:
        ModelError: If there is no such adapter, or it is of another base model.
    """
    name = recipe.loss.reference
    if name == "start":
        return trainable
    folder = start_folder(name)
    base = json.loads((folder / CONFIG_FILE).read_text("utf-8")).get("base_model_name_or_path")
    problem = f"The reference {name!r} is an adapter of {base!r}; what is trained is"
    allowed = 'an adapter of the same base model, or reference = "start"'
    if base != trainable.name:
        raise ModelError(f"{problem} {trainable.name!r}.", allowed=allowed)
    try:
        settings = AdapterSettings(start=str(folder))
        made = load_trainable(recipe.base, settings, precision, embedded)
    except RuntimeError as error:  # of torch: another shape
        raise ModelError(f"{problem} of another shape: {error}", allowed=allowed) from error
    made.model.to(trainable.model.device)
    return made


def refer(
    reference: TrainableModel,
    groups: Mapping[str, Sequence[Row]],
    out: Path,
    precision: str,
    *,
    resumed: bool,
) -> None:
    """Notes in every row how likely the reference model finds its answers.

    Args:
        reference: The reference model.
        groups: Rows by what they are for.
        out: The run folder.
        precision: ``fp32`` or ``bf16``.
        resumed: Whether the training goes on from a checkpoint: then its file must fit.

    Raises:
        DataError: If the file is of another model or other rows, and a training goes on with it.
    """
    path, wanted = out / REFERENCE_FILE, fingerprint(reference, groups, precision)
    known = _read(path, wanted)
    if known is None and resumed:
        raise DataError(
            f"{path} was not made of these preferences by this reference model.",
            mend="the preferences and the adapter that the run was begun with, or another --out",
        )
    if known is None:
        known = _ask(reference, groups, path, precision, wanted)
    for name, rows in groups.items():
        for row, (first, second) in zip(rows, known[name].tolist(), strict=True):
            row["reference"] = (first, second)


def fingerprint(
    reference: TrainableModel, groups: Mapping[str, Sequence[Row]], precision: str
) -> str:
    """SHA-256 of all that the log probabilities depend on: weights, token ids, number format."""
    import torch

    digest = hashlib.sha256(precision.encode())
    for name, rows in groups.items():
        ids = [(row["prompt"], row["answers"]) for row in rows]
        digest.update(json.dumps([name, ids]).encode())
    for name, weight in sorted(reference.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path, wanted: str) -> dict[str, Any] | None:
    """The file's content; None if there is none of that fingerprint."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            if (file.metadata() or {}).get(_FINGERPRINT) != wanted:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:  # torn
        return None


def _ask(
    reference: TrainableModel,
    groups: Mapping[str, Sequence[Row]],
    path: Path,
    precision: str,
    wanted: str,
) -> dict[str, Any]:
    import numpy as np
    from safetensors.numpy import save

    from civilly.data.files import write_bytes

    known = {}
    for name, rows in groups.items():
        with reported(f"asking the reference model about {2 * len(rows)} answers") as report:
            logps, _ = measured(reference, reference.model, rows, precision, report)
        known[name] = np.array(logps, dtype=np.float32)
    write_bytes(path, save(known, {_FINGERPRINT: wanted}))
    return known
