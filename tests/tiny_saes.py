"""Tiny sparse autoencoders for the tiny models, in every layout, and what is toxic by them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from civilly.engines.residual import open_subject
from civilly.model.sparse.layouts import load_sae
from civilly.model.sparse.toxic import About, ToxicDirection, ToxicLatents, part_of
from civilly.model.sparse.toxic_file import write_toxic

WIDTH, LATENTS, LAYER = 32, 48, 1
NUMBERS = list(range(0, LATENTS, 4))
LAYOUTS = ("gemma_scope", "gemma_scope_2", "sae_lens")
TEXTS = ["You people never read the article.", "Этот человек ничего не понял.", "把粗鲁的句子"]


def save(folder: Path, layout: str) -> Path:
    """Writes a random JumpReLU autoencoder of `LAYER`."""
    rng = np.random.default_rng(5)
    w = {
        "W_enc": rng.standard_normal((WIDTH, LATENTS)), "b_enc": rng.standard_normal(LATENTS),
        "W_dec": rng.standard_normal((LATENTS, WIDTH)) / 8, "b_dec": rng.standard_normal(WIDTH),
        "threshold": np.full(LATENTS, 0.5),
    }  # fmt: skip
    w = {name: tensor.astype(np.float32) for name, tensor in w.items()}
    folder = folder / layout / f"layer_{LAYER}"
    folder.mkdir(parents=True)
    if layout == "gemma_scope":
        np.savez(folder / "params.npz", **w)
    elif layout == "gemma_scope_2":
        lower = {name.lower(): tensor for name, tensor in w.items()}
        save_file(lower, folder / "params.safetensors")
        config = {"architecture": "jump_relu", "hf_hook_point_in": f"model.layers.{LAYER}.output"}
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    else:
        save_file(w, folder / "sae_weights.safetensors")
        config = {
            "architecture": "jumprelu", "apply_b_dec_to_input": False,
            "metadata": {"hook_name": f"blocks.{LAYER}.hook_resid_post"},
        }  # fmt: skip
        (folder / "cfg.json").write_text(json.dumps(config), "utf-8")
    return folder


def toxic(model: Path, sae: Path, place: Path) -> Path:
    """A file of two readings of a model: latents, and a direction."""
    part = part_of(load_sae(sae), NUMBERS)
    stream = torch.from_numpy(np.concatenate(open_subject(str(model)).streams(TEXTS, LAYER)))
    counts = len(NUMBERS)
    unscaled = part.encode(stream).sum(-1)
    weights = torch.full((counts,), float(1 / unscaled.median().clamp(min=1e-3)))
    latents = ToxicLatents(
        About("latents", "latents", str(model), LAYER, LATENTS), part, tuple(NUMBERS), weights,
        torch.zeros(counts), torch.ones(counts),
    )  # fmt: skip
    vector = torch.zeros(WIDTH)
    vector[3] = 1
    height = stream[:, 3]
    direction = ToxicDirection(
        About("difference", "direction", str(model), LAYER), vector, float(height.median()),
        float(height.std()), float(height.max()),
    )  # fmt: skip
    write_toxic(place, [latents, direction])
    return place
