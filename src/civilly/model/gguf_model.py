"""Builds a user's own GGUF file of the Qwen2 architecture in the user cache, in eight bits."""

from __future__ import annotations

import os
import re
from pathlib import Path

from civilly.errors import ModelError
from civilly.model.adapter import change_bytes
from civilly.model.cache import built, built_once, fingerprint
from civilly.model.gguf_file import read_head
from civilly.model.progress import reported
from civilly.model.qwen_build import needed_bytes, write_in_eight_bits
from civilly.model.qwen_check import check_source
from civilly.model.qwen_source import ARCHITECTURE, QwenSource

FORMAT = "1"
"""Raise it when the built form changes."""
DAMAGED = "download or convert it anew"
"""The mend of a file that cannot be read."""
INSTEAD = (
    "serve it with llama.cpp (llama-server -m FILE) and give --engine "
    "openai:http://localhost:8080/v1#MODEL, or open the model that it was made of with --engine "
    "hf:ORG/MODEL"
)
"""What to do with a model of another kind."""
HASHED_BYTES = 1 << 20
"""Of a file's beginning and of its end, by which it is known."""
_NAMES = ("general.basename", "general.name", "general.base_model.0.name")


def gguf_folder(path: Path, adapter: Path | None = None) -> Path:
    """A GGUF file in CTranslate2 form, in eight bits, with an adapter merged; built once.

    A file is known by its place, size, time, beginning and end: to read gigabytes at every start
    would take as long as to load the model.

    Args:
        path: The file.
        adapter: Folder of what a training changed (`civilly.model.adapter.load_change`), or None.

    Returns:
        A folder with ``model.bin`` and the tokenizer.

    Raises:
        ModelError: If the file cannot be read, is another kind of model, or changes meanwhile; or
            if the adapter is damaged or does not fit.
        CacheError: If the cache cannot be written.
    """
    name = _name(path, adapter)
    if folder := built(name):
        return folder
    source = QwenSource(path, DAMAGED)
    check_source(source, DAMAGED, INSTEAD)

    def build(folder: Path) -> None:
        task = f"preparing {path.name} (once, half a minute per billion parameters)"
        with reported(task) as report:
            write_in_eight_bits(source, adapter, folder, report)
        if _name(path, adapter) != name:
            raise ModelError(f"{path} has changed while it was read.", mend="the same command")

    return built_once(name, needed_bytes(source), build)


def gguf_if_built(path: Path, adapter: Path | None = None) -> Path | None:
    """The folder that `gguf_folder` gives, or None if it would have to be built first.

    Raises:
        ModelError: If the file cannot be read, or there is no such adapter.
    """
    return built(_name(path, adapter))


def check_gguf(path: Path) -> None:
    """Makes sure that a file is a GGUF of an architecture that we understand, by its head.

    Raises:
        ModelError: If it is not.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        raise ModelError(f"{path} {found}.", allowed="a GGUF file", mend="gguf:FILE")
    architecture = read_head(path, DAMAGED).get("general.architecture", ARCHITECTURE)
    if architecture != ARCHITECTURE:
        raise ModelError(
            f"{path} holds a model of architecture {architecture!r}.",
            allowed=f"{ARCHITECTURE}, which Qwen2 and Qwen2.5 have",
            mend=INSTEAD,
        )


def gguf_name(path: Path) -> str:
    """What a file calls its model, and what it was made of; the file's own name last.

    Raises:
        ModelError: If the file cannot be read.
    """
    head = read_head(path, DAMAGED)
    names = [*(head[each] for each in _NAMES if each in head), path.name]
    return ", ".join(re.sub(r"[\s/#?]+", "-", name) for name in dict.fromkeys(names))


def _name(path: Path, adapter: Path | None) -> str:
    """The name in the cache, which changes with everything that the model is built from."""
    change = change_bytes(adapter) if adapter else b""
    try:
        place, facts = path.resolve(), path.stat()
        with place.open("rb") as file:
            beginning = file.read(HASHED_BYTES)
            file.seek(max(0, facts.st_size - HASHED_BYTES), os.SEEK_SET)
            end = file.read(HASHED_BYTES)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror or error}).", mend="gguf:FILE"
        ) from error
    facts_read = (str(place), str(facts.st_size), str(facts.st_mtime_ns), beginning, end)
    return f"gguf-{fingerprint(FORMAT, *facts_read, change)}"
