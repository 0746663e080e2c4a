"""Builds the large model in the user cache: packaged GGUF → checked → the form asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from civilly.model.adapter import change_bytes
from civilly.model.cache import built, built_once, fingerprint
from civilly.model.large_source import REINSTALL, SHA256, assemble_large, part_paths
from civilly.model.progress import reported
from civilly.model.qwen_build import write_in_eight_bits
from civilly.model.qwen_source import QwenArchitecture, QwenSource
from civilly.model.qwen_tokenizer import write_for_training

FORMAT = "2"
"""Raise it when a built form changes."""
RUNTIME_BYTES = 2_900 << 20
"""Disk space that building the model for use needs at most."""
_SPACE_FOR_TRAINING = 4_400 << 20
_JOINING = 0.2
"""Share of a build's time that it takes to join the packages."""


def large_folder(adapter: Path | None = None) -> Path:
    """The large model in CTranslate2 form, in eight bits, with an adapter merged; built once.

    Args:
        adapter: Folder of what a training changed (`civilly.model.adapter.load_change`), or None.

    Returns:
        A folder with ``model.bin`` and the tokenizer.

    Raises:
        MissingExtraError: If its packages are not installed.
        ModelError: If they or the adapter are damaged.
        CacheError: If the cache cannot be written.
    """

    def build(folder: Path) -> None:
        part_paths()  # what is missing is said before anything else
        task = "preparing the large model (once, a minute)"
        with reported(task) as report, _unpacked(folder, report) as source:
            write_in_eight_bits(source, adapter, folder, _after_joining(report))

    return built_once(_name(adapter), RUNTIME_BYTES, build)


def large_if_built(adapter: Path | None = None) -> Path | None:
    """The folder that `large_folder` gives, or None if it would have to be built first.

    Raises:
        ModelError: If there is no such adapter.
    """
    return built(_name(adapter))


def _name(adapter: Path | None) -> str:
    """The name in the cache, which changes with everything that the model is built from."""
    change = change_bytes(adapter) if adapter else b""
    return f"large-{fingerprint(FORMAT, SHA256, change)}"


@contextmanager
def _unpacked(folder: Path, progress: Callable[[float], None]) -> Iterator[QwenSource]:
    """The packaged file, for the time of a build, in the folder that is built."""
    joined = folder / "packaged.gguf"
    assemble_large(joined, lambda share: progress(_JOINING * share))
    yield QwenSource(joined, REINSTALL)
    joined.unlink()


def _after_joining(progress: Callable[[float], None]) -> Callable[[float], None]:
    """Reports a share of what is left when the packages are joined."""
    return lambda share: progress(_JOINING + (1 - _JOINING) * share)


def large_training_folder() -> Path:
    """The large model in Hugging Face form (bfloat16), for training; built once.

    Raises:
        MissingExtraError: If its packages are not installed.
        ModelError: If they are damaged.
        CacheError: If the cache cannot be written.
    """

    def build(folder: Path) -> None:
        part_paths()  # what is missing is said before anything else
        task = "preparing the large model for training (once, a minute)"
        with reported(task) as report, _unpacked(folder, report) as source:
            write_for_training(source, folder)
            _write_weights(source, folder, _after_joining(report))
            _write_config(source.architecture, len(source.pieces), folder)

    return built_once(f"training-large-{fingerprint(FORMAT, SHA256)}", _SPACE_FOR_TRAINING, build)


def _write_weights(source: QwenSource, folder: Path, progress: Callable[[float], None]) -> None:
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    count = len(source.shapes())
    for name, weight in source.weights():
        own = weight if weight.flags.writeable else weight.copy()  # not the file's own pages
        tensors[name] = torch.from_numpy(own).to(torch.bfloat16)
        progress(len(tensors) / count)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _write_config(shape: QwenArchitecture, size: int, folder: Path) -> None:
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": size,
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope},
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
