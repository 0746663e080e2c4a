"""Learning from preferences on tiny models: it learns, resumes to the same weights, refuses."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tiny_gemma
import tiny_models
import tiny_qwen
from civilly.data.recipe_table import read_recipe
from civilly.errors import CivillyError, DataError, LeakError, ModelError, UnknownNameError
from civilly.model.adapter import load_change, weights_folder
from civilly.train.prefer.preferences import Preference, spread
from civilly.train.prefer.recipe import PreferRecipe
from civilly.train.prefer.reference import REFERENCE_FILE
from civilly.train.prefer.run import train_prefer
from civilly.train.run_folder import read_json
from conftest import REPOSITORY

pytest.importorskip("peft")

WORDS = [letter * (3 + at % 4) for at, letter in enumerate("abcdefghijklmnopqrstuvwxyz")]
RECIPE: dict[str, Any] = {
    "seed": 7,
    "preferences": {},
    "adapter": {"rank": 4, "alpha": 8},
    "training": {
        "epochs": 3, "batch_size": 4, "learning_rate": 1e-2, "warmup_ratio": 0.1, "save_steps": 5,
    },
}  # fmt: skip


def preference(word: str) -> dict[str, Any]:
    return {"prompt": f"{word} idiot", "chosen": word, "rejected": f"{word} fool", "lang": "en"}


def opinions(word: str) -> list[dict[str, Any]]:
    row = preference(word)
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen", "lang": "en"}
        for side in ("chosen", "rejected")
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


class Setting:
    """Preferences, a data folder, a tiny Gemma 3."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "data"
        self.pairs = write(root / "pairs.jsonl", [preference(word) for word in WORDS[:20]])
        self.held = write(root / "held.jsonl", [preference(word) for word in WORDS[20:]])
        single = [row for word in WORDS[:10] for row in opinions(word)]
        self.single = write(root / "single.jsonl", single)
        (self.data / "parallel").mkdir(parents=True)
        with gzip.open(self.data / "parallel" / "multiparadetox_dev.jsonl.gz", "wt") as file:
            for at in range(30):
                row = {"id": f"m{at}", "lang": "en", "toxic": f"you {at} fool", "neutral": ["you"]}
                file.write(json.dumps(row) + "\n")
        self.model = tiny_gemma.save(root / "model")

    def recipe(self, loss: str | dict[str, Any] = "dpo", **tables: Any) -> dict[str, Any]:
        made = copy.deepcopy(RECIPE)
        train = self.single if loss == "kto" else self.pairs
        made["preferences"] = {"train": str(train), "held": str(self.held)}
        made["loss"] = {"name": loss} if isinstance(loss, str) else loss
        for name, fields in tables.items():
            made[name] = {**made.get(name, {}), **fields}
        return made

    def train(
        self,
        name: str,
        loss: str | dict[str, Any] = "dpo",
        resume: bool = False,
        **tables: Any,
    ) -> Path:
        made = self.recipe(loss, **tables)
        return train_prefer(made, self.data, self.root / name, embedded=self.model, resume=resume)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("prefer"))


@pytest.fixture(scope="module")
def whole(setting: Setting) -> Path:
    return setting.train("whole")


def weights(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.safetensors")
    return dict(load_file(path))


def equal_weights(left: Path, right: Path) -> None:
    expected, actual = weights(left), weights(right)
    assert expected.keys() == actual.keys()
    for name, weight in expected.items():
        np.testing.assert_array_equal(actual[name], weight, err_msg=name)


def log_of(run: Path) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((run / "log.json").read_text())
    return found


def test_it_learns_and_says_what_from(setting: Setting, whole: Path) -> None:
    rows = [row for row in log_of(whole.parent) if "loss" in row]
    assert rows[0]["loss"] == pytest.approx(np.log(2), abs=0.2)  # the reference's own loss
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["margin"] > rows[0]["margin"]
    assert {"preferred", "chosen", "preference"} <= rows[0].keys()
    config = read_json(whole.parent / "config.json")
    assert config["examples"] == {"en": 20}
    assert config["held"] == {"en": 6}
    assert load_change(whole.parent).targets()


def test_a_stopped_run_resumes_to_the_same_weights(setting: Setting) -> None:
    """In the second epoch, whose order it must draw again, with what the reference said."""
    straight = setting.train("straight", "kto")
    setting.train("broken", "kto", training={"stop_after_steps": 7})
    said = (setting.root / "broken" / REFERENCE_FILE).read_bytes()
    with pytest.raises(CivillyError, match="already holds checkpoints"):
        setting.train("broken", "kto")
    equal_weights(straight, setting.train("broken", "kto", resume=True))
    assert (setting.root / "broken" / REFERENCE_FILE).read_bytes() == said


def test_a_killed_run_resumes_to_the_same_weights(setting: Setting, whole: Path) -> None:
    made, out = setting.root / "killed.json", setting.root / "killed"
    made.write_text(json.dumps(setting.recipe()))
    script = textwrap.dedent(f"""
        import json, os, pathlib
        from transformers import TrainerCallback
        from civilly.train.prefer.run import train_prefer
        class Kill(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if state.global_step == 8:
                    os.kill(os.getpid(), 9)
        content = json.loads(pathlib.Path({str(made)!r}).read_text())
        paths = [pathlib.Path(p) for p in ({str(setting.data)!r}, {str(out)!r})]
        model = pathlib.Path({str(setting.model)!r})
        train_prefer(content, *paths, embedded=model, callbacks=[Kill()])
    """)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert (out / "checkpoint-5").is_dir()
    assert not (out / "adapter").exists()
    equal_weights(whole, setting.train("killed", resume=True))


def test_what_the_reference_said_must_fit_a_run_that_goes_on(setting: Setting) -> None:
    """Of a run that has no checkpoint yet it is asked anew."""
    tables = {"training": {"stop_after_steps": 5}}
    setting.train("referred", **tables)
    path = setting.root / "referred" / REFERENCE_FILE
    said = path.read_bytes()
    path.write_bytes(said.replace(b'"fingerprint":"', b'"fingerprint":"x', 1)[: len(said)])
    with pytest.raises(DataError, match="was not made of these preferences by this reference"):
        setting.train("referred", resume=True)
    (setting.root / "fresh").mkdir()
    (setting.root / "fresh" / REFERENCE_FILE).write_bytes(path.read_bytes())
    setting.train("fresh", **tables)
    assert (setting.root / "fresh" / REFERENCE_FILE).read_bytes() == said


@pytest.mark.parametrize("loss", ["kto", "orpo"])
def test_held_preferences_and_rewrites_judge_it_on_the_way(setting: Setting, loss: str) -> None:
    made = setting.train(f"judged-{loss}", loss, validation={"every_steps": 5, "pairs": 2})
    judged = [row for row in log_of(made.parent) if "eval_J" in row]
    assert [row["step"] for row in judged][:2] == [5, 10]
    assert {"eval_preferred", "eval_margin", "eval_chosen", "eval_STA"} <= judged[0].keys()
    assert judged[-1]["eval_preferred"] == 1
    assert judged[-1]["eval_margin"] > 0
    best = max(row["eval_preferred"] for row in judged)
    assert read_json(made.parent / "result.json")["eval_preferred"] == best
    lines = (made.parent / "validations.jsonl").read_text().splitlines()
    assert {len(json.loads(line)["preferred"]) for line in lines} == {6}


MODELS = {
    "gemma": tiny_models.gemma, "qwen3": tiny_models.qwen3, "mt5": tiny_models.mt5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "loss", "kind"),
    [
        ("gemma", "dpo_norm", "dora"),
        ("qwen3", "simpo", "lora"),
        ("qwen3", "kto", "full"),
        ("mt5", "dpo", "lora"),
        ("mt5", "ipo", "full"),
    ],
)
def test_models_of_every_kind_come_to_prefer_what_people_do(
    setting: Setting, tmp_path: Path, model: str, loss: str, kind: str
) -> None:
    base = MODELS[model](tmp_path / "base")
    made = setting.train(
        f"{model}-{loss}-{kind}", loss, base={"name": str(base)}, adapter={"kind": kind},
        training={"learning_rate": 3e-3 if kind == "full" else 2e-2},
        validation={"every_steps": 15, "pairs": 1},
    )  # fmt: skip
    assert made.name == ("model" if kind == "full" else "adapter")
    last = [row for row in log_of(made.parent) if "eval_preferred" in row][-1]
    assert last["eval_preferred"] >= 5 / 6
    assert last["eval_margin"] > 0


def test_it_goes_on_from_an_adapter_that_is_the_reference(setting: Setting, whole: Path) -> None:
    """Named, or as the start; both say the same at the first step."""
    tables = {
        "adapter": {"start": str(whole)},
        "training": {"learning_rate": 1e-9, "stop_after_steps": 1, "save_steps": 1},
    }
    first = []
    for name, reference in (("a", "start"), ("b", str(whole.parent))):
        run = setting.train(f"on-{name}", loss={"name": "dpo", "reference": reference}, **tables)
        first.append(log_of(run.parent)[0]["loss"])
        before, after = weights(whole), weights(run)
        for key, weight in before.items():
            np.testing.assert_allclose(after[key], weight, atol=1e-4, err_msg=key)
    assert first == pytest.approx([np.log(2)] * 2, abs=1e-3)


def test_a_reference_that_does_not_fit_is_refused(
    setting: Setting, whole: Path, tmp_path: Path
) -> None:
    base = tiny_models.llama(tmp_path / "base")
    with pytest.raises(ModelError, match=r"is an adapter of 'civilly.*; what is trained is '/"):
        setting.train(
            "other", base={"name": str(base)}, loss={"name": "dpo", "reference": str(whole)}
        )
    with pytest.raises(ModelError, match=r"no adapter in 'nowhere'.*the name of an adapter"):
        setting.train("none", loss={"name": "dpo", "reference": "nowhere"})
    with pytest.raises(ModelError, match=r"'tuned' is an adapter of .* of another shape"):
        setting.train("shape", loss={"name": "dpo", "reference": "tuned"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rejected": ""}, r"odd\.jsonl, row 3 has no 'rejected' side"),
        ({"rejected": None}, r"odd\.jsonl, row 3 has no 'rejected' side"),
        ({"rejected": f"{WORDS[2]} "}, r"row 3: the chosen and the rejected side are equal"),
        ({"rejected": 5}, "row 3: 'rejected' is 5, which is no text"),
        ({"prompt": " "}, "row 3 has no 'prompt'"),
        ({"lang": "xx"}, "Unknown language 'xx'"),
    ],
)
def test_preferences_that_teach_nothing_are_refused(
    setting: Setting, change: dict[str, Any], message: str
) -> None:
    rows = [preference(word) for word in WORDS[:4]]
    rows[2] |= change
    path = write(setting.root / "odd.jsonl", rows)
    with pytest.raises(CivillyError, match=message):
        setting.train("odd", preferences={"train": str(path)})
    assert not list((setting.root / "odd").glob("*"))


def test_each_loss_says_which_columns_it_needs(setting: Setting) -> None:
    with pytest.raises(DataError, match=r"no column 'chosen'.*civilly data.*name = \"kto\""):
        setting.train("columns", preferences={"train": str(setting.single)})
    with pytest.raises(DataError, match=r"no column 'completion'.*name = \"dpo\""):
        setting.train("columns", "kto", preferences={"train": str(setting.pairs)})
    alike = write(setting.root / "alike.jsonl", [opinions(word)[0] for word in WORDS[:4]])
    with pytest.raises(DataError, match="calls all its 4 rewrites good"):
        setting.train("columns", "kto", preferences={"train": str(alike)})


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ({"loss": {"name": "dop"}}, UnknownNameError, "Unknown loss 'dop'.*did you mean 'dpo'"),
        ({"loss": {"name": "dpo", "beta": 0.0}}, DataError, "loss.beta: .*greater than 0"),
        ({"loss": {"name": "dpo", "gamma": 1.0}}, CivillyError, "loss.gamma"),
        ({"preferences": {"limit": 0}}, DataError, "preferences.limit: .*greater than or equal"),
        (
            {"preferences": {"held": None}, "validation": {"every_steps": 5}},
            DataError, "no held preferences to choose the best weights by",
        ),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_refused_by_name(
    setting: Setting, tables: dict[str, Any], error: type[CivillyError], message: str
) -> None:
    with pytest.raises(error, match=message):
        setting.train("wrong", **tables)


def test_held_and_official_texts_are_not_trained_on(setting: Setting) -> None:
    rows = [preference(word) for word in [*WORDS[:8], WORDS[22]]]
    rows.append({**rows[0], "prompt": "you 3 fool, you 3 fool"})
    path = write(setting.root / "leaking.jsonl", rows)
    official = setting.data / "inputs" / "textdetox2025_test.tsv"
    official.parent.mkdir()
    official.write_text("toxic_sentence\tlang\nYou 3 FOOL, you 3 fool!\ten\n")
    tables = {"preferences": {"train": str(path)}, "training": {"stop_after_steps": 1}}
    try:
        with pytest.raises(LeakError, match=r"leaking\.jsonl, row 10"):
            setting.train("leaks", **tables)
        made = setting.train(
            "left_out", **{**tables, "preferences": {"train": str(path), "leaks": "take_out"}}
        )
    finally:
        official.unlink()
        official.parent.rmdir()
    config = read_json(made.parent / "config.json")
    assert config["left_out"] == {"language": 0, "too_long": 0, "held": 1, "leak": 1}
    assert config["examples"] == {"en": 8}


def test_validations_ask_about_every_language() -> None:
    rows = [Preference(str(at), "en", "t", "c", "r") for at in range(9)]
    rows += [Preference("d", "de", "t", "c", "r"), Preference("f", "fr", "t", "c", "r")]
    assert [row.lang for row in spread(rows, 5)] == ["de", "en", "fr", "en", "en"]


@pytest.mark.parametrize("name", ["prefer_dpo", "prefer_kto"])
def test_the_recipes_of_the_embedded_model_train_a_tiny_one(setting: Setting, name: str) -> None:
    content = read_recipe(REPOSITORY / "recipes" / f"{name}.toml")
    made = follow(setting, content, name)
    assert PreferRecipe.parse(content, name).adapter.start == "tuned"
    assert weights_folder(made.parent) == made


def follow(setting: Setting, content: dict[str, Any], name: str) -> Path:
    """Two steps of a recipe, on the tests' preferences and from a fresh adapter."""
    loss = content["loss"]["name"]
    mine = setting.recipe(loss)["preferences"]
    tables: dict[str, Any] = {"preferences": {**content["preferences"], **mine}}
    if "start" in content.get("adapter", {}):
        tables["adapter"] = {k: v for k, v in content["adapter"].items() if k != "start"}
    tables["training"] = {**content["training"], "batch_size": 2, "stop_after_steps": 2}
    tables["validation"] = {**content["validation"], "every_steps": 1, "pairs": 1}
    made = train_prefer(content | tables, setting.data, setting.root / name, embedded=setting.model)
    assert len([row for row in log_of(made.parent) if "eval_preferred" in row]) == 2
    return made


def test_the_recipe_of_mt0_xl_trains_a_tiny_one(setting: Setting, tmp_path: Path) -> None:
    path = REPOSITORY / "recipes" / "mt0_xl_orpo.toml"
    assert "Hardware: one GPU" in path.read_text("utf-8")
    content = read_recipe(path) | {"base": {"name": str(tiny_models.mt5(tmp_path / "base"))}}
    assert weights(follow(setting, content, "mt0_xl_orpo"))


def test_the_recipe_of_the_large_model_trains_a_tiny_one(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from civilly.model import cache

    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tiny_qwen.linked_cache(tmp_path / "cache")))
    tiny_qwen.install(tmp_path / "packages").use(monkeypatch.setattr)
    made = follow(setting, read_recipe(REPOSITORY / "recipes" / "prefer_large_dpo.toml"), "large")
    described = read_json(made / "adapter_config.json")
    assert described["base_model_name_or_path"] == "civilly: qwen2.5-coder-1.5b-instruct"
