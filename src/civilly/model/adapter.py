"""What a training changed of a model: merged into its weights with numpy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np

from civilly.errors import ModelError
from civilly.model.source import FloatArray

WEIGHTS_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"
FULL_FILE = "model.safetensors"
PROMPT_FILE = "prompt.json"
"""Of an adapter that was trained on other prompts than the plain ones: what they tell."""
ONTO_FILE = "onto.json"
"""Of a small adapter that was trained with one that ships merged in: the name and digest of that.

Both are then merged, the one that ships first."""
ADAPTER_FOLDER, FULL_FOLDER = "adapter", "model"
"""Where a training puts what it made, in its run folder."""
_FILES = (WEIGHTS_FILE, FULL_FILE)
_PREFIX = "base_model.model."


def shipped_adapter(name: str) -> Path:
    """Folder of an adapter that the package brings.

    Raises:
        ModelError: If the package brings no adapter of that name.
    """
    folder = Path(str(files("civilly").joinpath(f"weights/{name}")))
    if not (folder / WEIGHTS_FILE).exists():
        verb = "fim recipes/fim.toml" if name == "fim" else f"sft recipes/{name}.toml"
        raise ModelError(
            f"This copy of Civilly brings no adapter {name!r}.",
            mend=f"train one with `civilly train {verb}` and name it with --adapter",
        )
    return folder


def adapter_digest(folder: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of what an adapter changes.

    Raises:
        ModelError: If the folder holds no adapter.
    """
    return hashlib.sha256(change_bytes(folder)).hexdigest()[:16]


def tells(folder: Path) -> bool:
    """Whether an adapter was trained on prompts that list the rude words, too.

    Raises:
        ModelError: If the folder holds no adapter, or what it says of its prompts is damaged.
    """
    described = weights_folder(folder) / PROMPT_FILE
    try:
        return described.exists() and bool(json.loads(described.read_bytes())["rude_words"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{described} does not say what prompts tell ({error}).",
            allowed='{"rude_words": true} or {"rude_words": false}',
        ) from error


class Change(Protocol):
    """What a training changed of the weights."""

    def targets(self) -> set[str]:
        """Names of the weights that are changed."""
        ...

    def merged(self, name: str, weight: FloatArray) -> FloatArray:
        """``weight`` as it is after the training; itself if it was left alone.

        Raises:
            ModelError: If what was trained has another shape.
        """
        ...


def load_change(folder: Path) -> Change:
    """Reads an adapter, or a model that was trained as a whole.

    Args:
        folder: PEFT folder of a LoRA or DoRA adapter, a folder with ``model.safetensors``, or a
            run folder with either.

    Raises:
        ModelError: If the folder holds neither.
    """
    folder = weights_folder(folder)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if not (folder / CONFIG_FILE).exists() and (folder / FULL_FILE).exists():
            return Replacement(load_file(folder / FULL_FILE))
        config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
        tensors = load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{folder} holds no readable LoRA adapter ({error}).",
            mend=f"name a folder with {CONFIG_FILE} and {WEIGHTS_FILE}",
        ) from error
    if config.get("peft_type") != "LORA":
        raise ModelError(
            f"{folder} is no LoRA adapter.",
            allowed="peft_type LORA",
            mend='train it anew with [adapter] kind = "lora" or "dora"',
        )
    root = config["r"] ** 0.5 if config.get("use_rslora") else config["r"]
    own = Adapter(tensors, config["lora_alpha"] / root)
    below = onto(folder)
    return Stacked(load_change(below), own) if below else own


def onto(folder: Path) -> Path | None:
    """The folder of the adapter that another one was trained onto; None if there is none.

    Args:
        folder: The folder with the weights of the upper one.

    Raises:
        ModelError: If the lower one is not there, or is not what it was at the training.
    """
    described = folder / ONTO_FILE
    if not described.exists():
        return None
    try:
        said = json.loads(described.read_bytes())
        name, digest = str(said["adapter"]), str(said["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{described} does not say what the adapter was trained onto ({error}).",
            allowed='{"adapter": "tuned", "digest": "…"}',
        ) from error
    below = shipped_adapter(name)
    if adapter_digest(below) != digest:
        raise ModelError(
            f"{folder} was trained onto another version of the adapter {name!r} than this one.",
            mend="train it anew, or use the version of Civilly that it was trained with",
        )
    return below


def say_onto(folder: Path, name: str) -> None:
    """Notes beside an adapter the name of the shipped one that it was trained onto.

    Raises:
        ModelError: If the package brings no adapter of that name.
    """
    said = {"adapter": name, "digest": adapter_digest(shipped_adapter(name))}
    (folder / ONTO_FILE).write_text(json.dumps(said, indent=1) + "\n", "utf-8")


class Adapter:
    """A LoRA adapter (Hu et al. 2021), W + s · B A, or DoRA (Liu et al. 2024).

    DoRA gives each row of the sum a length m of its own: m · (W + s · B A) / ‖W + s · B A‖.

    Args:
        tensors: ``lora_A`` [r, in], ``lora_B`` [out, r] and perhaps a magnitude vector [out] of
            each target, under PEFT's names.
        scale: s, which is alpha / r.
    """

    def __init__(self, tensors: Mapping[str, FloatArray], scale: float) -> None:
        self._factors: dict[str, tuple[FloatArray, FloatArray]] = {}
        self._lengths: dict[str, FloatArray] = {}
        for name, down in tensors.items():
            target = name.removeprefix(_PREFIX)
            if name.endswith(".lora_A.weight"):
                up = tensors[name.replace(".lora_A.", ".lora_B.")]
                self._factors[target.replace(".lora_A.", ".")] = (
                    down.astype(np.float32),
                    up.astype(np.float32) * np.float32(scale),
                )
            elif name.endswith(".lora_magnitude_vector"):
                target = target.removesuffix(".lora_magnitude_vector") + ".weight"
                self._lengths[target] = down.astype(np.float32)

    def targets(self) -> set[str]:
        """See `Change`."""
        return set(self._factors)

    def merged(self, name: str, weight: FloatArray) -> FloatArray:
        """See `Change`."""
        factors = self._factors.get(name)
        if factors is None:
            return weight
        _check_fit(name, (len(factors[1]), factors[0].shape[1]), weight)
        changed = low_rank_sum(weight, *factors)
        lengths = self._lengths.get(name)
        if lengths is None:
            return changed
        norms = np.linalg.norm(changed, axis=1, keepdims=True)
        return np.asarray(lengths[:, None] * changed / norms, dtype=np.float32)


class Stacked:
    """One change after another.

    Args:
        below: Made first.
        above: Was trained with the first one made.
    """

    def __init__(self, below: Change, above: Change) -> None:
        self._below, self._above = below, above

    def targets(self) -> set[str]:
        """See `Change`."""
        return self._below.targets() | self._above.targets()

    def merged(self, name: str, weight: FloatArray) -> FloatArray:
        """See `Change`."""
        return self._above.merged(name, self._below.merged(name, weight))


def low_rank_sum(weight: FloatArray, down: FloatArray, up: FloatArray) -> FloatArray:
    """W + B A, summed in double precision and rounded once.

    BLAS adds up in another order with another number of threads: in single precision each would
    give weights of its own.

    Args:
        weight: W [out, in].
        down: A [r, in].
        up: B [out, r], scaled.
    """
    product = up.astype(np.float64) @ down.astype(np.float64)
    return np.asarray(weight + product, dtype=np.float32)


class Replacement:
    """All weights of a model that was trained as a whole.

    Args:
        tensors: Weights under the model's own names.
    """

    def __init__(self, tensors: Mapping[str, FloatArray]) -> None:
        self._tensors = tensors

    def targets(self) -> set[str]:
        """See `Change`."""
        return set(self._tensors)

    def merged(self, name: str, weight: FloatArray) -> FloatArray:
        """See `Change`."""
        changed = self._tensors.get(name, weight)
        _check_fit(name, changed.shape, weight)
        return np.asarray(changed, dtype=np.float32)


def _check_fit(name: str, shape: tuple[int, ...], weight: FloatArray) -> None:
    if shape != weight.shape:  # numpy would repeat a single row
        raise ModelError(
            f"The adapter does not fit the model: {name} is {weight.shape}, not {shape}.",
            mend="name an adapter that was trained on this model",
        )


def change_bytes(folder: Path) -> bytes:
    """All that tells one change from another: the weights, and what an adapter's are scaled by.

    Args:
        folder: As `weights_folder` takes it.

    Raises:
        ModelError: If there are none.
    """
    weights = change_file(folder)
    try:
        config = json.loads(weights.with_name(CONFIG_FILE).read_bytes())
        scale = [config.get(name) for name in ("r", "lora_alpha", "use_rslora")]
    except (OSError, ValueError, AttributeError):  # none, or damaged: `load_change` says so
        scale = []
    own = weights.read_bytes() + json.dumps(scale).encode()
    below = onto(weights.parent)
    return change_bytes(below) + own if below else own


def change_file(folder: Path) -> Path:
    """The file that holds the weights of an adapter or of a whole model.

    Args:
        folder: As `weights_folder` takes it.

    Raises:
        ModelError: If there are none.
    """
    folder = weights_folder(folder)
    return next(folder / name for name in _FILES if (folder / name).exists())


def weights_folder(folder: Path) -> Path:
    """The folder with the weights of an adapter or of a whole model.

    Args:
        folder: It itself, or the run folder of a training or a sweep (of which the best is kept).

    Raises:
        ModelError: If there are none.
    """
    kinds = (ADAPTER_FOLDER, FULL_FOLDER)
    best = sorted(path for kind in kinds for path in folder.glob(f"trials/*/{kind}"))
    for place in (folder, *(folder / kind for kind in kinds), *best):
        if any((place / name).exists() for name in _FILES):
            return place
    if next(folder.glob("checkpoint-*"), None):
        raise ModelError(
            f"The training in {folder} is not finished.", mend="civilly train … --resume"
        )
    raise ModelError(
        f"No adapter in {folder}.",
        mend=f"name a folder of `civilly train`, or one with {WEIGHTS_FILE} or {FULL_FILE}",
    )
