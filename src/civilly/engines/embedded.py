"""The embedded model on the CPU, through CTranslate2: no torch, no network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from civilly.engines.built import BuiltEngine
from civilly.engines.loaded_model import LoadedModel
from civilly.engines.requests import refuse_target

if TYPE_CHECKING:
    from civilly.model.tokenizer import TextTokenizer

WINDOW = 512
"""Sliding window of Gemma 3 270M, in tokens."""


OPTIONS = ()
check_target = partial(refuse_target, "embedded")
"""Makes sure that nothing follows the engine's name."""


def create(target: str = "") -> EmbeddedEngine:
    """The embedded engine; raises as `check_target` does."""
    check_target(target)
    return EmbeddedEngine()


class EmbeddedEngine(BuiltEngine):
    """Runs the trimmed Gemma 3 270M."""

    def _built(self, adapter: Path | None) -> Path:
        from civilly.model.build import embedded_folder

        return embedded_folder(adapter)

    def _if_built(self, adapter: Path | None) -> Path | None:
        from civilly.model.build import embedded_if_built

        return embedded_if_built(adapter)

    def _load(self, folder: Path) -> LoadedModel:
        return read_folder(folder, self._threads)


def read_folder(folder: Path, threads: int, window: int = WINDOW) -> LoadedModel:
    """Reads a folder made by `civilly.model.build.embedded_folder`, or one of the same kind."""
    return LoadedModel(folder, threads, window, _tokenizer, "embedded")


def _tokenizer(folder: Path) -> TextTokenizer:
    # Imported while CTranslate2 reads the weights.
    from civilly.model.build import load_text_tokenizer

    return load_text_tokenizer(folder)
