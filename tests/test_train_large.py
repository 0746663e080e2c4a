"""Trainings on the large model, a tiny one in its place: killed, resumed, told, recorded."""

from __future__ import annotations

import copy
import gzip
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tiny_qwen
from civilly.data.recipe_table import read_recipe
from civilly.engines.large import LargeEngine
from civilly.languages import language_code
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.model import cache
from civilly.model.adapter import PROMPT_FILE, load_change, tells
from civilly.train.recipe import SftRecipe
from civilly.train.run_folder import read_json
from civilly.train.sft import train_sft
from civilly.types import GenerationOptions
from conftest import REPOSITORY

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

RECIPE = {
    "seed": 7,
    "corpus": {
        "leaks": "take_out",
        "sources": [{"name": "pairs", "kind": "authored", "licence": "Apache-2.0"}],
    },
    "base": {"name": "large"},
    "adapter": {"rank": 4, "alpha": 8, "layers": "upper:2"},
    "training": {"epochs": 3, "batch_size": 4, "learning_rate": 1e-2, "save_steps": 5},
}


class Setting:
    """A corpus, a data folder, and the tiny model's packages."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "data"
        (root / "pairs").mkdir()
        with (root / "pairs" / "en.jsonl").open("w") as file:
            for i in range(30):
                word = "abcdefghijklmnopqrstuvwxyzabcd"[i] * (i % 4 + 2)
                file.write(json.dumps({"toxic": f"{word} idiot", "neutral": word}) + "\n")
        (self.data / "parallel").mkdir(parents=True)
        with gzip.open(self.data / "parallel" / "multiparadetox_dev.jsonl.gz", "wt"):
            pass
        self.packages = tiny_qwen.install(root / "packages")

    def recipe(self, **tables: Any) -> dict[str, Any]:
        made = copy.deepcopy(RECIPE)
        made["corpus"]["sources"][0]["path"] = str(self.root / "pairs")
        for name, value in tables.items():
            made[name] = {**made[name], **value} if isinstance(value, dict) else value
        return made

    def train(self, name: str, resume: bool = False, **tables: Any) -> Path:
        return train_sft(self.recipe(**tables), self.data, self.root / name, resume=resume)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Setting(tmp_path_factory.mktemp("train_large"))
    (made.root / "cache").mkdir()
    for build in cache.builds():  # of the detector, which marks words
        if "large" not in build.name:
            (made.root / "cache" / build.name).symlink_to(build)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.CACHE_VARIABLE, str(made.root / "cache"))
        patch.setenv("CIVILLY_THREADS", "1")
        made.packages.use(patch.setattr)
        yield made


@pytest.fixture(scope="module")
def whole(setting: Setting) -> Path:
    return setting.train("whole")


def weights(adapter: Path) -> dict[str, Any]:
    return dict(load_file(adapter / "adapter_model.safetensors"))


def test_it_learns_and_names_its_base(setting: Setting, whole: Path) -> None:
    log = json.loads((whole.parent / "log.json").read_text())
    first, *_, last = [row["loss"] for row in log if "loss" in row]
    assert last < 0.7 * first
    described = read_json(whole / "adapter_config.json")
    assert described["base_model_name_or_path"] == "civilly: qwen2.5-coder-1.5b-instruct"
    assert {name.split(".")[2] for name in load_change(whole).targets()} == {"1", "2"}
    assert str(setting.root) not in (whole / "adapter_config.json").read_text()


def test_the_engine_says_what_was_learnt(setting: Setting, whole: Path) -> None:
    """The word alone is likelier than before, and likelier than the insult."""
    engine, prompt = LargeEngine(1), tuned_prompt("ccc idiot", "en")
    before, after = (
        engine.logprobs([prompt] * 2, ["ccc", "ccc idiot"], adapter)
        for adapter in (None, str(whole))
    )
    assert after[0] > before[0] + 1
    options = GenerationOptions(max_new_tokens=12, adapter=str(whole))
    ((answer,),) = engine.generate([prompt], options)
    assert "idiot" not in answer.text


def test_a_killed_run_resumes_to_the_same_weights(setting: Setting, whole: Path) -> None:
    """A process that is killed hard between two checkpoints."""
    made = setting.root / "killed.json"
    made.write_text(json.dumps(setting.recipe()))
    packages, out = setting.packages, setting.root / "killed"
    script = textwrap.dedent(f"""
        import json, os, pathlib
        from transformers import TrainerCallback
        from civilly.train.sft import train_sft
        from tiny_qwen import Packages
        class Kill(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if state.global_step == 8:
                    os.kill(os.getpid(), 9)
        folder = pathlib.Path({str(packages.folder)!r})
        Packages(folder, {packages.sha256!r}, {packages.size}).use()
        content = json.loads(pathlib.Path({str(made)!r}).read_text())
        paths = [pathlib.Path(p) for p in ({str(setting.data)!r}, {str(out)!r})]
        train_sft(content, *paths, callbacks=[Kill()])
    """)
    where = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    killed = subprocess.run(
        [sys.executable, "-c", script], check=False, env={**os.environ, "PYTHONPATH": where}
    )
    assert killed.returncode == -9
    assert (out / "checkpoint-5").is_dir()
    assert not (out / "adapter").exists()
    resumed = weights(setting.train("killed", resume=True))
    assert resumed.keys() == weights(whole).keys()
    for name, weight in weights(whole).items():
        np.testing.assert_array_equal(resumed[name], weight, err_msg=name)


def test_a_run_that_tells_rude_words_says_so(setting: Setting, whole: Path) -> None:
    """With the real detector, which finds the insult; a resumed run is told the same."""
    short = {"stop_after_steps": 2, "save_steps": 1}
    told = setting.train("told", marked=0.5, training=short)
    assert read_json(told / PROMPT_FILE) == {"rude_words": True}
    assert tells(told.parent)
    assert not (whole / PROMPT_FILE).exists()
    assert not tells(whole)
    plain = setting.train("plain", training=short)
    assert any((weights(told)[name] != each).any() for name, each in weights(plain).items())
    assert read_json(told.parent / "config.json")["recipe"]["marked"] == 0.5
    setting.train("told_in_parts", marked=0.5, training={**short, "stop_after_steps": 1})
    parts = setting.train("told_in_parts", resume=True, marked=0.5, training=short)
    for name, weight in weights(told).items():
        np.testing.assert_array_equal(weights(parts)[name], weight, err_msg=name)


def test_the_recipe_of_the_large_model_trains(setting: Setting, tmp_path: Path) -> None:
    content = read_recipe(REPOSITORY / "recipes" / "tuned_large.toml")
    SftRecipe.parse(content, "the recipe")
    for source in content["corpus"]["sources"]:
        assert [language_code(lang) for lang in source["languages"]] == source["languages"]
        there = {path.stem for path in (REPOSITORY / source["path"]).glob("*.jsonl")}
        assert there & set(source["languages"]), source["name"]
    content["corpus"] = setting.recipe()["corpus"]
    content["adapter"]["layers"] = "upper:2"  # of three
    content["training"]["stop_after_steps"] = 1
    made = train_sft(content, setting.data, tmp_path)
    assert tells(made)
    assert read_json(tmp_path / "config.json")["computed_in"] in ("fp32", "bf16")
