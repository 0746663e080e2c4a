"""Training to fill holes, on tiny models, by recipe and by command."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

import ratio_suite
import tiny_fim_models
import tiny_gemma
from civilly.cli import app
from civilly.data.pairs import Pair
from civilly.data.recipe_table import read_recipe
from civilly.engines.hf import HfEngine
from civilly.engines.hf_target import Target
from civilly.errors import CivillyError, DataError, ModelError
from civilly.methods.fillers.fim import FimFiller
from civilly.methods.fim_formats import FORMATS
from civilly.methods.holes import Gap
from civilly.model.adapter import load_change, shipped_adapter
from civilly.train.fim import validation
from civilly.train.fim.run import FimRecipe, train_fim
from civilly.types import Segment

pytest.importorskip("peft")
from sacrebleu import sentence_chrf

ROOT = Path(__file__).parent.parent
RECIPE: dict[str, Any] = {
    "seed": 7,
    "corpus": {
        "leaks": "take_out",
        "sources": [
            {"name": "authored", "kind": "authored", "path": None, "licence": "Apache-2.0"}
        ],
    },
    "adapter": {"rank": 4, "alpha": 8},
    "training": {
        "epochs": 2,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "warmup_ratio": 0.1,
        "save_steps": 5,
    },
}


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pairs of which the toxic side says one word more, in a changing place."""
    root = tmp_path_factory.mktemp("fim")
    (root / "pairs").mkdir()
    with (root / "pairs" / "en.jsonl").open("w") as file:
        for i in range(30):
            word = "abcdefghijklmnopqrstuvwxyzabcd"[i] * (i % 4 + 2)
            toxic = f"idiot {word} ok yes" if i % 2 else f"ok {word} idiot yes"
            neutral = toxic.replace("idiot ", "")
            file.write(json.dumps({"toxic": toxic, "neutral": neutral}) + "\n")
    (root / "data" / "parallel").mkdir(parents=True)
    with gzip.open(root / "data" / "parallel" / "multiparadetox_dev.jsonl.gz", "wt"):
        pass
    tiny_gemma.save(root / "model")
    tiny_fim_models.starcoder2(root / "starcoder2")
    return {name: root / name for name in ("", "pairs", "data", "model", "starcoder2")}


def recipe(setting: dict[str, Path], **tables: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(RECIPE)
    made["corpus"]["sources"][0]["path"] = str(setting["pairs"])
    for table, fields in tables.items():
        made.setdefault(table, {}).update(fields)
    return made


def train(setting: dict[str, Path], name: str, resume: bool = False, **tables: Any) -> Path:
    return train_fim(
        recipe(setting, **tables),
        setting["data"],
        setting[""] / name,
        resume=resume,
        embedded=setting["model"],
    )


@pytest.fixture(scope="module")
def whole(setting: dict[str, Path]) -> Path:
    return train(setting, "whole")


def test_the_loss_falls_and_the_run_says_what_was_learnt(whole):
    run = whole.parent
    first, *_, last = [r["loss"] for r in json.loads((run / "log.json").read_text()) if "loss" in r]
    assert last < first
    config = json.loads((run / "config.json").read_text())
    assert config["recipe"]["fim"]["cut_shown"] == 0.6  # defaults are written out
    pairs = config["examples"]["authored"]["en"]
    rows = config["rows"]
    # Each pair has one hole; the eval part of the pairs is left out.
    assert rows["pair, cut shown"] + rows["pair, cut hidden"] == pairs < 30
    assert load_change(whole).targets()


def test_a_stopped_run_resumes_to_the_same_bytes(setting, whole):
    train(setting, "broken", training={"stop_after_steps": 7})
    with pytest.raises(CivillyError, match="already holds checkpoints"):
        train(setting, "broken")
    resumed = train(setting, "broken", resume=True)
    name = "adapter_model.safetensors"
    assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_a_hub_model_is_trained_by_command_and_fills_holes(setting, tmp_path):
    """Its folder's name tells the family; 12 epochs teach it that nothing belongs there."""
    base, out, file = setting["starcoder2"], tmp_path / "run", tmp_path / "recipe.toml"
    source = f'name = "a"\nkind = "authored"\nlicence = "MIT"\npath = "{setting["pairs"]}"'
    file.write_text(
        f"seed = 3\n[[corpus.sources]]\n{source}\n[base]\nname = '{base}'\n"
        "[adapter]\nrank = 8\n[fim]\nplain = 0.0\nharmless = 0.0\nwidened = 0.0\nspm = 0.0\n"
        "[training]\nepochs = 12\nbatch_size = 8\nlearning_rate = 2e-2\n"
    )
    arguments = ["train", "fim", file, "--out", out, "--data", setting["data"], "--take-out-leaks"]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    engine = HfEngine(Target.parse(f"{base}?dtype=fp32"))
    filler = FimFiller(engine, FORMATS["starcoder2"], adapter=str(out / "adapter"))
    (fillings,) = filler.fill([Gap("ok bbb ", "idiot", " yes", "en")], 1)
    plain = FimFiller(engine, FORMATS["starcoder2"]).fill(
        [Gap("ok bbb ", "idiot", " yes", "en")], 1
    )
    assert [filling.text for filling in fillings] == [""]
    assert plain != [fillings]


GOLD = [
    Pair("1", "en", "this idiot wrote a shitty text", ("this person wrote a bad text",)),
    Pair("2", "en", "You stupid fool, go home", ("You, go home",)),
    Pair("3", "en", "same", ("same",)),
]


def judged(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], **fim: Any
) -> tuple[dict[str, list[float]], list[str]]:
    """Scores of a model that says what ``answers`` has for a cut, and the prefixes it was asked."""
    asked: list[str] = []

    def answer(_: Any, __: Any, prompts: Any) -> list[str]:
        found = []
        for prompt in prompts:
            segments = prompt.segments
            cut = segments[segments.index(Segment("<unused1>", special=True)) + 1].text
            asked.append(segments[2].text)
            found.append(answers[cut])
        return found

    monkeypatch.setattr(validation, "greedy_answers", answer)
    made = FimRecipe.parse(
        {"seed": 1, "corpus": {}, "fim": fim, "validation": {"suite": "ratio"}}, "it"
    )
    validate = validation.hole_validator(None, GOLD, made, FORMATS["civilly"])  # type: ignore[arg-type]
    return validate(None), asked


def test_validation_compares_fillings_with_what_the_reference_has_there(monkeypatch):
    answers = {"idiot": " person ", "shitty": " good ", "stupid fool": ""}
    scores, asked = judged(monkeypatch, answers)
    assert scores == {
        "exact": [1.0, 0.0, 1.0],
        "chrF": [1.0, pytest.approx(sentence_chrf(" good ", [" bad "]).score / 100), 1.0],
    }
    assert asked == ["this", "this person wrote a", "You"]
    scores, _ = judged(monkeypatch, {**answers, "stupid fool": " you"})
    assert scores["chrF"][2] == 0.0


def test_whole_sentences_are_filled_from_left_to_right(monkeypatch, tmp_path):
    ratio_suite.install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    answers = {"idiot": " human ", "shitty": " good ", "stupid fool": ""}
    scores, asked = judged(monkeypatch, answers, whole_sentences=True)
    assert asked[3:] == ["this", "You", "this human wrote a"]
    # "this human wrote a good text" is 28 characters long, the reference 28; the suite adds one.
    assert scores["SIM"] == [pytest.approx(29 / 29), 1.0]
    assert scores["J"] == scores["SIM"]
    scores, _ = judged(monkeypatch, {**answers, "idiot": " "}, whole_sentences=True)
    assert scores["J"] == [pytest.approx((len("this wrote a good text") + 1) / 29), 1.0]


def test_a_training_is_validated_on_held_out_holes(setting):
    made = recipe(
        setting,
        training={"stop_after_steps": 4},
        validation={"every_steps": 2, "pairs": 3},
    )
    made["corpus"]["sources"][0]["dev_split"] = True
    out = setting[""] / "validated"
    train_fim(made, setting["data"], out, embedded=setting["model"])
    log = json.loads((out / "log.json").read_text())
    scores = [row["eval_chrF"] for row in log if "eval_chrF" in row]
    assert len(scores) == 2
    assert json.loads((out / "result.json").read_text())["eval_chrF"] == max(scores)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"fim": {"cut_show": 0.5}}, r"fim\.cut_show.*did you mean 'fim\.cut_shown'"),
        ({"fim": {"spm": 1.5}}, r"fim\.spm: .*less than or equal to 1"),
        ({"fim": {"family": "starcode"}}, "starcode.*did you mean 'starcoder'"),
        ({"base": {"name": "some/model"}}, "some/model.* does not tell"),
        ({"fim": {"most_changed": 0.0, "plain": 0.0}}, "pairs give no holes"),
    ],
)
def test_a_wrong_recipe_is_refused_before_a_model_is_loaded(setting, tables, message):
    with pytest.raises(CivillyError, match=message):
        train(setting, "wrong", **tables)


def test_pairs_without_holes_cannot_validate():
    made = FimRecipe.parse({"seed": 1, "corpus": {}}, "it")
    with pytest.raises(DataError, match="has a hole"):
        validation.hole_validator(None, GOLD[2:], made, FORMATS["civilly"])  # type: ignore[arg-type]


def test_the_recipe_of_the_shipped_adapter_is_sound():
    made = FimRecipe.parse(read_recipe(ROOT / "recipes" / "fim.toml"), "it")
    assert made.family is FORMATS["civilly"]
    run = Path(str(made.adapter.start)).parent  # as its own recipe's comment calls it
    assert f"-o {run}" in (ROOT / "recipes" / f"{run.name}.toml").read_text("utf-8")


def test_the_shipped_adapter_or_how_to_make_it():
    try:
        folder = shipped_adapter("fim")
    except ModelError as error:
        assert "civilly train fim recipes/fim.toml" in str(error)
    else:
        assert (
            "/"
            not in json.loads((folder / "adapter_config.json").read_text())[
                "base_model_name_or_path"
            ]
        )
        assert (folder / "card.md").exists()
        assert load_file(folder / "adapter_model.safetensors")
