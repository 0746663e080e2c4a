"""The large model, Qwen2.5-Coder-1.5B, on the CPU, through CTranslate2; the extra ``large``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from civilly.engines.loaded_model import LoadedModel
from civilly.engines.packaged import PackagedEngine
from civilly.engines.requests import refuse_target

if TYPE_CHECKING:
    from civilly.model.tokenizer import TextTokenizer

WINDOW = 2_048
"""Tokens; the model has no sliding window, but a scoring keeps the logits of all of them."""


ADAPTERS = {"tuned": "tuned_large"}
"""What the adapters are called that the package brings for this engine, by the method."""
MODEL = "Qwen/Qwen2.5-Coder-1.5B-Instruct"
"""Whose model it is, by which its way of filling holes is known."""
OPTIONS = ()
check_target = partial(refuse_target, "large")
"""Makes sure that nothing follows the engine's name."""


def create(target: str = "") -> LargeEngine:
    """The large engine; raises as `check_target` does."""
    check_target(target)
    return LargeEngine()


class LargeEngine(PackagedEngine):
    """Runs Qwen2.5-Coder-1.5B-Instruct in eight bits."""

    def _built(self, adapter: Path | None) -> Path:
        from civilly.model.large import large_folder

        return large_folder(adapter)

    def _if_built(self, adapter: Path | None) -> Path | None:
        from civilly.model.large import large_if_built

        return large_if_built(adapter)

    def _load(self, folder: Path) -> LoadedModel:
        return LoadedModel(folder, self._threads, WINDOW, _tokenizer, "large")


def _tokenizer(folder: Path) -> TextTokenizer:
    # Imported while CTranslate2 reads the weights.
    from civilly.model.large_tokenizer import load_qwen_tokenizer

    return load_qwen_tokenizer(folder)
