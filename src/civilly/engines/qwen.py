"""Reads a built Qwen2 model, for the engines that run one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from civilly.engines.loaded_model import LoadedModel

if TYPE_CHECKING:
    from civilly.model.tokenizer import TextTokenizer

WINDOW = 2_048
"""Tokens; the models have no sliding window, but a scoring keeps the logits of all of them."""


def read_qwen(folder: Path, threads: int, engine: str) -> LoadedModel:
    """Reads a folder that `civilly.model.qwen_build.write_in_eight_bits` has written.

    Args:
        folder: The folder.
        threads: CPU threads.
        engine: What errors call the engine.
    """
    return LoadedModel(folder, threads, WINDOW, _tokenizer, engine)


def _tokenizer(folder: Path) -> TextTokenizer:
    # Imported while CTranslate2 reads the weights.
    from civilly.model.qwen_tokenizer import load_qwen_tokenizer

    return load_qwen_tokenizer(folder)
