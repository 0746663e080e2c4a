"""Writes a Qwen2 text model as a CTranslate2 folder, matrix by matrix, from numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from civilly.model.qwen_source import QwenArchitecture, QwenSource
from civilly.model.smoothquant import PROJECTION
from civilly.model.source import EMBEDDING, FloatArray

Rounded: TypeAlias = tuple[NDArray[np.int8], FloatArray]
"""A matrix in eight bits, and the scale of each of its rows."""
_LARGEST = 127.0
_ROWS_AT_ONCE = 4_096


def rounded(matrix: FloatArray) -> Rounded:
    """A matrix [rows, columns] with each row rounded to -127 … 127 of its largest element.

    Returns:
        The rows, and what each was multiplied by, as CTranslate2 has them.
    """
    eight = np.empty(matrix.shape, np.int8)
    scales = np.empty(len(matrix), np.float32)
    # By parts, so that what is computed on the way does not take the memory of three more matrices.
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        largest = np.abs(matrix[part]).max(axis=1)
        scales[part] = _LARGEST / np.where(largest == 0, _LARGEST, largest)
        eight[part] = np.rint(matrix[part] * scales[part, None])
    return eight, scales


def write_qwen(weights: Iterable[tuple[str, FloatArray]], source: QwenSource, folder: Path) -> None:
    """Writes the model in eight bits to ``folder``.

    Every matrix is rounded when it comes, so that the model is never in memory in full precision.

    Args:
        weights: Float32 arrays with their Hugging Face names; the input embedding is the output
            matrix, too, unless there is a `PROJECTION`.
        source: What they are of: its shape, its vocabulary, what stands before and after a text.
        folder: Where to write ``model.bin``, ``config.json`` and ``vocabulary.json``.

    The mapping follows CTranslate2's own Qwen2 converter, which needs torch.
    """
    matrices: dict[str, Rounded] = {}
    vectors: dict[str, FloatArray] = {}
    for name, weight in weights:
        if weight.ndim == 1:
            vectors[name] = weight
        else:
            matrices[name] = rounded(weight)
    shape = source.architecture
    spec = _specification(shape)
    decoder = spec.decoder
    for index, layer in enumerate(decoder.layer):
        _fill_layer(layer, f"model.layers.{index}", matrices, vectors)
    for place, name in ((decoder.embeddings, EMBEDDING), (decoder.projection, PROJECTION)):
        _set(place, [matrices.get(name, matrices[EMBEDDING])])
    decoder.layer_norm.gamma = vectors["model.norm.weight"]
    spec.config.bos_token = spec.config.unk_token = source.begin
    spec.config.eos_token = source.end
    spec.config.layer_norm_epsilon = shape.norm_epsilon
    spec.register_vocabulary(source.pieces)
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))


def _specification(shape: QwenArchitecture) -> Any:
    from ctranslate2.specs import common_spec, transformer_spec

    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        shape.layers,
        shape.heads,
        activation=common_spec.Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=False,
        rotary_base=shape.rope,
        num_heads_kv=shape.key_value_heads,
    )
    spec.decoder.scale_embeddings = False
    return spec


def _set(place: Any, parts: Sequence[Rounded], biases: Sequence[FloatArray] = ()) -> None:
    (weight, scale), *others = parts
    if others:
        weight = np.concatenate([part for part, _ in parts])
        scale = np.concatenate([each for _, each in parts])
    place.weight, place.weight_scale = weight, scale
    if biases:
        place.bias = np.concatenate(biases)


def _fill_layer(
    layer: Any, prefix: str, matrices: dict[str, Rounded], vectors: dict[str, FloatArray]
) -> None:
    inner = [f"{prefix}.self_attn.{each}_proj" for each in "qkv"]
    _set(
        layer.self_attention.linear[0],
        [matrices.pop(f"{name}.weight") for name in inner],
        [vectors[f"{name}.bias"] for name in inner],
    )
    places = {
        "self_attn.o_proj": layer.self_attention.linear[1],
        "mlp.gate_proj": layer.ffn.linear_0,
        "mlp.up_proj": layer.ffn.linear_0_noact,
        "mlp.down_proj": layer.ffn.linear_1,
    }
    for name, place in places.items():
        _set(place, [matrices.pop(f"{prefix}.{name}.weight")])
    layer.self_attention.layer_norm.gamma = vectors[f"{prefix}.input_layernorm.weight"]
    layer.ffn.layer_norm.gamma = vectors[f"{prefix}.post_attention_layernorm.weight"]
