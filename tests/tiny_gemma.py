"""A tiny random Gemma 3 with a small tokenizer, in Hugging Face form, made by our own writers."""

import string
from pathlib import Path

import numpy as np

from civilly.model.build import _write_tokenizer, write_hugging_face
from civilly.model.source import BYTE, CONTROL, Architecture, Vocabulary
from civilly.model.tokenizer import SPACE, byte_piece
from civilly.model.vocabulary import KEPT_CONTROL

SHAPE = Architecture(
    layers=7, width=32, feed_forward=48, heads=2, key_value_heads=1, head_size=16,
    context=256, window=32, norm_epsilon=1e-6, rope_global=1_000_000.0,
)  # fmt: skip


def vocabulary() -> Vocabulary:
    """Bytes, ASCII letters and the control pieces of the embedded model."""
    control = list(KEPT_CONTROL)
    normal = [*string.ascii_letters, *".,!?'", SPACE, "\n"]
    pieces = control + [byte_piece(b) for b in range(256)] + normal
    kinds = [CONTROL] * len(control) + [BYTE] * 256 + [1] * len(normal)
    return Vocabulary(tuple(pieces), (-1.0,) * len(pieces), tuple(kinds))


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights of `SHAPE`, under Hugging Face names."""
    rng, s = np.random.default_rng(seed), SHAPE
    sizes = {
        "self_attn.q_proj": (s.heads * s.head_size, s.width),
        "self_attn.k_proj": (s.key_value_heads * s.head_size, s.width),
        "self_attn.v_proj": (s.key_value_heads * s.head_size, s.width),
        "self_attn.o_proj": (s.width, s.heads * s.head_size),
        "self_attn.q_norm": (s.head_size,),
        "self_attn.k_norm": (s.head_size,),
        "mlp.gate_proj": (s.feed_forward, s.width),
        "mlp.up_proj": (s.feed_forward, s.width),
        "mlp.down_proj": (s.width, s.feed_forward),
        "input_layernorm": (s.width,),
        "post_attention_layernorm": (s.width,),
        "pre_feedforward_layernorm": (s.width,),
        "post_feedforward_layernorm": (s.width,),
    }
    made = {"model.embed_tokens": (len(vocabulary().pieces), s.width), "model.norm": (s.width,)}
    for layer in range(s.layers):
        made |= {f"model.layers.{layer}.{name}": size for name, size in sizes.items()}
    return {
        f"{name}.weight": (rng.standard_normal(size) * 0.2).astype(np.float32)
        for name, size in made.items()
    }


def save(folder: Path, seed: int = 0) -> Path:
    """Writes the model and its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    write_hugging_face(weights(seed), SHAPE, vocabulary().pieces, folder)
    _write_tokenizer(vocabulary(), folder / "tokenizer.json")
    return folder
