"""Sweeps on tiny models: every trial is kept, none is lost or repeated, the best can be trained."""

from __future__ import annotations

import copy
import csv
import gzip
import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("peft")
pytest.importorskip("optuna")

import optuna
import tomlkit

import ratio_suite
import tiny_models
from civilly.data.recipe_table import read_recipe
from civilly.errors import CivillyError, DataError, UnknownNameError
from civilly.train.recipe import SftRecipe
from civilly.train.sweep.importance import importances
from civilly.train.sweep.plots import round_values
from civilly.train.sweep.report import best_validation
from civilly.train.sweep.run import BEST_FILE, Workplace, run_sweep
from civilly.train.sweep.space import SweepRecipe
from civilly.train.sweep.study import KILLS, finish, open_study, outcomes, take_up

TESTS = Path(__file__).parent
GOOD, NONE = 3e-2, 1e-9
"""Learning rates with which a tiny model learns much, and nothing."""
RATES = {"low": NONE, "high": 5e-2, "log": True}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A data folder, tiny models by name, and the recipe's base."""
    root = tmp_path_factory.mktemp("sweep")
    pairs = root / "pairs"
    pairs.mkdir()
    with (pairs / "en.jsonl").open("w") as file:
        for i in range(60):
            word = "abcdefghijklmnopqrstuvwxyz"[i % 26] * (i % 4 + 2)
            file.write(json.dumps({"toxic": f"{word} idiot", "neutral": word}) + "\n")
    (root / "data" / "parallel").mkdir(parents=True)
    with gzip.open(root / "data" / "parallel" / "multiparadetox_dev.jsonl.gz", "wt"):
        pass
    ratio_suite.install(root / "suite")
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(root / "suite"))
    models = {name: str(tiny_models.MODELS[name](root / name)) for name in ("llama", "t5")}
    base = {
        "seed": 7,
        "corpus": {
            "leaks": "take_out",
            "longest_characters": 200,
            "sources": [
                {
                    "name": "authored",
                    "kind": "authored",
                    "licence": "Apache-2.0",
                    "path": str(pairs),
                    "dev_split": True,
                },
            ],
        },
        "base": {"name": models["llama"]},
        "adapter": {"rank": 4, "alpha": 8},
        "training": {"epochs": 2, "batch_size": 4, "learning_rate": GOOD},
        "validation": {"every_steps": 5, "pairs": 3, "suite": "ratio"},
    }
    yield root, models, base
    patch.undo()


def recipe(setting, search: dict[str, Any], **sweep: Any) -> dict[str, Any]:
    return {**copy.deepcopy(setting[2]), "sweep": {"search": search, **sweep}}


def place(setting, out: Path, *callbacks: Any) -> Workplace:
    return Workplace(setting[0] / "data", out, callbacks=callbacks)


def table(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "trials.csv").open(encoding="utf-8")))


def environment(setting) -> dict[str, str]:
    paths = [str(TESTS), str(setting[0] / "suite"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def test_the_command_searches_models_and_settings_and_reports(setting, tmp_path):
    """A causal and an encoder-decoder model, and one trial that cannot work."""
    root, models, _ = setting
    search = {
        "base.name": {"choices": list(models.values())},
        "adapter.kind": {"choices": ["lora", "full"]},
        "adapter.rank": {"choices": [4, 8], "when": {"adapter.kind": ["lora"]}},
        "adapter.targets": {"choices": ["all-linear", ["no_such_layer"]]},
        "training.learning_rate": RATES,
    }
    works = {"adapter.targets": "all-linear", "training.learning_rate": GOOD}
    lora = {"adapter.kind": "lora", **works}
    first = [
        {**lora, "base.name": models["llama"], "adapter.targets": ["no_such_layer"]},
        {**lora, "base.name": models["llama"]},
        {**works, "base.name": models["t5"], "adapter.kind": "full"},
        {**lora, "base.name": models["t5"]},
        {**lora, "base.name": models["llama"], "training.learning_rate": NONE},
    ]
    made = recipe(setting, search, trials=5, first=first, prune_below=0.0)
    file, out = tmp_path / "sweep.toml", tmp_path / "run"
    file.write_text(tomlkit.dumps(made))
    command = [sys.executable, "-m", "civilly", "train", "sweep", file, "-o", out]
    command += ["--data", root / "data"]
    done = subprocess.run(command, env=environment(setting), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "trial 5/5" in done.stderr

    rows = table(out)
    assert [row["state"] for row in rows] == ["failed", *["complete"] * 4]
    assert "no_such_layer" in rows[0]["error"]
    assert not rows[0]["J"]
    assert [row["adapter.rank"] in ("4", "8") for row in rows] == [True, True, False, True, True]
    complete = [row for row in rows if row["state"] == "complete"]
    for row in complete:  # from the raw scores, anew
        lines = (out / "trials" / row["folder"] / "validations.jsonl").read_text().splitlines()
        means = [sum(r["J"]) / len(r["J"]) for r in map(json.loads, lines)]
        assert float(row["J"]) == pytest.approx(max(means))
        assert [float(row["validation_1"]), float(row["validation_2"])] == pytest.approx(means[:2])
        assert float(row["J_low"]) <= float(row["J"]) <= float(row["J_high"])
    top = max(complete, key=lambda row: float(row["J"]))
    assert top["difference"] == ""
    for row in complete:
        if row is not top:
            gap = float(row["J"]) - float(top["J"])
            assert float(row["difference"]) == pytest.approx(gap)

    kept = [path.parent.name for path in out.glob("trials/*/*/*.safetensors")]
    assert len(kept) == 1
    assert (out / "trials" / top["folder"] / kept[0]).is_dir()
    assert not list(out.glob("trials/*/checkpoint-*"))

    # In a process of its own, as the trials: other tests leave other numbers of threads behind.
    again = [sys.executable, "-m", "civilly", "train", "sft", out / BEST_FILE]
    again += ["-o", tmp_path / "again", "--data", root / "data"]
    subprocess.run(again, env=environment(setting), capture_output=True, check=True)
    result = json.loads((tmp_path / "again" / "result.json").read_text())
    assert result["eval_J"] == pytest.approx(float(top["J"]))

    text = (out / "sweep.md").read_text()
    assert all(row["folder"] and f"| {row['trial']} |" in text for row in rows)
    page = (out / "index.html").read_text()
    assert "no_such_layer" in page
    assert "http" not in page.replace("http-equiv", "")
    plots = {path.stem: path for path in out.glob("plots/*.svg")}
    assert plots.keys() >= {"history", *search}
    for path in plots.values():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_a_poor_trial_is_pruned_and_the_sweep_can_grow(setting, tmp_path):
    search = {"training.learning_rate": RATES}
    first = [{"training.learning_rate": GOOD}, {"training.learning_rate": NONE}]
    options = {"first": first, "prune_after": 1, "prune_below": 0.5}
    out = tmp_path / "run"
    run_sweep(recipe(setting, search, trials=1, **options), place(setting, out))
    with pytest.raises(CivillyError, match="already holds a sweep"):
        run_sweep(recipe(setting, search, trials=2, **options), place(setting, out))
    lines: list[str] = []
    larger = recipe(setting, search, trials=2, **options)
    run_sweep(larger, place(setting, out), resume=True, progress=lines.append)
    good, poor = table(out)
    assert len(lines) == 1  # the finished trial was not repeated
    assert (good["state"], poor["state"]) == ("complete", "pruned")
    assert float(poor["validation_1"]) < float(good["validation_1"])
    assert poor["validation_2"] == ""
    folder = out / "trials" / poor["folder"]
    assert [path.name for path in folder.iterdir() if path.is_dir()] == []
    assert ">trial 2, pruned: J" in (out / "index.html").read_text()
    other = recipe(setting, {"training.learning_rate": {**RATES, "high": 1.0}}, trials=2, **options)
    with pytest.raises(DataError, match="another recipe: sweep differ"):
        run_sweep(other, place(setting, out), resume=True)
    spent = recipe(setting, search, minutes=1e-6, **options)
    run_sweep(spent, place(setting, out), resume=True, progress=lines.append)
    assert len(lines) == 1


def test_a_killed_sweep_goes_on_as_if_it_had_not_been(setting, tmp_path):
    """Killed hard in its second trial, between two checkpoints."""
    search = {"training.learning_rate": RATES, "adapter.dropout": {"low": 0.0, "high": 0.5}}
    made = recipe(setting, search, trials=4, random_trials=2, prune_below=0.0)
    run_sweep(made, place(setting, tmp_path / "whole"))
    (tmp_path / "recipe.json").write_text(json.dumps(made))
    script = textwrap.dedent("""
        import json, os, sys
        from pathlib import Path
        from transformers import TrainerCallback
        from civilly.train.sweep.run import Workplace, run_sweep
        root, data = map(Path, sys.argv[1:3])
        class Watch(TrainerCallback):
            def on_train_begin(self, args, state, control, **_):
                with (root / "begun").open("a") as file:
                    print(Path(args.output_dir).name, state.global_step, file=file)
            def on_step_end(self, args, state, control, **_):
                if len(sys.argv) > 3 and args.output_dir.endswith("0001"):
                    if state.global_step == 7:
                        os.kill(os.getpid(), 9)
        made = json.loads((root / "recipe.json").read_text())
        out = Workplace(data, root / "killed", callbacks=[Watch()])
        run_sweep(made, out, resume=True)
    """)
    command = [sys.executable, "-c", script, str(tmp_path), str(setting[0] / "data")]
    assert subprocess.run([*command, "kill"], env=environment(setting)).returncode == -9
    assert not (tmp_path / "killed" / "trials.csv").exists()
    subprocess.run(command, env=environment(setting), check=True)
    begun = (tmp_path / "begun").read_text().split("\n")[:-1]
    # The second trial went on from its checkpoint at step 5; the first was not begun again.
    assert begun == ["0000 0", "0001 0", "0001 5", "0003 0", "0004 0"]
    whole, killed = table(tmp_path / "whole"), table(tmp_path / "killed")
    different = {"folder", "seconds"}
    assert len(whole) == len(killed) == 4
    for left, right in zip(whole, killed, strict=True):
        assert {k: v for k, v in left.items() if k not in different} == {
            k: v for k, v in right.items() if k not in different
        }


def test_a_recipe_with_which_nothing_works_stops_the_sweep(setting, tmp_path):
    made = recipe(setting, {"training.learning_rate": RATES}, trials=9)
    made["base"]["name"] = str(tmp_path / "no_model")
    with pytest.raises(CivillyError, match=r"first 3 trials of this run failed.*no_model"):
        run_sweep(made, place(setting, tmp_path / "run"))


def test_a_trial_that_keeps_killing_its_process_is_given_up(setting, tmp_path):
    sweep = SweepRecipe.parse(recipe(setting, {"training.learning_rate": RATES}, trials=2))
    for _ in range(KILLS):
        with open_study(tmp_path) as study:
            take_up(study, sweep, resume=True)
            trial = study.ask()  # and the process ends
            chosen = sweep.choose(trial)
    with open_study(tmp_path) as study:
        take_up(study, sweep, resume=True)
        (only,) = outcomes(study, sweep)
        assert (only.state, only.error) == ("failed", f"killed {KILLS} times")
        assert only.settings == chosen
        trial = study.ask()
        assert sweep.choose(trial) != chosen
        finish(study, trial, 1.0, error="no memory")
        assert [each.error for each in outcomes(study, sweep)][1:] == ["no memory"]


def test_a_sweep_is_worked_on_by_one_process(setting, tmp_path):
    from filelock import FileLock

    made = recipe(setting, {"training.learning_rate": RATES}, trials=1)
    with (
        FileLock(tmp_path / "sweep.lock"),
        pytest.raises(CivillyError, match="Another process works"),
    ):
        run_sweep(made, place(setting, tmp_path))


RATE = {"training.learning_rate": {"low": 1e-4, "high": 1e-2}}
TOO_LARGE = [{"training.learning_rate": 1.0}]


@pytest.mark.parametrize(
    ("sweep", "error", "message"),
    [
        (None, DataError, r"no table \[sweep\]"),
        ({"search": RATE}, DataError, "trials = .*, minutes ="),
        ({"search": {}, "trials": 3}, DataError, "search: .*at least 1"),
        ({"search": RATE, "trials": 0}, DataError, "trials: .*greater than or equal to 1"),
        ({"search": RATE, "trial": 3}, UnknownNameError, "did you mean 'trials'"),
        ({"search": RATE, "trials": 1, "first": TOO_LARGE}, DataError, "which is not searched"),
    ],
)
def test_a_wrong_sweep_is_refused(setting, sweep, error, message):
    made = {**setting[2], **({"sweep": sweep} if sweep is not None else {})}
    with pytest.raises(error, match=message):
        SweepRecipe.parse(made)


@pytest.mark.parametrize(
    ("name", "search", "message"),
    [
        ("adapter.rnk", {"choices": [1]}, "did you mean 'adapter.rank'"),
        ("adapter.rank", {"choices": [4, 0]}, "'adapter.rank'.*greater"),
        ("adapter.rank", {"low": 1.5, "high": 4.0}, "valid integer"),
        ("adapter.rank", {"low": 4}, "either choices"),
        ("adapter.rank", {"low": 4, "high": 2}, "low must be below"),
        ("adapter.rank", {"choices": [4], "low": 2, "high": 3}, "either choices"),
        ("adapter.rank", {"choices": [4], "log": True}, "choices go without"),
        ("adapter.rank", {"choices": [4, 4]}, "stands twice"),
        ("adapter.rank", {"choices": [4], "when": {"base.name": ["a"]}}, "searched before it"),
        ("adapter.dropout", {"low": 0.0, "high": 0.5, "log": True}, "above 0"),
        ("rank", {"choices": [4]}, "adapter.field"),
        ("validation.pairs", {"choices": [4]}, "adapter.field"),
    ],
)
def test_a_wrong_search_is_refused(setting, name, search, message):
    with pytest.raises(CivillyError, match=message):
        SweepRecipe.parse(recipe(setting, {name: search}, trials=1))


def test_a_sweep_needs_validations(setting):
    made = recipe(setting, RATE, trials=1)
    del made["validation"]["every_steps"]
    with pytest.raises(DataError, match="every_steps"):
        SweepRecipe.parse(made)


def test_the_shipped_recipe_is_right_and_its_first_trials_are_searched():
    sweep = SweepRecipe.parse(read_recipe(TESTS.parent / "recipes" / "sweep.toml"))
    assert len(sweep.settings.first) >= 3


def test_trials_are_validated_after_as_many_pairs(setting):
    sweep = SweepRecipe.parse(
        recipe(setting, {"training.batch_size": {"choices": [1, 8]}}, trials=1)
    )
    for size, every in ((1, 20), (2, 10), (4, 5), (8, 2), (64, 1)):  # 20 pairs, where possible
        made = sweep.with_settings({"training.batch_size": size})
        assert made["validation"]["every_steps"] == every
        assert SftRecipe.parse(made, "it").training.learning_rate == GOOD


def test_conditional_settings_are_drawn_where_they_apply(setting):
    search = {
        "adapter.kind": {"choices": ["lora", "full"]},
        "adapter.targets": {
            "choices": ["all-linear", ["a", "b"]],
            "when": {"adapter.kind": ["lora"]},
        },
    }
    sweep = SweepRecipe.parse(recipe(setting, search, trials=1))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    drawn = [sweep.choose(study.ask()) for _ in range(30)]
    assert all(("adapter.targets" in each) == (each["adapter.kind"] == "lora") for each in drawn)
    assert {str(each.get("adapter.targets")) for each in drawn} == {
        "None", "all-linear", "['a', 'b']",
    }  # fmt: skip


def test_importance_finds_the_setting_that_matters():
    """J is the logarithm of one setting; two others do nothing."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(16):
        trial = study.ask()
        rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
        trial.suggest_float("idle", 0, 1)
        trial.suggest_categorical("kind", ["a", "b"])
        study.tell(trial, math.log10(rate))
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    found = importances(study)
    assert next(iter(found)) == "rate"
    assert found["rate"].share > max(0.8, found["rate"].chance)
    assert all(found[name].share < found[name].chance for name in ("idle", "kind"))
    assert all(each.chance < 0.8 for each in found.values())
    few = optuna.create_study()
    few.add_trials(study.trials[:3])
    assert importances(few) == {}


def test_the_best_validation_counts_and_of_a_step_the_last(tmp_path):
    rows = [(5, [0.9, 0.9]), (5, [0.1, 0.2]), (10, [0.3, 0.4]), (15, [0.0, 0.5])]
    file = tmp_path / "validations.jsonl"
    file.write_text("".join(json.dumps({"step": s, "J": j}) + "\n" for s, j in rows))
    assert best_validation(file) == [0.3, 0.4]


@given(st.floats(1e-6, 1e3), st.floats(1.3, 1e6), st.booleans())
def test_ticks_are_few_and_within(low, factor, log):
    high = low * factor
    found = round_values(low, high, log=log)
    assert 1 <= len(found) <= 7
    assert found == sorted(set(found))
    assert all(low * (1 - 1e-9) <= value <= high * (1 + 1e-9) for value in found)
