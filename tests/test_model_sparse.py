"""Sparse autoencoders of every layout compute what sae-lens computes; what does not fit is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from civilly.errors import MissingExtraError, ModelError, UnknownNameError
from civilly.model.sparse.releases import fetch, find_published, published

torch = pytest.importorskip("torch")

from civilly.model.sparse.autoencoder import SparseAutoencoder, TopK  # noqa: E402
from civilly.model.sparse.layouts import load_sae, save_sae  # noqa: E402

GOLDEN = Path(__file__).parent / "golden" / "sae"
SCOPE = GOLDEN / "layer_3" / "width_24" / "average_l0_5"
EXPECTED = load_file(GOLDEN / "expected.safetensors")
X = torch.from_numpy(EXPECTED["x"])


def near(found: Any, wanted: np.ndarray, tolerance: float = 1e-5) -> bool:
    return bool(np.abs(found.numpy() - wanted).max() < tolerance)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *((each, each) for each in ("jumprelu", "jumprelu_centred", "topk", "topk_rescaled")),
        ("standard", "standard"),
        ("batchtopk", "batchtopk"),
        (str(SCOPE.relative_to(GOLDEN)), "jumprelu"),
    ],
)
def test_it_computes_what_sae_lens_computes(folder: str, name: str) -> None:
    sae = load_sae(GOLDEN / folder)
    assert (EXPECTED[f"{name}.latents"] > 0).any()
    assert near(sae.encode(X), EXPECTED[f"{name}.latents"])
    assert near(sae.reconstruct(X), EXPECTED[f"{name}.decoded"])


def test_a_batchtopk_checkpoint_decodes_as_its_inference_form() -> None:
    sae = load_sae(GOLDEN / "batchtopk_training")
    assert near(sae.reconstruct(X), EXPECTED["batchtopk.decoded"])


def test_the_path_says_layer_and_l0() -> None:
    about = load_sae(SCOPE).about
    assert (about.layer, about.l0) == (3, 5.0)


def rounding_of(matrix: Any, precision: str, latents: int) -> Any:
    """The most that rounding may move each weight; ``latents`` is the axis along a latent."""
    if precision == "int8":  # half a step of the latent's scale
        return matrix.abs().amax(latents, keepdim=True).expand_as(matrix) / 254 * 1.001
    return matrix.abs() * (2.0**-11 if precision == "fp16" else 0)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_ours_is_gemma_scope_2_and_comes_back(tmp_path: Path, precision: Any) -> None:
    sae = load_sae(SCOPE)
    again = load_sae(save_sae(sae, tmp_path / "layer_3", precision))
    for name, axis in (("encoder", 0), ("decoder", 1)):
        before, after = getattr(sae, name), getattr(again, name)
        assert bool(((after - before).abs() <= rounding_of(before, precision, axis)).all())
    both = (sae.encode(X) > 0) & (again.encode(X) > 0)  # some switch at their threshold
    most = X.abs() @ rounding_of(sae.encoder, precision, 0) + 1e-5
    assert both.any()
    assert bool(((sae.encode(X) - again.encode(X)).abs() <= most)[both].all())
    assert torch.equal(again.activation.threshold, sae.activation.threshold)
    assert again.about.layer == 3
    assert set(load_file(tmp_path / "layer_3" / "params.safetensors")) >= {
        "w_enc", "w_dec", "b_enc", "b_dec", "threshold",
    }  # fmt: skip


def test_an_affine_skip_is_added(tmp_path: Path) -> None:
    weights = {name.lower(): t for name, t in np.load(SCOPE / "params.npz").items()}
    skip = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    save_file(weights | {"affine_skip_connection": skip}, tmp_path / "params.safetensors")
    config = {"architecture": "jump_relu", "hf_hook_point_in": "model.layers.9.output", "l0": 60}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    sae = load_sae(tmp_path)
    assert near(sae.reconstruct(X), EXPECTED["jumprelu.decoded"] + EXPECTED["x"] @ skip)
    assert sae.about.layer == 9
    with pytest.raises(ModelError, match="with its input"):
        sae.decode(sae.encode(X))
    assert near(load_sae(save_sae(sae, tmp_path / "again", "fp32")).skip, skip, 1e-7)


def test_batchtopk_keeps_k_a_position_of_the_whole_batch() -> None:
    z = torch.tensor([[5.0, 4.0, 3.0], [2.0, 1.0, -1.0]])
    assert TopK(1, together=True)(z).tolist() == [[5.0, 4.0, 0.0], [0.0, 0.0, 0.0]]
    assert TopK(1)(z).tolist() == [[5.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
    assert TopK(3)(z).tolist() == [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]


@pytest.mark.parametrize("name", ["jumprelu", "topk_rescaled"])
def test_an_edit_keeps_what_the_autoencoder_misses(name: str) -> None:
    sae = load_sae(GOLDEN / name)
    assert torch.equal(sae.edited(X, lambda latents: latents), X)
    latent = int(sae.encode(X).sum(0).argmax())

    def without(latents: Any) -> Any:
        kept = latents.clone()
        kept[..., latent] = 0
        return kept

    missed = X - sae.reconstruct(X)
    wanted = sae.decode(without(sae.encode(X))) + missed
    assert torch.allclose(sae.edited(X, without), wanted, atol=1e-5)


def test_what_does_not_fit_is_said() -> None:
    sae = load_sae(SCOPE)
    with pytest.raises(ModelError, match="width 8, not 9"):
        sae.encode(torch.zeros(2, 9))
    for latent in (-1, 24):
        with pytest.raises(ModelError, match="0 to 23"):
            sae.direction(latent)
    with pytest.raises(ModelError, match="do not fit"):
        SparseAutoencoder(
            sae.encoder, sae.encoder_bias[1:], sae.decoder, sae.decoder_bias, sae.activation
        )


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"params\.npz"):
        load_sae(tmp_path)
    np.savez(tmp_path / "params.npz", W_enc=np.zeros((2, 3)))
    with pytest.raises(ModelError, match="lacks b_dec, b_enc, threshold, w_dec"):
        load_sae(tmp_path)
    (tmp_path / "params.npz").write_bytes(b"PK")
    with pytest.raises(ModelError, match="cannot be read"):
        load_sae(tmp_path)
    lens = tmp_path / "lens"
    shutil.copytree(GOLDEN / "topk", lens)
    config = json.loads((lens / "cfg.json").read_text("utf-8"))
    for change, said in (
        ({"normalize_activations": "layer_norm"}, "normalises the stream"),
        ({"architecture": "gated"}, "gated"),
    ):
        (lens / "cfg.json").write_text(json.dumps(config | change), "utf-8")
        with pytest.raises(ModelError, match=said):
            load_sae(lens)
    with pytest.raises(ModelError, match="cannot hold"):
        save_sae(load_sae(GOLDEN / "topk"), tmp_path / "ours")


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"civilly\[sae\]"):
        load_sae(SCOPE)


def test_published_names_say_model_hook_width_and_l0() -> None:
    found = find_published("google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82")
    assert (found.model, found.layer, found.width, found.l0) == ("google/gemma-2-2b", 12, 16384, 82)
    second = find_published("gemma-scope-2-270m-pt-res/layer_9_width_65k_l0_medium")
    assert (second.model, second.hook) == ("google/gemma-3-270m", "model.layers.9.output")
    assert (second.repository, second.path, second.l0) == (
        "google/gemma-scope-2-270m-pt", "resid_post/layer_9_width_65k_l0_medium", 60,
    )  # fmt: skip
    names = [each.name for each in published()]
    assert len(names) == len(set(names))
    with pytest.raises(UnknownNameError, match="layer_12/width_16k/average_l0_82"):
        find_published("gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_83")


def test_nothing_is_fetched_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("downloaded")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    name = "gemma-scope-2-270m-pt-res/layer_9_width_16k_l0_small"
    with pytest.raises(ModelError, match="hf download google/gemma-scope-2-270m-pt resid_post"):
        fetch(name)
    monkeypatch.setattr(
        hub, "try_to_load_from_cache", lambda _, path: str(tmp_path / Path(path).name)
    )
    assert fetch(name) == tmp_path
