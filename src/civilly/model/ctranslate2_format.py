"""Writes a Gemma 3 text model as a CTranslate2 folder, from numpy arrays (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from civilly.model.smoothquant import PROJECTION
from civilly.model.source import EMBEDDING, Architecture, FloatArray, Weights

Precision = Literal["int8", "float32"]


def _norm(spec: Any, gamma: FloatArray) -> None:
    """Gemma's RMS norm multiplies by 1 + w, which CTranslate2 calls a residual norm."""
    spec.gamma = gamma
    spec.layer_norm_use_residual = True


def _specification(shape: Architecture) -> Any:
    from ctranslate2.specs import common_spec, transformer_spec

    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        shape.layers,
        shape.heads,
        activation=common_spec.Activation.GELUTanh,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=shape.head_size,
        rotary_interleave=False,
        rotary_base=shape.rope_local,
        num_heads_kv=shape.key_value_heads,
        head_dim=shape.head_size,
        sliding_window=shape.window,
        pre_post_layer_norm=True,
        qk_norm=True,
    )
    spec.decoder.scale_embeddings = True
    spec.decoder.start_from_zero_embedding = False
    return spec


def _fill_layer(layer: Any, prefix: str, weights: Weights) -> None:
    def weight(name: str) -> FloatArray:
        return weights[f"{prefix}.{name}.weight"]

    _norm(layer.input_layer_norm, weight("input_layernorm"))
    _norm(layer.post_attention_layer_norm, weight("post_attention_layernorm"))
    _norm(layer.pre_feedforward_layer_norm, weight("pre_feedforward_layernorm"))
    _norm(layer.post_feedforward_layer_norm, weight("post_feedforward_layernorm"))
    attention = layer.self_attention
    _norm(attention.q_norm, weight("self_attn.q_norm"))
    _norm(attention.k_norm, weight("self_attn.k_norm"))
    projections = [weight(f"self_attn.{name}_proj") for name in "qkv"]
    attention.linear[0].weight = np.concatenate(projections)
    attention.linear[1].weight = weight("self_attn.o_proj")
    layer.ffn.linear_0.weight = weight("mlp.gate_proj")
    layer.ffn.linear_0_noact.weight = weight("mlp.up_proj")
    layer.ffn.linear_1.weight = weight("mlp.down_proj")


def write_ctranslate2(
    weights: Weights,
    shape: Architecture,
    pieces: Sequence[str],
    folder: Path,
    precision: Precision = "int8",
) -> None:
    """Writes the model to ``folder`` (created if needed).

    Args:
        weights: Float32 arrays under their Hugging Face names; input and output embedding are tied
            unless there is a `PROJECTION`.
            With ``"int8"`` they are overwritten: a copy would double the memory of the build.
        shape: The architecture.
        pieces: The vocabulary, one spelling per embedding row.
        folder: Where to write ``model.bin``, ``config.json`` and ``vocabulary.json``.
        precision: ``"int8"`` quantises each row of each matrix symmetrically.

    The mapping follows CTranslate2's own Gemma 3 converter, which needs torch.
    """
    spec = _specification(shape)
    decoder = spec.decoder
    for index, layer in enumerate(decoder.layer):
        is_global = shape.is_global(index)
        base = shape.rope_global if is_global else shape.rope_local
        layer.self_attention.rotary_base = np.dtype("float32").type(base)
        layer.self_attention.sliding_window = np.dtype("int32").type(
            0 if is_global else shape.window
        )
        _fill_layer(layer, f"model.layers.{index}", weights)
    decoder.embeddings.weight = weights[EMBEDDING]
    decoder.projection.weight = weights.get(PROJECTION, weights[EMBEDDING])
    _norm(decoder.layer_norm, weights["model.norm.weight"])
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<bos>", "<eos>", "<unk>"
    spec.config.layer_norm_epsilon = shape.norm_epsilon
    spec.register_vocabulary(list(pieces))
    spec.validate()
    spec.optimize(quantization=None if precision == "float32" else precision)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
