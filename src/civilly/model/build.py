"""Builds the embedded model in the user cache: packaged GGUF → trimmed → merged → runtime form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from civilly.errors import ModelError
from civilly.model.adapter import change_bytes, load_change
from civilly.model.cache import built, built_once, fingerprint
from civilly.model.ctranslate2_format import Precision, write_ctranslate2
from civilly.model.progress import reported
from civilly.model.smoothquant import peaks_bytes, shipped_peaks, smooth
from civilly.model.source import (
    Architecture,
    SourceModel,
    Vocabulary,
    Weights,
    assemble_packaged,
    packaged_fingerprint,
)
from civilly.model.tokenizer import TextTokenizer, build_tokenizer, merges_of
from civilly.model.vocabulary import KEPT_CONTROL, shipped_bytes, shipped_kept_ids

FORMAT = "2"
"""Raise it when the built form changes: old caches are then left alone and new ones built."""

_TOKENIZER_FILE = "tokenizer.json"
_METHODS = {"tuned": "tuned, the default", "fim": "infill"}
"""What each adapter that we ship is for."""
RUNTIME_BYTES = 700 << 20
"""Disk space that building the model for use needs at most."""
_SPACE_FOR_TRAINING = 1_000 << 20


def _trimmed_source(folder: Path, report: Any) -> tuple[Architecture, Vocabulary, dict[str, Any]]:
    """Architecture, kept vocabulary and float32 weights of the packaged model."""
    joined = folder / "packaged.gguf"
    assemble_packaged(joined)
    report(0.1)
    source = SourceModel(joined)
    kept = shipped_kept_ids()
    vocabulary = source.vocabulary.restricted_to(kept)
    report(0.4)
    weights = dict(source.weights(kept, lambda share: report(0.4 + 0.3 * share)))
    shape = source.architecture
    joined.unlink()
    return shape, vocabulary, weights


def _write_tokenizer(vocabulary: Vocabulary, path: Path) -> None:
    merges = merges_of(vocabulary.pieces, vocabulary.scores, vocabulary.atomic)
    build_tokenizer(vocabulary.pieces, merges).save(str(path), pretty=False)


def embedded_folder(adapter: Path | None = None, precision: Precision = "int8") -> Path:
    """The embedded model in CTranslate2 form, trimmed, with an adapter merged; built once.

    Args:
        adapter: Folder of what a training changed (`load_change`), or None for the plain model.
        precision: Weight precision.

    Returns:
        A folder with ``model.bin`` and ``tokenizer.json``.

    Raises:
        MissingExtraError: If the model package is not installed.
        ModelError: If the package or the adapter is damaged.
        CacheError: If the cache cannot be written.
    """

    def build(folder: Path) -> None:
        with reported(_task(adapter)) as report:
            shape, vocabulary, weights = _trimmed_source(folder, report)
            if adapter is not None:
                change = load_change(adapter)
                unknown = change.targets() - set(weights)
                if unknown:
                    raise ModelError(
                        f"The adapter changes unknown weights: {sorted(unknown)[:3]}.",
                        mend="name an adapter that was trained on the embedded model, or open its "
                        "own base with --engine hf:BASE?adapter=FOLDER",
                    )
                weights = {name: change.merged(name, w) for name, w in weights.items()}
            if precision == "int8":
                smooth(weights, shape, shipped_peaks())
            _write_tokenizer(vocabulary, folder / _TOKENIZER_FILE)
            report(0.8)
            write_ctranslate2(weights, shape, vocabulary.pieces, folder, precision)

    return built_once(_embedded_name(adapter, precision), RUNTIME_BYTES, build)


def embedded_if_built(adapter: Path | None = None, precision: Precision = "int8") -> Path | None:
    """The folder that `embedded_folder` gives, or None if it would have to be built first.

    Raises:
        MissingExtraError: If the model package is not installed.
        ModelError: If there is no such adapter.
    """
    return built(_embedded_name(adapter, precision))


def _task(adapter: Path | None) -> str:
    """What is being built, for the user who waits: every adapter has a build of its own."""
    whose = f"with the adapter {adapter}" if adapter else "without an adapter"
    for name, method in _METHODS.items():
        if adapter is not None and adapter == Path(str(files("civilly") / "weights" / name)):
            whose = f"for the method {method}"
    return f"preparing the embedded model {whose} (once, half a minute)"


def _embedded_name(adapter: Path | None, precision: Precision) -> str:
    """The name in the cache, which changes with everything that the model is built from."""
    change = change_bytes(adapter) if adapter else b""
    parts = (packaged_fingerprint(), shipped_bytes(), peaks_bytes(), change)
    key = fingerprint(FORMAT, *parts, precision)
    return f"embedded-{key}"


def embedded_training_folder() -> Path:
    """The trimmed embedded model in Hugging Face form (float32), for training; built once.

    Raises:
        MissingExtraError, ModelError, CacheError: As `embedded_folder`.
    """
    key = fingerprint(FORMAT, packaged_fingerprint(), shipped_bytes())

    def build(folder: Path) -> None:
        with reported("preparing the embedded model for training (once, half a minute)") as report:
            shape, vocabulary, weights = _trimmed_source(folder, report)
            _write_tokenizer(vocabulary, folder / _TOKENIZER_FILE)
            write_hugging_face(weights, shape, vocabulary.pieces, folder)

    return built_once(f"training-{key}", _SPACE_FOR_TRAINING, build)


def write_hugging_face(
    weights: Weights, shape: Architecture, pieces: Sequence[str], folder: Path
) -> None:
    """Writes ``config.json`` and ``model.safetensors`` of a Gemma 3 text model."""
    from safetensors.numpy import save_file

    kinds = ("sliding_attention", "full_attention")
    config = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "vocab_size": len(pieces),
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "head_dim": shape.head_size,
        "query_pre_attn_scalar": shape.head_size,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "sliding_window": shape.window,
        "layer_types": [kinds[shape.is_global(layer)] for layer in range(shape.layers)],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": shape.rope_global},
            "sliding_attention": {"rope_type": "default", "rope_theta": shape.rope_local},
        },
        "attention_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": pieces.index("<bos>"),
        "eos_token_id": pieces.index("<eos>"),
        "pad_token_id": pieces.index("<pad>"),
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
    save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})


def load_text_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of a built folder, with the special tokens that the vocabulary has."""
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER_FILE))
    special = {piece: tokenizer.token_to_id(piece) for piece in KEPT_CONTROL}
    return TextTokenizer(tokenizer, {p: i for p, i in special.items() if i is not None})
