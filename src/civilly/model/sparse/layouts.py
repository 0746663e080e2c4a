"""Reads the files of sparse autoencoders, and writes ours: four layouts, told by their names.

===============  ====================================  =============================================
Gemma Scope      ``params.npz``                        W_enc, W_dec, b_enc, b_dec, threshold
Gemma Scope 2    ``params.safetensors, config.json``   w_enc, …; ``affine_skip_connection``
SAELens          ``sae_weights.safetensors, cfg.json`` W_enc, …; the architecture's own
ours             as Gemma Scope 2                      float16, or int8 with ``w_enc.scale`` [width]
===============  ====================================  =============================================

All act on the raw stream; a normalisation of training is folded into the weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from civilly.data.files import read_bytes, write_bytes
from civilly.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from civilly.model.sparse.autoencoder import SparseAutoencoder

NPZ, PARAMS, CONFIG = "params.npz", "params.safetensors", "config.json"
LENS_WEIGHTS, LENS_CONFIG = "sae_weights.safetensors", "cfg.json"
SCALE = ".scale"
"""What the name of an int8 tensor's scales ends in."""
_TENSORS = {"w_enc", "w_dec", "b_enc", "b_dec"}
_LENS_KINDS = ("standard", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk")

Tensors = Mapping[str, NDArray[Any]]


def load_sae(folder: Path) -> SparseAutoencoder:
    """Reads a sparse autoencoder, in float32.

    Args:
        folder: With the files of one layout.

    Raises:
        MissingExtraError: If torch is not installed.
        ModelError: If the folder holds none, or files that do not fit each other.
    """
    try:
        import torch  # noqa: F401 - asked for before anything is read
    except ImportError as error:
        raise MissingExtraError("A sparse autoencoder", "sae", "torch") from error
    if (folder / NPZ).is_file():
        return _from_tensors(_npz(folder / NPZ), {}, folder)
    if (folder / PARAMS).is_file():
        return _from_tensors(_safetensors(folder / PARAMS), _json(folder / CONFIG), folder)
    if (folder / LENS_WEIGHTS).is_file():
        return _from_lens(_safetensors(folder / LENS_WEIGHTS), _json(folder / LENS_CONFIG), folder)
    raise ModelError(
        f"{str(folder)!r} holds no sparse autoencoder.",
        allowed=f"a folder with {NPZ}, {PARAMS} or {LENS_WEIGHTS}",
        mend="name the folder of one layer and width, as layer_12/width_16k/average_l0_82",
    )


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(
            f"{str(path)!r} cannot be read: {error}.", mend="fetch its files again"
        ) from error


def _safetensors(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # numpy knows no bfloat16

    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{str(path)!r} cannot be read: {error}.", mend="fetch its files again"
        ) from error
    return {name: t.numpy() if _plain(t) else t.float().numpy() for name, t in found.items()}


def _plain(tensor: Any) -> bool:
    return str(tensor.dtype) != "torch.bfloat16"


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(read_bytes(path))
    except ValueError as error:
        raise ModelError(
            f"{str(path)!r} is not JSON: {error}.", mend="fetch its files again"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(f"{str(path)!r} holds no settings.", mend="fetch its files again")
    return found


def _as_float(tensors: Tensors) -> dict[str, NDArray[np.float32]]:
    """Lower-case names, float32; int8 tensors times their scales, one per latent."""
    scales = {k.lower().removesuffix(SCALE): v for k, v in tensors.items() if k.endswith(SCALE)}
    found = {}
    for key, tensor in tensors.items():
        name = key.lower()
        if name.endswith(SCALE):
            continue
        exact = tensor.astype(np.float32)
        if name in scales:
            scale = scales[name].astype(np.float32)
            exact = exact * (scale[:, None] if name == "w_dec" else scale)
        found[name] = exact
    return found


def _from_tensors(tensors: Tensors, config: Mapping[str, Any], folder: Path) -> SparseAutoencoder:
    """Gemma Scope's, the second's and ours: JumpReLU on the raw stream."""
    from civilly.model.sparse.autoencoder import About, JumpRelu

    found = _as_float(tensors)
    _require(found, _TENSORS | {"threshold"}, folder)
    if (scaling := found.get("scaling_factor")) is not None and not np.allclose(scaling, 1):
        raise ModelError(
            f"{str(folder)!r} was made for a normalised stream (scaling_factor).",
            allowed="weights that act on the raw stream",
        )
    kind = config.get("architecture", "jump_relu")
    if kind != "jump_relu":
        raise ModelError(f"{str(folder)!r} has the architecture {kind!r}.", allowed="jump_relu")
    hook = config.get("hf_hook_point_in")
    layer = re.search(r"layers\.(\d+)\.", hook or "") or re.search(r"layer_(\d+)", str(folder))
    l0 = config.get("l0") or _number(re.search(r"average_l0_(\d+)", str(folder)))
    about = About(config.get("model_name"), _number(layer), hook, None if l0 is None else float(l0))
    return _assembled(found, JumpRelu(_tensor(found["threshold"])), about=about)


def _from_lens(tensors: Tensors, config: Mapping[str, Any], folder: Path) -> SparseAutoencoder:
    """SAELens'; of its training classes, BatchTopK is read with the threshold that it learnt."""
    import torch

    from civilly.model.sparse.autoencoder import About, Activation, JumpRelu, TopK

    found = _as_float(tensors)
    kind = config.get("architecture", "standard")
    if kind not in _LENS_KINDS:
        raise ModelError(
            f"{str(folder)!r} has the architecture {kind!r}.", allowed=", ".join(_LENS_KINDS)
        )
    if (norm := config.get("normalize_activations", "none")) != "none":
        raise ModelError(
            f"{str(folder)!r} normalises the stream as it runs ({norm}).",
            allowed="none",
            mend="fold the normalisation in before saving (fold_activation_norm_scaling_factor)",
        )
    _require(found, _TENSORS, folder)
    activation: Activation = torch.relu
    if kind == "topk":
        activation = TopK(int(config["k"]))
    elif kind == "jumprelu":
        _require(found, {"threshold"}, folder)
        activation = JumpRelu(_tensor(found["threshold"]))
    elif kind != "standard":
        _require(found, {"topk_threshold"}, folder)
        width = found["b_enc"].shape
        activation = JumpRelu(_tensor(np.broadcast_to(found["topk_threshold"], width)))
    about = config.get("metadata") or config
    hook = about.get("hook_name")
    layer = _number(re.search(r"(?:blocks|layers)\.(\d+)\.", hook or ""))
    return _assembled(
        found,
        activation,
        about=About(about.get("model_name"), layer, hook),
        centred=bool(config.get("apply_b_dec_to_input", True)),
        rescaled=bool(config.get("rescale_acts_by_decoder_norm", False)),
    )


def _assembled(
    found: Tensors, activation: Any, *, about: Any, centred: bool = False, rescaled: bool = False
) -> SparseAutoencoder:
    from civilly.model.sparse.autoencoder import SparseAutoencoder

    skip = found.get("affine_skip_connection")
    decoder = _tensor(found["w_dec"])
    return SparseAutoencoder(
        encoder=_tensor(found["w_enc"]),
        encoder_bias=_tensor(found["b_enc"]),
        decoder=decoder,
        decoder_bias=_tensor(found["b_dec"]),
        activation=activation,
        centred=centred,
        norms=decoder.norm(dim=-1) if rescaled else None,
        skip=None if skip is None else _tensor(skip),
        about=about,
    )


def _tensor(array: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(np.array(array, np.float32))  # a copy: npz memory is read-only


def _require(found: Tensors, names: set[str], folder: Path) -> None:
    if missing := sorted(names - set(found)):
        raise ModelError(
            f"The sparse autoencoder in {str(folder)!r} lacks {', '.join(missing)}.",
            mend="fetch its files again",
        )


def _number(match: re.Match[str] | None) -> int | None:
    return int(match[1]) if match else None


def save_sae(
    sae: SparseAutoencoder, folder: Path, precision: Literal["fp32", "fp16", "int8"] = "fp16"
) -> Path:
    """Writes a JumpReLU autoencoder in Gemma Scope 2's layout.

    Args:
        sae: What to write.
        folder: Is made.
        precision: Of the two matrices; ``int8`` has a scale for each latent. Biases and thresholds
            stay float32: latents switch at them.

    Raises:
        ModelError: If the layout cannot hold it.
        DataError: If it cannot be written.
    """
    from safetensors.numpy import save

    from civilly.model.sparse.autoencoder import JumpRelu

    if not isinstance(sae.activation, JumpRelu) or sae.centred or sae.norms is not None:
        raise ModelError(
            "Gemma Scope 2's layout cannot hold this sparse autoencoder.",
            allowed="JumpReLU on the raw stream: neither centred nor with norms",
        )
    matrices = {"w_enc": sae.encoder.numpy(), "w_dec": sae.decoder.numpy()}
    tensors = {
        "b_enc": sae.encoder_bias.numpy(),
        "b_dec": sae.decoder_bias.numpy(),
        "threshold": sae.activation.threshold.numpy(),
    }
    if sae.skip is not None:
        matrices["affine_skip_connection"] = sae.skip.numpy()
    for name, matrix in matrices.items():
        if precision == "int8" and name in _TENSORS:
            axis = 0 if name == "w_enc" else 1
            scale = np.maximum(np.abs(matrix).max(axis), 1e-12) / 127
            spread = scale if axis == 0 else scale[:, None]
            tensors[name] = np.rint(matrix / spread).astype(np.int8)
            tensors[name + SCALE] = scale.astype(np.float32)
        else:
            tensors[name] = matrix.astype(np.float32 if precision == "fp32" else np.float16)
    about = sae.about
    hook = about.hook or (None if about.layer is None else f"model.layers.{about.layer}.output")
    config = {
        "hf_hook_point_in": hook,
        "hf_hook_point_out": hook,
        "width": sae.width,
        "model_name": about.model,
        "architecture": "jump_relu",
        "l0": about.l0,
        "affine_connection": sae.skip is not None,
        "type": "sae",
    }
    folder.mkdir(parents=True, exist_ok=True)
    ordered = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    write_bytes(folder / PARAMS, save(ordered))
    write_bytes(folder / CONFIG, (json.dumps(config, indent=1) + "\n").encode())
    return folder
