"""Measures the largest activations of the embedded model, by which its rounding is smoothed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from civilly.data.pairs import Pair, read_authored
from civilly.model.adapter import shipped_adapter
from civilly.model.source import FloatArray
from civilly.train.base_model import TrainableModel, encode, load_trainable
from civilly.train.examples import rewriting_examples
from civilly.train.recipe import AdapterSettings, BaseSettings

PAIRS = 8
"""Pairs of each language."""
SEED = 0
_READERS = {
    "self_attn.q_proj": "attention", "mlp.gate_proj": "feed_forward", "mlp.down_proj": "down",
}  # fmt: skip
"""One matrix behind each input that is measured in every layer."""


def train_smoothing(folder: Path, target: Path) -> dict[str, FloatArray]:
    """Writes what the package ships as `civilly.model.smoothquant.PEAKS_FILE`.

    Args:
        folder: Pairs, a file per language; the shipped adapter reads `PAIRS` of each.
        target: The file.

    Returns:
        The peaks, as `civilly.model.smoothquant.smooth` takes them.

    Raises:
        DataError: If there are no pairs.
        ModelError: If the model or the adapter cannot be loaded.
    """
    from safetensors.numpy import save_file

    trainable = load_trainable(
        BaseSettings(), AdapterSettings(start=str(shipped_adapter("tuned"))), "fp32"
    )
    peaks = measured(trainable, _drawn(read_authored(folder, "smoothing")))
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: each.astype(np.float16) for name, each in peaks.items()}, target)
    return peaks


def measured(trainable: TrainableModel, pairs: Sequence[Pair]) -> dict[str, FloatArray]:
    """The largest absolute input of each channel while pairs are read, prompt and answer.

    Args:
        trainable: A causal model of Gemma's architecture.
        pairs: Texts.
    """
    import torch

    found: dict[str, FloatArray] = {}
    with torch.inference_mode(), _watched(trainable.model, found):
        for row in encode(rewriting_examples(pairs), trainable):
            trainable.model(input_ids=torch.tensor([[*row["prompt"], *row["answer"]]]))
    layers = 1 + max(int(name.split(".")[2]) for name in found if name.startswith("model.layers"))
    stacked = {
        kind: np.stack([found[f"model.layers.{layer}.{reader}"] for layer in range(layers)])
        for reader, kind in _READERS.items()
    }
    return {**stacked, "projection": found["lm_head"]}


def _drawn(pairs: Sequence[Pair]) -> list[Pair]:
    rng = random.Random(SEED)
    drawn = []
    for lang in sorted({pair.lang for pair in pairs}):
        rows = [pair for pair in pairs if pair.lang == lang]
        drawn += rng.sample(rows, min(PAIRS, len(rows)))
    return drawn


@contextmanager
def _watched(model: Any, found: dict[str, FloatArray]) -> Iterator[None]:
    """Keeps the largest absolute input of every matrix that is measured, by its plain name."""

    def watch(name: str) -> Any:
        def look(_: Any, inputs: Any) -> None:
            largest = inputs[0].detach().abs().flatten(0, -2).amax(0).float().numpy()
            found[name] = np.maximum(found.get(name, 0), largest)

        return look

    hooks = []
    for name, module in model.named_modules():
        plain = name.removeprefix("base_model.model.")
        if plain == "lm_head" or plain.endswith(tuple(_READERS)):
            hooks.append(module.register_forward_pre_hook(watch(plain)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
