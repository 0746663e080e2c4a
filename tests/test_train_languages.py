"""One training for each language, from one recipe, on tiny models; small adapters onto others."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tiny_gemma
import tiny_models
from civilly.data.recipe_table import read_recipe
from civilly.errors import CivillyError, DataError, LeakError, ModelError, UnknownNameError
from civilly.languages import CODES
from civilly.model import adapter as adapters
from civilly.model.adapter import change_bytes, load_change
from civilly.train import base_model
from civilly.train.languages.recipe import LanguagesRecipe
from civilly.train.languages.run import Workplace, train_languages

pytest.importorskip("peft")

ROOT = Path(__file__).parent.parent
HUMAN = {"uk": 12, "ru": 3}
"""Pairs by people, of which 12 are enough in the recipe below."""


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("languages")
    (root / "written").mkdir()
    for lang in ("uk", "ru", "en"):
        with (root / "written" / f"{lang}.jsonl").open("w") as file:
            for i in range(8):
                word = "abcdefgh"[i] * (i + 3)
                file.write(json.dumps({"toxic": f"{word} idiot {lang}", "neutral": word}) + "\n")
    parallel = root / "data" / "parallel"
    parallel.mkdir(parents=True)
    with gzip.open(parallel / "multiparadetox_dev.jsonl.gz", "wt"):
        pass
    with gzip.open(parallel / "people.jsonl.gz", "wt") as file:
        for lang, pairs in HUMAN.items():
            for i in range(pairs):
                word = "ijklmnopqrst"[i] * (i + 3)
                row = {"id": f"{lang}-{i}", "lang": lang, "toxic": f"{word} fool", "neutral": word}
                file.write(json.dumps(row) + "\n")
    return root, tiny_gemma.save(root / "model")


def recipe(root: Path, **tables) -> dict:
    return {
        "seed": 3,
        "languages": {"names": ["uk", "ru", "en"], "start": "base", "enough_human_pairs": 12},
        "corpus": {
            "sources": [
                {"name": "people", "kind": "pairs", "licence": "MIT", "least_overlap": 0.1,
                 "path": "parallel/people.jsonl.gz"},
                {"name": "written", "kind": "distilled", "licence": "Apache-2.0",
                 "path": str(root / "written")},
            ],
        },
        "adapter": {"rank": 2, "alpha": 4, "layers": "upper:3"},
        "training": {"batch_size": 4, "save_steps": 2, "learning_rate": 1e-2},
        **tables,
    }  # fmt: skip


def place(setting, name: str) -> Workplace:
    root, model = setting
    return Workplace(root / "data", root / name, embedded=model)


def test_every_language_learns_from_its_own_pairs_and_says_from_which(setting):
    where = place(setting, "all")
    rows = train_languages(recipe(setting[0]), where)
    assert [row.lang for row in rows] == ["uk", "ru", "en"]
    # Enough people wrote Ukrainian; Russian has three pairs of them, English none.
    assert [row.pairs for row in rows] == [
        {"people": 12}, {"people": 3, "written": 8}, {"written": 8},
    ]  # fmt: skip
    assert rows[1].licences == {"people": "MIT", "written": "Apache-2.0"}
    assert [row.steps for row in rows] == [3, 3, 2]
    assert json.loads((where.out / "languages.json").read_text())[0]["lang"] == "uk"
    assert "| ru | base | 11 |" in (where.out / "README.md").read_text()
    for lang in ("uk", "ru", "en"):
        trained = (where.out / lang / "corpus" / "train.jsonl").read_text().splitlines()
        assert {json.loads(line)["lang"] for line in trained} == {lang}
    first, second = (load_file(where.out / lang / "adapter" / "adapter_model.safetensors")
                     for lang in ("uk", "ru"))  # fmt: skip
    assert first.keys() == second.keys()
    assert any((first[name] != second[name]).any() for name in first)


def test_it_goes_on_where_it_stopped_to_the_same_weights(setting):
    whole, stopped = place(setting, "whole"), place(setting, "stopped")
    train_languages(recipe(setting[0]), whole, langs=["uk", "ru"])
    early = recipe(setting[0])
    early["training"] = early["training"] | {"stop_after_steps": 2}
    train_languages(early, stopped, langs=["uk"])
    (stopped.out / "uk" / "result.json").unlink()  # as if it had been killed
    shutil.rmtree(stopped.out / "uk" / "adapter")
    with pytest.raises(CivillyError, match=r"uk: .*--resume"):
        train_languages(recipe(setting[0]), stopped)
    rows = train_languages(recipe(setting[0]), stopped, langs=["uk", "ru"], resume=True)
    assert [row.lang for row in rows] == ["uk", "ru"]
    for lang in ("uk", "ru"):
        name = Path(lang, "adapter", "adapter_model.safetensors")
        assert (whole.out / name).read_bytes() == (stopped.out / name).read_bytes()
    before = (stopped.out / "uk" / "log.json").stat().st_mtime_ns
    train_languages(recipe(setting[0]), stopped, langs=["uk"], resume=True)
    assert (stopped.out / "uk" / "log.json").stat().st_mtime_ns == before


def test_a_related_language_a_share_and_a_rank_of_ones_own(setting):
    root, _ = setting
    where = place(setting, "special")
    own = {"uk": {"related": ["ru"], "rank": 3, "share": 0.5}}
    (row,) = train_languages(recipe(root, language=own), where, langs=["uk"])
    assert sum(row.pairs.values()) == round(0.5 * 15)  # 12 and 3 by people
    config = json.loads((where.out / "uk" / "adapter" / "adapter_config.json").read_text())
    assert config["r"] == 3
    lines = (where.out / "uk" / "corpus" / "train.jsonl").read_text().splitlines()
    whole = place(setting, "whole_related")
    more = {"uk": {"related": ["ru"], "rank": 3}}
    train_languages(recipe(root, language=more), whole, langs=["uk"])
    all_of_them = (whole.out / "uk" / "corpus" / "train.jsonl").read_text().splitlines()
    assert lines == all_of_them[: len(lines)]  # the curve's parts lie in one another


def test_leaks_are_refused_by_language(setting):
    root, _ = setting
    official = root / "data" / "inputs" / "textdetox2025_test.tsv"
    official.parent.mkdir()
    official.write_text("toxic_sentence\tlang\n" + "jjjj FOOL!\tuk\n" + "kkkkk fool\tuk\n")
    try:
        with pytest.raises(LeakError, match=r"uk: .*people"):
            train_languages(recipe(root), place(setting, "leaky"), langs=["uk"])
        taken = recipe(root)
        taken["corpus"]["leaks"] = "take_out"
        (row,) = train_languages(taken, place(setting, "clean"), langs=["uk"])
        assert row.leaks == 2
        assert row.pairs == {"people": 10, "written": 8}  # no longer enough by people alone
    finally:
        shutil.rmtree(official.parent)


@pytest.mark.parametrize(
    ("tables", "kind", "message"),
    [
        ({"language": {"xx": {}}}, UnknownNameError, "'xx'"),
        ({"language": {"uk": {"related": ["klingon"]}}}, UnknownNameError, "klingon"),
        ({"language": {"uk": {"ranks": 2}}}, UnknownNameError, "ranks"),
        ({"languages": {"share": 1.5}}, DataError, "share"),
        ({"adapter": {"start": "tuned"}}, DataError, r"under \[languages\]"),
    ],
)
def test_a_wrong_template_is_refused_by_name(setting, tables, kind, message):
    with pytest.raises(kind, match=message):
        train_languages(recipe(setting[0], **tables), place(setting, "wrong"))
    with pytest.raises(UnknownNameError, match="'de'"):
        train_languages(recipe(setting[0]), place(setting, "wrong"), langs=["de"])


def test_the_shipped_recipe_names_all_languages_and_its_adapters_weigh_little():
    read = LanguagesRecipe.parse(read_recipe(ROOT / "recipes" / "languages.toml"), "it")
    assert read.languages.names == list(CODES)
    assert {read.start_of(lang) for lang in CODES} == {"shared"}
    content = read.training_of("de", {"sources": []})
    assert content["adapter"]["onto"] == "tuned"
    # Of Gemma 3 270M: rank 4, both factors of seven matrices in nine of its 18 layers, float16.
    width, inner, attention, shared = 640, 2048, 4 * 256, 256
    rows = [(width, attention), (width, shared), (width, shared), (attention, width),
            (width, inner), (width, inner), (inner, width)]  # fmt: skip
    assert 15 * 9 * sum(4 * (a + b) for a, b in rows) * 2 <= 15_000_000


@pytest.mark.parametrize(
    ("name", "architecture", "lang"),
    [("eurollm", "llama", "uk"), ("qwen3", "qwen3", "tt"), ("aya", "mt5", "am")],
)
def test_the_recipes_with_open_bases_train_tiny_ones(setting, tmp_path, name, architecture, lang):
    content = read_recipe(ROOT / "recipes" / f"languages_{name}.toml")
    text = (ROOT / "recipes" / f"languages_{name}.toml").read_text("utf-8")
    assert "Hardware: one GPU" in text
    assert lang in content["languages"]["names"]
    base = tiny_models.MODELS[architecture](tmp_path / "base")
    content["corpus"]["sources"] = recipe(setting[0])["corpus"]["sources"]
    content["corpus"]["sources"][0]["lang"] = lang  # the tiny pairs stand for its own
    written = tmp_path / "written"
    written.mkdir()
    shutil.copy(setting[0] / "written" / "uk.jsonl", written / f"{lang}.jsonl")
    content["corpus"]["sources"] = [
        {"name": "written", "kind": "distilled", "licence": "Apache-2.0", "path": str(written)}
    ]
    content["languages"]["start"] = str(base)
    content["training"] |= {"stop_after_steps": 1, "batch_size": 2}
    where = Workplace(setting[0] / "data", tmp_path / "run")
    (row,) = train_languages(content, where, langs=[lang])
    assert row.start == str(base)
    assert (where.out / lang / "adapter" / "adapter_model.safetensors").exists()


def lora(folder: Path, name: str, down, up, scale: int) -> Path:
    folder.mkdir(parents=True)
    tensors = {
        f"base_model.model.{name}.lora_A.weight": down.astype(np.float32),
        f"base_model.model.{name}.lora_B.weight": up.astype(np.float32),
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": len(down), "lora_alpha": scale * len(down)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_an_adapter_onto_another_is_the_sum_of_both(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(6, 5)).astype(np.float32)
    a, b, c, d = (rng.normal(size=s).astype(np.float32) for s in ((2, 5), (6, 2), (3, 5), (6, 3)))
    below = lora(tmp_path / "below", "m", a, b, 2)
    above = lora(tmp_path / "above", "m", c, d, 1)
    alone = change_bytes(above)
    monkeypatch.setattr(adapters, "shipped_adapter", lambda name: below)
    adapters.say_onto(above, "tuned")
    made = load_change(above).merged("m.weight", weight)
    np.testing.assert_allclose(made, weight + 2 * b @ a + d @ c, rtol=1e-5)
    assert change_bytes(above) != alone  # it is another build in the cache
    lora(tmp_path / "other", "m", a + 1, b, 2)
    monkeypatch.setattr(adapters, "shipped_adapter", lambda name: tmp_path / "other")
    with pytest.raises(ModelError, match="another version of the adapter 'tuned'"):
        load_change(above)
    (above / "onto.json").write_text("{}")
    with pytest.raises(ModelError, match=r"onto\.json"):
        change_bytes(above)


def test_what_is_trained_onto_the_shared_adapter_is_small_and_fits_it(setting, monkeypatch):
    """The merged weights answer as the model that was trained, with both adapters in it."""
    import torch
    from transformers import AutoModelForCausalLM

    root, model = setting
    below = train_languages(recipe(root), place(setting, "below"), langs=["en"]) and (
        place(setting, "below").out / "en" / "adapter"
    )
    for module in (adapters, base_model):
        monkeypatch.setattr(module, "shipped_adapter", lambda name: below)
    shared = recipe(root)
    shared["languages"]["start"] = "shared"
    where = place(setting, "above")
    train_languages(shared, where, langs=["uk"])
    made = where.out / "uk" / "adapter"
    assert json.loads((made / "onto.json").read_text())["adapter"] == "tuned"
    plain = load_file(model / "model.safetensors")
    both, lower, change = (
        load_change(made),
        load_change(below),
        load_file(made / "adapter_model.safetensors"),
    )
    for name, weight in plain.items():
        key = f"base_model.model.{name.removesuffix('.weight')}"
        expected = lower.merged(name, weight).astype(np.float64)
        if f"{key}.lora_A.weight" in change:
            factors = (change[f"{key}.lora_{part}.weight"].astype(np.float64) for part in "BA")
            expected = expected + 2 * np.matmul(*factors)
        np.testing.assert_allclose(both.merged(name, weight), expected, atol=1e-5)
    answering = AutoModelForCausalLM.from_pretrained(model)
    ids = torch.arange(20, 40)[None]
    untouched = answering(ids).logits
    merged = {n: torch.from_numpy(both.merged(n, w)) for n, w in plain.items()}
    answering.load_state_dict(merged, strict=False)
    assert not torch.allclose(answering(ids).logits, untouched, atol=1e-3)
    with pytest.raises(ModelError, match="onto"):
        base_model.load_trainable(
            base_model.BaseSettings(name="org/model"),
            base_model.AdapterSettings(onto="tuned"),
            "fp32",
        )
