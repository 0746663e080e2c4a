"""Trains one sparse autoencoder on the shards of a stream, from checkpoint to checkpoint."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from civilly.data.files import write_bytes
from civilly.model.sparse.autoencoder import About, SparseAutoencoder
from civilly.train.sae.network import BatchTopK
from civilly.train.sae.recipe import SaeRecipe
from civilly.train.sae.shards import Batches, read_shard

_FALLING = 0.2
"""Share of the steps, the last ones, over which the learning rate falls to 0."""
_SHOWN_EVERY = 100


def fit(
    recipe: SaeRecipe,
    layer: int,
    streams: Path,
    checkpoint: Path,
    progress: Callable[[str], None],
) -> tuple[SparseAutoencoder, dict[str, Any]]:
    """Trains the autoencoder of a layer.

    Args:
        recipe: How.
        layer: Which.
        streams: Folder of shards.
        checkpoint: File of the newest state; it is gone on with where it exists.
        progress: Is told how it goes.

    Returns:
        The autoencoder on the raw stream, and what ``result.json`` says of the training. The same
        streams give the same weights on one machine, whether it was stopped on the way or not.
    """
    settings = recipe.fit
    sample = read_shard(streams, 0, layer).float()
    mean = sample.mean(0)
    scale = float((sample - mean).square().sum(-1).mean().sqrt() / len(mean) ** 0.5)
    generator = torch.Generator().manual_seed(recipe.seed)
    network = BatchTopK(mean / scale, recipe.network, generator)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    batches = Batches(streams, layer, settings.batch, settings.passes, recipe.seed)
    step = _restore(checkpoint, network, optimiser)
    course: dict[str, float] = {}
    for batch in batches.since(step):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate(step, len(batches), settings.warmup_steps)
        main, auxiliary, count = network.losses(batch.float() / scale, settings)
        optimiser.zero_grad()
        (main + auxiliary).backward()
        with network.stepping():
            optimiser.step()
        step += 1
        if step % _SHOWN_EVERY == 0 or step == len(batches):
            dead = float((network.silent > settings.dead_after).float().mean())
            course = {
                "missed": round(main.item() / len(mean), 4), "l0": round(count.item(), 1),
                "dead": round(dead, 4), "threshold": round(network.threshold.item(), 3),
            }  # fmt: skip
            progress(f"layer {layer}, step {step} of {len(batches)}: {course}")
        if step % settings.save_steps == 0:
            _save(checkpoint, network, optimiser, step)
    about = About(recipe.model.name, layer, f"model.layers.{layer}.output", recipe.network.k)
    return network.as_jump_relu(scale, about), {"steps": step, "scale": scale, "last": course}


def rate(step: int, steps: int, warmup: int) -> float:
    """The learning rate at a step, as a share of the highest: up, level, down."""
    falling = max(1.0, steps * _FALLING)
    return min(1.0, (step + 1) / max(warmup, 1), (steps - step) / falling)


def _save(path: Path, network: BatchTopK, optimiser: Any, step: int) -> None:
    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def _restore(path: Path, network: BatchTopK, optimiser: Any) -> int:
    """Takes a checkpoint up; the number of steps that are done."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
