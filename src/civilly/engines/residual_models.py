"""Loads the models that `civilly.engines.residual` reads: the embedded one, folders, hub ids."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from civilly.data.hub_access import found_where, hub_access
from civilly.engines.encoding import PromptEncoder
from civilly.engines.residual import Subject
from civilly.errors import ModelError
from civilly.model.adapter import load_change, shipped_adapter

SHIPPED = ("tuned", "fim")
"""Adapters that the package brings."""
_LOADING_ERRORS = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)


def load_embedded(dtype: Any, device: Any, adapter: str | None = None) -> Subject:
    """The embedded model in Hugging Face form, built on first use; see `open_subject`."""
    from transformers import AutoModelForCausalLM

    from civilly.model.build import embedded_training_folder, load_text_tokenizer
    from civilly.model.cache import loaded

    tokenizer = loaded(embedded_training_folder, load_text_tokenizer)
    model = loaded(embedded_training_folder, partial(_float32, AutoModelForCausalLM))
    name = "embedded" if adapter is None else f"embedded+{adapter}"
    opening = [tokenizer.special["<bos>"]]
    model = _ready(model, dtype, device, adapter)
    return Subject(name, model, tokenizer.encode_with_offsets, tokenizer.decode, opening)


def _float32(family: Any, folder: Path) -> Any:
    import torch

    return family.from_pretrained(folder, dtype=torch.float32)


def load_from_hub(
    name: str, dtype: Any, device: Any, adapter: str | None = None, *, download: bool = False
) -> Subject:
    """A model of transformers, by folder or hub id; see `open_subject`."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    name, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
    where = found_where(name, revision)
    if not download:
        where["local_files_only"] = True
    with hub_access(name) as hub:
        try:
            config = AutoConfig.from_pretrained(name, **where)
            if config.is_encoder_decoder:
                raise ModelError(
                    f"{name!r} is an encoder-decoder model.", allowed="causal language models"
                )
            tokenizer = AutoTokenizer.from_pretrained(name, **where)
            model = AutoModelForCausalLM.from_pretrained(
                name, dtype=None if adapter is None else "float32", **where
            )
        except _LOADING_ERRORS as error:
            raise ModelError(
                f"The model {name!r} cannot be loaded: {hub.problem(str(error).splitlines()[0])}",
                allowed="embedded, a folder in Hugging Face form, or a hub id",
                mend=_mend(name, download=download),
            ) from error
    encoder = PromptEncoder(tokenizer, chat="never", closing=False)
    opened = _ready(model, dtype, device, adapter)
    return Subject(name, opened, encoder.encode_with_offsets, encoder.decode, encoder.opening)


def _mend(name: str, *, download: bool) -> str:
    if Path(name).is_dir():
        return "a folder with config.json, weights and tokenizer.json"
    if download:
        return "check the name, the revision and the network"
    return f"nothing is downloaded unasked: hf download {name}"


def _ready(model: Any, dtype: Any, device: Any, adapter: str | None) -> Any:
    """The model with an adapter merged in, in a number format, where it will run."""
    if adapter is not None:
        _merge(model, shipped_adapter(adapter) if adapter in SHIPPED else Path(adapter))
    return model.eval().requires_grad_(False).to(device=device, dtype=dtype)


def _merge(model: Any, folder: Path) -> None:
    """Adds what a training changed to a model's float32 weights.

    Raises:
        ModelError: If it changes weights that the model lacks, or of another shape.
    """
    import torch

    change = load_change(folder)
    weights = dict(model.named_parameters())
    if unknown := sorted(change.targets() - set(weights)):
        raise ModelError(
            f"The adapter in {str(folder)!r} changes weights that the model lacks: {unknown[:3]}.",
            mend="name an adapter that was trained on this model",
        )
    with torch.no_grad():
        for name in change.targets():
            merged = change.merged(name, weights[name].numpy())
            weights[name].copy_(torch.from_numpy(merged))
