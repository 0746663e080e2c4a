"""What the transformers engine opens: a model, its revision, and how to run it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from civilly.engines.requests import choice, positive, read_options
from civilly.errors import EngineError, ModelError

OPTIONS = {
    "dtype": "auto",
    "device": "auto",
    "chat": "auto",
    "bos": "auto",
    "batch": "16",
    "adapter": "none",
}
"""Options of a target, with their defaults."""

ADAPTER_FILE = "adapter_config.json"
"""The file that makes a folder an adapter."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to open.

    Attributes:
        model: Hub id or folder.
        revision: Branch, tag or commit of a hub id, or None for its main branch.
        dtype: ``auto``, ``fp32``, ``bf16`` or ``fp16``. ``auto`` is bfloat16 where the hardware
            computes in it, and float32 elsewhere.
        device: ``auto``, or a device of torch such as ``cpu`` or ``cuda:1``.
        chat: ``auto``, ``always`` or ``never`` (see `PromptEncoder`).
        bos: ``auto`` or ``always`` (see `PromptEncoder`).
        batch: The most sequences that are generated together.
        adapter: Folder of a LoRA adapter that is used unless a request names another.
    """

    model: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    chat: str = "auto"
    bos: str = "auto"
    batch: int = 16
    adapter: str | None = None

    @classmethod
    def parse(cls, target: str) -> Target:
        """Reads ``name@revision?option=value&…``.

        Raises:
            EngineError: If there is no model, or an option has a wrong value.
            UnknownNameError: If there is no such option.
        """
        name, _, query = (target, "", "") if Path(target).is_dir() else target.partition("?")
        given = read_options("hf", query, OPTIONS)
        revision = None
        if not Path(name).is_dir():
            name, _, revision = name.partition("@")
        if not name:
            raise EngineError(
                "The engine 'hf' was given no model.", mend="hf:org/name or hf:folder"
            )
        adapter = None if given["adapter"] == "none" else given["adapter"]
        if (Path(name) / ADAPTER_FILE).is_file():
            adapter = adapter or name
            name, revision = _base_of(Path(name))
        return cls(
            model=name,
            revision=revision or None,
            dtype=choice("hf", "dtype", given["dtype"], ("auto", "fp32", "bf16", "fp16")),
            device=given["device"],
            chat=choice("hf", "chat", given["chat"], ("auto", "always", "never")),
            bos=choice("hf", "bos", given["bos"], ("auto", "always")),
            batch=max(1, int(positive("hf", "batch", given["batch"]))),
            adapter=adapter,
        )


def _base_of(adapter: Path) -> tuple[str, str | None]:
    """The base model and its revision that an adapter names."""
    try:
        config = json.loads((adapter / ADAPTER_FILE).read_text(encoding="utf-8"))
        return str(config["base_model_name_or_path"]), config.get("revision")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The adapter {str(adapter)!r} does not name its base model: {error}.",
            mend="hf:BASE?adapter=FOLDER",
        ) from error
