"""Any GGUF file of a Qwen2 model, ``gguf:FILE``, on the CPU, through CTranslate2 in eight bits."""

from __future__ import annotations

from pathlib import Path

from civilly.engines.built import BuiltEngine
from civilly.engines.loaded_model import LoadedModel
from civilly.engines.qwen import read_qwen
from civilly.errors import EngineError

ADAPTERS = {"tuned": None}
"""The package brings none: nobody knows whose model it will be."""
OPTIONS = ()


def check_target(target: str) -> None:
    """Makes sure that a file is named, and that its head is that of a Qwen2 model.

    Raises:
        EngineError: If no file is named.
        ModelError: If there is no such file, or it is another kind.
    """
    if not target:
        raise EngineError(
            "The engine 'gguf' was given no file.", mend="gguf:models/qwen2.5-7b-q4_k_m.gguf"
        )
    from civilly.model.gguf_model import check_gguf

    check_gguf(_path(target))


def model_name(target: str) -> str:
    """What the file calls its model, by which its way of filling holes is known.

    Raises:
        ModelError: If the file cannot be read.
    """
    from civilly.model.gguf_model import gguf_name

    return gguf_name(_path(target))


def create(target: str = "") -> GgufEngine:
    """The engine of a file; raises as `check_target` does."""
    check_target(target)
    return GgufEngine(_path(target))


def _path(target: str) -> Path:
    return Path(target).expanduser()


class GgufEngine(BuiltEngine):
    """Runs the model of a GGUF file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def _built(self, adapter: Path | None) -> Path:
        from civilly.model.gguf_model import gguf_folder

        return gguf_folder(self._path, adapter)

    def _if_built(self, adapter: Path | None) -> Path | None:
        from civilly.model.gguf_model import gguf_if_built

        return gguf_if_built(self._path, adapter)

    def _load(self, folder: Path) -> LoadedModel:
        return read_qwen(folder, self._threads, "gguf")
