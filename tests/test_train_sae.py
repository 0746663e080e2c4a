"""Sparse autoencoders are trained, resumed, read in every layout, and reported on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from civilly.cli import app
from civilly.errors import CivillyError, ModelError
from civilly.languages import CODES
from civilly.train.sae.recipe import NetworkSettings, SaeRecipe

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_models  # noqa: E402
from civilly.engines.residual import open_subject  # noqa: E402
from civilly.interpret.report import report_on  # noqa: E402
from civilly.model.sparse.autoencoder import About, JumpRelu, SparseAutoencoder  # noqa: E402
from civilly.model.sparse.layouts import load_sae, save_sae  # noqa: E402
from civilly.model.sparse.releases import open_sae  # noqa: E402
from civilly.train.sae.fit import fit, rate  # noqa: E402
from civilly.train.sae.network import BatchTopK  # noqa: E402
from civilly.train.sae.shards import Batches, read_shard, write_shards  # noqa: E402

WIDTH, FEATURES = 16, 24
RECIPE: dict[str, Any] = {
    "seed": 0,
    "model": {"layers": [0]},
    "network": {"width": 32, "k": 2},
    "fit": {"passes": 4, "batch": 256, "learning_rate": 0.01, "warmup_steps": 5, "save_steps": 10},
}


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Vectors made of two of 24 directions each, about a mean, as one shard."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(
        torch.randn(FEATURES, WIDTH, generator=generator), dim=-1
    )
    count = 8_192
    chosen = torch.rand(count, FEATURES, generator=generator).topk(2).indices
    sizes = 1 + torch.rand(count, 2, generator=generator)
    latents = torch.zeros(count, FEATURES).scatter(1, chosen, sizes)
    folder = tmp_path_factory.mktemp("streams")
    vectors = 50 * (latents @ directions) + 300
    save_file({"0": vectors.bfloat16()}, folder / "00000.safetensors")
    return folder, directions


def test_it_finds_the_directions_that_a_stream_is_made_of(
    streams: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, directions = streams
    sae, found = fit(SaeRecipe.parse(RECIPE, "r"), 0, folder, tmp_path / "state.pt", lambda _: None)
    assert found["steps"] == 4 * (8_192 // 256)
    nearest = (directions @ sae.decoder.t()).max(-1).values
    assert (nearest > 0.9).float().mean() > 0.7
    x = read_shard(folder, 0, 0).float()
    missed = (x - sae.reconstruct(x)).square().sum() / (x - x.mean(0)).square().sum()
    assert missed < 0.15
    assert 1 < (sae.encode(x) > 0).float().sum(-1).mean() < 4
    assert torch.allclose(sae.decoder.norm(dim=-1), torch.ones(32), atol=1e-5)


def test_a_resumed_training_gives_the_same_weights(
    streams: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, _ = streams
    recipe = SaeRecipe.parse(RECIPE, "r")
    whole, _ = fit(recipe, 0, folder, tmp_path / "whole.pt", lambda _: None)

    def stop(message: str) -> None:
        raise KeyboardInterrupt(
            message
        )  # at step 100; the newest checkpoint is of that step or 10 before

    with pytest.raises(KeyboardInterrupt):
        fit(recipe, 0, folder, tmp_path / "stopped.pt", stop)
    assert torch.load(tmp_path / "stopped.pt", weights_only=True)["step"] == 90
    again, _ = fit(recipe, 0, folder, tmp_path / "stopped.pt", lambda _: None)
    assert torch.equal(again.encoder, whole.encoder)
    assert torch.equal(again.decoder, whole.decoder)
    assert torch.equal(again.activation.threshold, whole.activation.threshold)


def test_on_the_raw_stream_it_computes_what_was_trained() -> None:
    generator = torch.Generator().manual_seed(0)
    network = BatchTopK(torch.randn(WIDTH, generator=generator), NetworkSettings(), generator)
    network.threshold.fill_(0.7)
    raw = 40 * torch.randn(9, WIDTH, generator=generator)
    scaled = raw / 40 - network.decoder_bias
    z = scaled @ network.encoder + network.encoder_bias
    wanted = 40 * ((z * (z > 0.7)) @ network.decoder + network.decoder_bias)
    found = network.as_jump_relu(40, About()).reconstruct(raw)
    assert torch.allclose(found, wanted, atol=1e-3)


def test_dead_latents_alone_learn_from_what_is_missed() -> None:
    generator = torch.Generator().manual_seed(0)
    recipe = SaeRecipe.parse({**RECIPE, "fit": {"dead_after": 3, "auxiliary": 1.0}}, "r")
    network = BatchTopK(torch.zeros(WIDTH), recipe.network, generator)
    x = torch.randn(4, WIDTH, generator=generator)
    _, auxiliary, _ = network.losses(x, recipe.fit)
    dead = network.silent > 3
    assert 0 < dead.sum() < 32
    auxiliary.backward()
    moved = network.decoder.grad.abs().sum(-1) > 0
    assert moved.any()
    assert not moved[~dead].any()


def test_the_rate_rises_stays_and_falls() -> None:
    rates = [rate(step, 100, 10) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[9:80] == [1.0] * 71
    assert rates[-1] == pytest.approx(0.05)


def test_shards_hold_the_streams_of_texts_alone(tmp_path: Path) -> None:
    subject = open_subject(str(tiny_models.MODELS["gemma2"](tmp_path / "m")), precision="fp32")
    rows = [tokens.ids for tokens in subject.encode(["You fool", "Go away now", "a", "read it"])]
    write_shards(subject, rows, [0, 1], tmp_path / "s", lambda _: None)
    for layer in (0, 1):
        shard = read_shard(tmp_path / "s", 0, layer).float()
        wanted = [subject.read([[*subject.opening, *row]], layer)[0][1:] for row in rows]
        for vector in np.concatenate(wanted):
            assert np.abs(shard.numpy() - vector).max(1).min() < 0.02 * np.abs(vector).max() + 1e-3
        assert len(shard) == sum(map(len, rows))
    before = (tmp_path / "s" / "00000.safetensors").stat().st_mtime_ns
    write_shards(subject, rows, [0, 1], tmp_path / "s", lambda _: None)
    assert (tmp_path / "s" / "00000.safetensors").stat().st_mtime_ns == before
    batches = Batches(tmp_path / "s", 1, 2, 3, seed=5)
    whole, later = list(batches.since(0)), list(batches.since(3))
    assert len(batches) == len(whole) == len(later) + 3
    assert all(torch.equal(one, other) for one, other in zip(whole[3:], later, strict=True))


def tiny_sae(width: int = 32, latents: int = 64, layer: int = 1) -> SparseAutoencoder:
    """A random one that fires now and then."""
    generator = torch.Generator().manual_seed(2)
    decoder = torch.nn.functional.normalize(
        torch.randn(latents, width, generator=generator), dim=-1
    )
    return SparseAutoencoder(
        encoder=decoder.t().contiguous(),
        encoder_bias=torch.zeros(latents),
        decoder=decoder,
        decoder_bias=torch.zeros(width),
        activation=JumpRelu(torch.full((latents,), 0.5)),
        about=About("tiny", layer, f"model.layers.{layer}.output", 8.0),
    )


def in_every_layout(sae: SparseAutoencoder, folder: Path) -> list[Path]:
    """The same autoencoder as Gemma Scope, Gemma Scope 2 and SAELens write it."""
    from safetensors.torch import save_file

    first = folder / f"layer_{sae.about.layer}" / "width_64" / "average_l0_8"
    first.mkdir(parents=True)
    tensors = {
        "W_enc": sae.encoder, "W_dec": sae.decoder, "b_enc": sae.encoder_bias,
        "b_dec": sae.decoder_bias, "threshold": sae.activation.threshold,
    }  # fmt: skip
    np.savez(first / "params.npz", **{name: each.numpy() for name, each in tensors.items()})
    second = save_sae(sae, folder / "second", "fp32")
    third = folder / "third"
    third.mkdir()
    save_file(tensors, third / "sae_weights.safetensors")
    config = {
        "architecture": "jumprelu", "apply_b_dec_to_input": False, "normalize_activations": "none",
        "metadata": {"hook_name": f"blocks.{sae.about.layer}.hook_resid_post"},
    }  # fmt: skip
    (third / "cfg.json").write_text(json.dumps(config), "utf-8")
    return [first, second, third]


@pytest.mark.parametrize("kind", ["gemma2", "gemma"])
def test_every_layout_is_reported_on_alike(kind: str, tmp_path: Path) -> None:
    subject = open_subject(str(tiny_models.MODELS[kind](tmp_path / kind)), precision="fp32")
    texts = {"en": ["You fool, read it!", "Go away", "a market"], "ru": ["Глупый", "иди домой"]}
    reports = [
        report_on(load_sae(each), subject, texts, lambda _: None)
        for each in in_every_layout(tiny_sae(), tmp_path)
    ]
    first = reports[0]
    assert first == reports[1] == reports[2]
    x = torch.from_numpy(np.concatenate(subject.streams(texts["en"], 1)))
    missed = (x - tiny_sae().reconstruct(x)).square().sum() / (x - x.mean(0)).square().sum()
    assert first.rows[0].explained.mean == pytest.approx(1 - missed.item(), abs=1e-3)
    active = (tiny_sae().encode(x) > 0).float().sum(-1).mean()
    assert first.rows[0].l0.mean == pytest.approx(active.item())
    assert [row.lang for row in first.rows] == ["en", "ru", "all"]
    with pytest.raises(ModelError, match="width 16"):
        report_on(tiny_sae(16), subject, texts, lambda _: None)


def test_a_perfect_reconstruction_recovers_everything(tmp_path: Path) -> None:
    subject = open_subject(str(tiny_models.llama(tmp_path / "m")), precision="fp32")
    both = torch.cat([torch.eye(32), -torch.eye(32)])
    zeros = torch.zeros(64)
    perfect = SparseAutoencoder(
        both.t().contiguous(), zeros, both, zeros[:32], JumpRelu(zeros), about=About(layer=0)
    )
    report = report_on(perfect, subject, {"en": ["You fool!", "Go away"] * 9}, lambda _: None)
    row = report.rows[0]
    assert row.explained.mean == pytest.approx(1, abs=1e-4)
    assert row.recovered.mean == pytest.approx(1, abs=1e-3)
    assert row.added.mean == pytest.approx(0, abs=1e-4)
    assert row.monolingual.mean == 1


def test_the_shipped_one_fits_the_embedded_model() -> None:
    sae = open_sae()
    assert (sae.d_in, sae.width, sae.about.layer) == (640, 4_096, 11)
    assert sae.about.hook == "model.layers.11.output"
    assert torch.allclose(sae.decoder.norm(dim=-1), torch.ones(4_096), atol=2e-3)
    card = Path(str(open_sae.__globals__["shipped_folder"]())) / "card.md"
    assert "civilly train sae" in card.read_text("utf-8")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A data folder with written pairs alone, and a recipe for a tiny model."""
    for name in ("data/lexicons", "data/parallel", "recipes/authored_pairs", "recipes/more"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("lexicons/terms", "parallel/multiparadetox_dev"):
        with gzip.open(tmp_path / "data" / f"{name}.jsonl.gz", "wt"):
            pass
    (tmp_path / "recipes/benign_sentences.jsonl").write_text("", "utf-8")
    for code in CODES:
        for folder, count in (("authored_pairs", 12), ("more", 6)):
            lines = [
                {"toxic": f"you {folder} fool number {n} {code}", "neutral": f"read {n} {code}"}
                for n in range(count)
            ]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (tmp_path / "recipes" / folder / f"{code}.jsonl").write_text(text, "utf-8")
    (tmp_path / "recipes/detector.toml").write_text(
        "seed = 0\nheld_out_percent = 20\n[pairs]\n[labelled]\n[authored]\nweight = 1.0\n"
        "held_out_percent = 30\nbenign_weight = 1.0\nbenign_copies = 1\n[clean]\nlangs = []\n"
        "sources = []\nweight = 1.0\nlimit = 5\n[lexicon]\nsources = []\n",
        "utf-8",
    )
    model = tiny_models.gemma(tmp_path / "model")
    (tmp_path / "recipes/sae.toml").write_text(
        f'seed = 0\n[model]\nname = "{model}"\nlayers = [1, 0]\n[texts]\npairs = ["more"]\n'
        "[network]\nwidth = 48\nk = 4\n[fit]\nbatch = 128\nlearning_rate = 1e-2\n",
        "utf-8",
    )
    return tmp_path


def test_from_the_recipe_to_the_report(world: Path) -> None:
    run, recipe = world / "run", str(world / "recipes/sae.toml")
    command = ["train", "sae", recipe, "-o", str(run), "--data", str(world / "data")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output + str(result.exception)
    assert {each.name for each in run.iterdir()} == {
        "config.json", "layer_0", "layer_1", "result.json", "report.json", "report.md",
    }  # fmt: skip
    texts = json.loads((run / "result.json").read_text("utf-8"))["texts"]
    assert set(texts["tokens"]) == set(CODES)
    assert texts["all_tokens"] == sum(texts["tokens"].values())
    sae = load_sae(run / "layer_1")
    assert (sae.width, sae.about.layer) == (48, 1)
    with pytest.raises(CivillyError, match="already holds another run"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    shown = CliRunner().invoke(
        app,
        ["interpret", "report", str(run / "layer_1"), "--model", str(world / "model"), "--json",
         "--written", str(world / "recipes"), "--data", str(world / "data")],
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output + str(shown.exception)
    (report,) = json.loads(shown.stdout)
    written = json.loads((run / "report.json").read_text("utf-8"))
    assert report == next(each for each in written if each["layer"] == 1)
    assert [row["lang"] for row in report["rows"]] == [*CODES, "all"]
