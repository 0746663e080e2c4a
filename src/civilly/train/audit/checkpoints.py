"""The checkpoints of a run, and how a loaded model is given the weights of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from civilly.errors import DataError, ModelError
from civilly.model.adapter import change_file

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel


def checkpoints(run: Path) -> dict[int, Path]:
    """The folders of a run that hold weights, by their steps, in order.

    Raises:
        DataError: If there are none.
    """
    found = {}
    for folder in run.glob("checkpoint-*"):
        step = folder.name.rpartition("-")[2]
        if step.isdecimal() and _has_weights(folder):
            found[int(step)] = folder
    if not found:
        raise DataError(
            f"{run} holds no checkpoints.",
            allowed="the run folder of `civilly train prefer`, `sft` or `fim`",
            mend="save_steps under [training], and kept_checkpoints in a fine-tuning",
        )
    return dict(sorted(found.items()))


def _has_weights(folder: Path) -> bool:
    try:
        return change_file(folder).exists()
    except ModelError:
        return False


def put_in(trainable: TrainableModel, folder: Path) -> None:
    """Gives a model the weights of a checkpoint.

    Args:
        trainable: A model of the shape that the run trained.
        folder: The checkpoint.

    Raises:
        ModelError: If the weights do not fit.
    """
    from safetensors.torch import load_file

    file = change_file(folder)
    weights = load_file(file)
    model = trainable.model
    try:
        if hasattr(model, "peft_config"):
            from peft import set_peft_model_state_dict

            set_peft_model_state_dict(model, weights)
        else:
            model.load_state_dict(weights, strict=False)  # tied matrices are saved once
    except RuntimeError as error:  # of torch: another shape
        raise ModelError(f"The weights in {file} do not fit the run's model: {error}") from error
