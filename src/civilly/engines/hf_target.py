"""What the transformers engine opens: a model, its revision, and how to run it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from civilly.engines.requests import choice, positive, read_options
from civilly.errors import EngineError, ModelError
from civilly.model.adapter import weights_folder
from civilly.registry import Option

OPTIONS = (
    Option("dtype", "Precision of the weights.", ("auto", "fp32", "bf16", "fp16"), "auto"),
    Option("device", "Device of torch, as cpu or cuda:1.", default="auto"),
    Option("chat", "Whether prompts go through the chat template.", ("auto", "always", "never"),
           "auto"),
    Option("bos", "Whether prompts begin with the token of a beginning.", ("auto", "always"),
           "auto"),
    Option("batch", "The most sequences that are generated together.", default="16"),
    Option("adapter", "Folder of a LoRA adapter, or of the training that made it.",
           default="none"),
)  # fmt: skip
"""Options of a target."""

ADAPTER_FILE = "adapter_config.json"
"""The file that makes a folder an adapter."""
_CONFIG = "config.json"


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
        adapter: Folder of a LoRA adapter that is used unless a request names another; it and the
            model may be the run folder of a training.
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
        adapter = None if given["adapter"] == "none" else lora_folder(given["adapter"])
        name = _of_run(name)
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


def lora_folder(folder: str) -> str:
    """The folder of a LoRA adapter: itself, or the one that a training left in its run folder.

    Raises:
        ModelError: If there is none.
    """
    if (Path(folder) / ADAPTER_FILE).is_file():
        return folder
    found = weights_folder(Path(folder))
    if not (found / ADAPTER_FILE).is_file():
        raise ModelError(
            f"{folder} holds a whole model, no LoRA adapter.", mend=f"--engine hf:{found}"
        )
    return str(found)


def _of_run(name: str) -> str:
    """The folder of the model or adapter in a run folder of a training; else what was given."""
    folder = Path(name)
    if not folder.is_dir() or any((folder / file).is_file() for file in (ADAPTER_FILE, _CONFIG)):
        return name
    try:
        return str(weights_folder(folder))
    except ModelError:
        return name  # whoever opens it says what is missing


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
