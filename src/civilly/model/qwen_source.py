"""Reads a GGUF file of a Qwen2 text model: shape, vocabulary and (dequantised) weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from civilly.errors import ModelError
from civilly.model.gguf_file import GgufFile, transformers_name
from civilly.model.smoothquant import PROJECTION
from civilly.model.source import EMBEDDING, FloatArray

ARCHITECTURE = "qwen2"
"""As GGUF calls it."""
TEXT, UNUSED = 1, 5
"""Kinds of ids, as GGUF numbers them; all others steer the model."""
END, BEGIN = "<|im_end|>", "<|endoftext|>"
"""What stands after an answer, and before a text, where a file does not say."""
SAMPLED_ROWS = 256
ALIKE = 0.99
"""Correlation of rows of the input and the output matrix, above which they are one."""
_ROWS_AT_ONCE = 4_096

_INPUT, _OUTPUT = "token_embd.weight", "output.weight"
_WHOLE_NAMES = {_INPUT: EMBEDDING, _OUTPUT: PROJECTION, "output_norm.weight": "model.norm.weight"}
_LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class QwenArchitecture:
    """Shape of a Qwen2 text model.

    Attributes:
        layers: Number of decoder layers.
        width: Size of the residual stream.
        feed_forward: Size of the gated feed-forward layer.
        heads: Query heads.
        key_value_heads: Key and value heads.
        context: Longest context in tokens.
        norm_epsilon: Epsilon of RMS norm.
        rope: Rotary base.
    """

    layers: int
    width: int
    feed_forward: int
    heads: int
    key_value_heads: int
    context: int
    norm_epsilon: float
    rope: float

    def shapes(self, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Hugging Face name and shape of each weight, but of no output matrix of its own.

        Args:
            size: Ids of the vocabulary.
        """
        width, inner = self.width, self.width // self.heads * self.key_value_heads
        of_layer = {
            "self_attn.q_proj.weight": (width, width),
            "self_attn.q_proj.bias": (width,),
            "self_attn.k_proj.weight": (inner, width),
            "self_attn.k_proj.bias": (inner,),
            "self_attn.v_proj.weight": (inner, width),
            "self_attn.v_proj.bias": (inner,),
            "self_attn.o_proj.weight": (width, width),
            "mlp.gate_proj.weight": (self.feed_forward, width),
            "mlp.up_proj.weight": (self.feed_forward, width),
            "mlp.down_proj.weight": (width, self.feed_forward),
            "input_layernorm.weight": (width,),
            "post_attention_layernorm.weight": (width,),
        }
        yield EMBEDDING, (size, width)
        yield "model.norm.weight", (width,)
        for layer in range(self.layers):
            for name, shape in of_layer.items():
                yield f"model.layers.{layer}.{name}", shape


class QwenSource:
    """A GGUF file of a Qwen2 text model.

    Args:
        path: The file.
        mend: What to do about a damaged file.

    Attributes:
        path: The file.
        file: What is in it.

    Raises:
        ModelError: If the file is not a Qwen2 GGUF.
    """

    def __init__(self, path: Path, mend: str) -> None:
        self.path, self._mend = path, mend
        self.file = GgufFile(path, ARCHITECTURE, mend)

    @cached_property
    def architecture(self) -> QwenArchitecture:
        """The model's shape."""
        return QwenArchitecture(
            layers=self.file.field("qwen2.block_count"),
            width=self.file.field("qwen2.embedding_length"),
            feed_forward=self.file.field("qwen2.feed_forward_length"),
            heads=self.file.field("qwen2.attention.head_count"),
            key_value_heads=self.file.field("qwen2.attention.head_count_kv"),
            context=self.file.field("qwen2.context_length"),
            norm_epsilon=self.file.field("qwen2.attention.layer_norm_rms_epsilon"),
            rope=self.file.field("qwen2.rope.freq_base"),
        )

    @cached_property
    def pieces(self) -> list[str]:
        """Spelling of each id; a piece of text is spelt in the letters that stand for bytes."""
        return list(self.file.field("tokenizer.ggml.tokens"))

    @cached_property
    def kinds(self) -> list[int]:
        """GGUF kind of each id: `TEXT`, `UNUSED`, or one that steers the model."""
        return list(self.file.field("tokenizer.ggml.token_type"))

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The merges of the byte-level BPE, in the order they are applied."""
        return [(a, b) for a, b in map(str.split, self.file.field("tokenizer.ggml.merges"))]

    @property
    def steering(self) -> dict[str, int]:
        """Ids of what is neither text nor unused."""
        named = enumerate(zip(self.pieces, self.kinds, strict=True))
        return {piece: i for i, (piece, kind) in named if kind not in (TEXT, UNUSED)}

    @property
    def begin(self) -> str:
        """A token that can stand before a text."""
        return self._named_id("tokenizer.ggml.bos_token_id", BEGIN)

    @property
    def end(self) -> str:
        """The token after an answer."""
        return self._named_id("tokenizer.ggml.eos_token_id", END)

    def _named_id(self, field: str, usual: str) -> str:
        index = self.file.optional(field)
        return usual if index is None or index >= len(self.pieces) else self.pieces[index]

    @cached_property
    def tied(self) -> bool:
        """Whether input and output matrix are one.

        The file of a model where they are has no output matrix, or has the one matrix twice: the
        packaged file in 4 and in 6 bits, with a correlation of .997. Where they are two, they
        hardly correlate. To take two for one would spoil the model; to take one for two, as where
        the coarser is very coarse, only costs memory. Hence the high bar.
        """
        tensors = {tensor.name: tensor for tensor in self.file.tensors}
        if _OUTPUT not in tensors:
            return True
        one, other = tensors.get(_INPUT), tensors[_OUTPUT]
        if one is None or one.shape.tolist() != other.shape.tolist():
            return False
        rows = np.linspace(0, len(one.data) - 1, SAMPLED_ROWS).astype(int)
        found, wanted = (self._rows(tensor, rows).ravel() for tensor in (one, other))
        spread = float(found.std() * wanted.std())
        return spread > 0 and float(np.corrcoef(found, wanted)[0, 1]) > ALIKE

    def _tensors(self) -> Iterator[tuple[str, Any]]:
        """The tensors that are used, with their Hugging Face names."""
        twice = self.tied and any(tensor.name == _OUTPUT for tensor in self.file.tensors)
        for tensor in self.file.tensors:
            if twice and tensor.name == _INPUT:
                continue  # the output matrix is the finer one
            whole = twice and tensor.name == _OUTPUT
            yield EMBEDDING if whole else qwen_name(tensor.name, self._mend), tensor

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each weight that `weights` gives, by its name; none of them is read."""
        return {name: tuple(reversed(tensor.shape.tolist())) for name, tensor in self._tensors()}

    def weights(self) -> Iterator[tuple[str, FloatArray]]:
        """Weights under their Hugging Face names, dequantised to float32, one at a time.

        Raises:
            ModelError: If one is unknown, or of a kind that gguf cannot read.
        """
        for name, tensor in self._tensors():
            if tensor.data.ndim == 1:
                yield name, self._rows(tensor, slice(None))
                continue
            weight = np.empty(tuple(reversed(tensor.shape.tolist())), np.float32)
            # By parts: gguf makes a list of small results first, which takes as much memory again.
            for start in range(0, len(weight), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                weight[part] = self._rows(tensor, part)
            yield name, weight

    def _rows(self, tensor: Any, rows: Any) -> FloatArray:
        from gguf.quants import dequantize

        try:
            found = dequantize(np.ascontiguousarray(tensor.data[rows]), tensor.tensor_type)
        except NotImplementedError as error:
            raise ModelError(
                f"{self.path} has {tensor.name!r} as {tensor.tensor_type.name}, "
                "which cannot be read.",
                mend="another rounding of the model, such as Q4_K_M or Q8_0",
            ) from error
        return np.asarray(found, dtype=np.float32)


def qwen_name(name: str, mend: str) -> str:
    """The transformers name of a GGUF tensor of a Qwen2 model.

    Args:
        name: Its name in the file.
        mend: What to do about a file with another tensor.

    Raises:
        ModelError: If the name is not known.
    """
    return transformers_name(name, _WHOLE_NAMES, _LAYER_NAMES, mend)
