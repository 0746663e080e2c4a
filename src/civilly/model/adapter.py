"""LoRA adapters in PEFT's folder form, merged into weights with numpy."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numpy as np

from civilly.errors import ModelError
from civilly.model.source import FloatArray

WEIGHTS_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "base_model.model."


def shipped_adapter(name: str) -> Path:
    """Folder of an adapter that the package brings.

    Raises:
        ModelError: If the package brings no adapter of that name.
    """
    folder = Path(str(files("civilly").joinpath(f"weights/{name}")))
    if not (folder / WEIGHTS_FILE).exists():
        raise ModelError(
            f"This copy of Civilly brings no adapter {name!r}.",
            mend="train one with `civilly train sft recipes/tuned.toml` and name it with --adapter",
        )
    return folder


def adapter_digest(folder: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of an adapter's weights.

    Raises:
        ModelError: If the folder holds no adapter.
    """
    try:
        return hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ModelError(
            f"No adapter in {folder}.", mend=f"name one with {WEIGHTS_FILE}"
        ) from error


class Adapter:
    """A LoRA adapter (Hu et al. 2021): W + (alpha / r) · B A.

    Args:
        folder: PEFT folder with ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        ModelError: If the folder holds no plain LoRA adapter.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        try:
            config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
            tensors = load_file(folder / WEIGHTS_FILE)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{folder} holds no readable LoRA adapter ({error}).",
                mend=f"name a folder with {CONFIG_FILE} and {WEIGHTS_FILE}",
            ) from error
        if config.get("peft_type") != "LORA" or config.get("use_dora"):
            raise ModelError(f"{folder} is no plain LoRA adapter.", allowed="peft_type LORA")
        scale = config["lora_alpha"] / (
            config["r"] ** 0.5 if config.get("use_rslora") else config["r"]
        )
        self._factors: dict[str, tuple[FloatArray, FloatArray]] = {}
        for name, down in tensors.items():
            if name.endswith(".lora_A.weight"):
                up = tensors[name.replace(".lora_A.", ".lora_B.")]
                target = name.removeprefix(_PREFIX).replace(".lora_A.", ".")
                self._factors[target] = (
                    down.astype(np.float32),
                    up.astype(np.float32) * np.float32(scale),
                )

    def targets(self) -> set[str]:
        """Names of the weights that the adapter changes."""
        return set(self._factors)

    def merged(self, name: str, weight: FloatArray) -> FloatArray:
        """``weight`` with the adapter's change, or itself if the adapter leaves it alone."""
        factors = self._factors.get(name)
        return weight if factors is None else weight + factors[1] @ factors[0]
