"""The large model, Qwen2.5-Coder-1.5B, on the CPU, through CTranslate2; the extra ``large``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from civilly.engines.built import BuiltEngine
from civilly.engines.loaded_model import LoadedModel
from civilly.engines.qwen import read_qwen
from civilly.engines.requests import refuse_target

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


class LargeEngine(BuiltEngine):
    """Runs Qwen2.5-Coder-1.5B-Instruct in eight bits."""

    def _built(self, adapter: Path | None) -> Path:
        from civilly.model.large import large_folder

        return large_folder(adapter)

    def _if_built(self, adapter: Path | None) -> Path | None:
        from civilly.model.large import large_if_built

        return large_if_built(adapter)

    def _load(self, folder: Path) -> LoadedModel:
        return read_qwen(folder, self._threads, "large")
