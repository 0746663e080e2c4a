"""Moves outliers of activations into weights, so that rounding both to eight bits costs less.

SmoothQuant (Xiao et al. 2022): the input of a matrix is divided, and the matrix multiplied, by one
number per channel, which changes nothing but what rounding makes of it. The divisors go into the
norm or the matrix before, and so cost nothing at run time. Gemma's last norm has a channel 70
times as large as the median one; rounding by its measure spoils all the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np

from civilly.model.source import EMBEDDING, Architecture, FloatArray

PEAKS_FILE = "weights/smoothing/peaks.safetensors"
"""Largest activations by channel; made by `civilly.train.smoothquant`."""
PROJECTION = "lm_head.weight"
"""The output matrix, where it is not the input embedding itself."""
LAYERS_SHARE, PROJECTION_SHARE = 0.5, 0.3
"""How much of an outlier moves, the paper's alpha; what was tried stands in docs/decisions.md."""
_LEAST = 1e-5


def peaks_bytes() -> bytes:
    """The shipped peaks as they lie on disk (their hash is part of the cache's fingerprint)."""
    return files("civilly").joinpath(PEAKS_FILE).read_bytes()


def shipped_peaks() -> dict[str, FloatArray]:
    """The shipped peaks, as `smooth` takes them."""
    from safetensors.numpy import load

    return {name: peaks.astype(np.float32) for name, peaks in load(peaks_bytes()).items()}


def smooth(
    weights: dict[str, FloatArray], shape: Architecture, peaks: Mapping[str, FloatArray]
) -> None:
    """Changes weights so that the model computes the same with smaller outliers.

    Args:
        weights: Under their Hugging Face names; replaced in place. The output matrix is then one
            of its own, `PROJECTION`.
        shape: The architecture.
        peaks: The largest absolute input by channel: of the attention and of the feed-forward
            network ``[layers, width]``, of its ``down`` matrix ``[layers, feed_forward]``, and of
            the ``projection`` ``[width]``.
    """
    for layer in range(shape.layers):
        attention = [_name(layer, f"self_attn.{each}_proj") for each in "qkv"]
        scale = _scale(peaks["attention"][layer], [weights[n] for n in attention], LAYERS_SHARE)
        _behind_norm(weights, _name(layer, "input_layernorm"), attention, scale)
        inner = [_name(layer, "mlp.gate_proj"), _name(layer, "mlp.up_proj")]
        scale = _scale(peaks["feed_forward"][layer], [weights[n] for n in inner], LAYERS_SHARE)
        _behind_norm(weights, _name(layer, "pre_feedforward_layernorm"), inner, scale)
        down, up = _name(layer, "mlp.down_proj"), _name(layer, "mlp.up_proj")
        scale = _scale(peaks["down"][layer], [weights[down]], LAYERS_SHARE)
        weights[down] = weights[down] * scale
        weights[up] = weights[up] / scale[:, None]
    weights[PROJECTION] = weights[EMBEDDING]
    scale = _scale(peaks["projection"], [weights[EMBEDDING]], PROJECTION_SHARE)
    _behind_norm(weights, "model.norm.weight", [PROJECTION], scale)


def _name(layer: int, part: str) -> str:
    return f"model.layers.{layer}.{part}.weight"


def _scale(peaks: FloatArray, matrices: Sequence[FloatArray], share: float) -> FloatArray:
    """The divisor of each input channel, ``peak^share / weight^(1 - share)``, around 1."""
    largest = np.max([np.abs(matrix).max(axis=0) for matrix in matrices], axis=0)
    logs = share * np.log(np.maximum(peaks, _LEAST))
    logs = logs - (1 - share) * np.log(np.maximum(largest, _LEAST))
    return np.asarray(np.exp(logs - logs.mean()), dtype=np.float32)


def _behind_norm(
    weights: dict[str, FloatArray], norm: str, matrices: Sequence[str], scale: FloatArray
) -> None:
    """Scales matrices whose input comes from a norm, and the norm, which multiplies by 1 + w."""
    for name in matrices:
        weights[name] = weights[name] * scale
    weights[norm] = (1 + weights[norm]) / scale - 1
