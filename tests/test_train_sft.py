"""Fine-tuning on tiny models: they learn, and resume to the same weights."""

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
import torch
from safetensors.numpy import load_file

import tiny_gemma
import tiny_models
from civilly.data.corpus.build import build_corpus
from civilly.data.corpus.folder_writer import write_corpus
from civilly.data.pairs import Pair
from civilly.data.recipe_table import read_recipe
from civilly.data.split import dev_part
from civilly.engines.hf import HfEngine
from civilly.engines.hf_target import Target
from civilly.errors import CivillyError, DataError, LeakError, ModelError
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.model.adapter import load_change
from civilly.train.base_model import encode, load_trainable
from civilly.train.examples import rewriting_examples
from civilly.train.finetuning import tuning_pairs
from civilly.train.recipe import (
    AdapterSettings,
    BaseSettings,
    ValidationSettings,
)
from civilly.train.sft import train_sft
from civilly.train.trainer import IGNORED, answer_loss, collator
from civilly.types import GenerationOptions

pytest.importorskip("peft")

ROOT = Path(__file__).parent.parent
RECIPE = {
    "seed": 7,
    "corpus": {
        "leaks": "take_out",
        "longest_characters": 200,
        "sources": [
            {"name": "authored", "kind": "authored", "path": None, "licence": "Apache-2.0"}
        ],
    },
    "adapter": {"rank": 4, "alpha": 8},
    "training": {
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 1e-2,
        "warmup_ratio": 0.1,
        "save_steps": 5,
    },
}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("sft")
    pairs = root / "pairs"
    pairs.mkdir()
    with (pairs / "en.jsonl").open("w") as file:
        for i in range(30):
            word = "abcdefghijklmnopqrstuvwxyzabcd"[i] * (i % 4 + 2)
            file.write(json.dumps({"toxic": f"{word} idiot", "neutral": word}) + "\n")
    data = root / "data" / "parallel"
    data.mkdir(parents=True)
    with gzip.open(data / "multiparadetox_dev.jsonl.gz", "wt"):
        pass
    return root, pairs, data.parent, tiny_gemma.save(root / "model")


def recipe(setting, **tables) -> dict[str, Any]:
    made = copy.deepcopy(RECIPE)
    made["corpus"]["sources"][0]["path"] = str(setting[1])
    for table, fields in tables.items():
        made.setdefault(table, {}).update(fields)
    return made


def train(setting, name, tables=None, **options) -> Path:
    root, _, data, model = setting
    made = recipe(setting, **(tables or {}))
    return train_sft(made, data, root / name, embedded=model, **options)


def equal_weights(left: Path, right: Path) -> None:
    expected, actual = load_file(left), load_file(right)
    assert expected.keys() == actual.keys()
    for name, weight in expected.items():
        np.testing.assert_array_equal(actual[name], weight, err_msg=name)


@pytest.fixture(scope="module")
def whole(setting):
    return train(setting, "whole")


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in json.loads((run / "log.json").read_text()) if "loss" in row]


def test_the_loss_falls(whole):
    first, *_, last = losses(whole.parent)
    assert last < first
    config = json.loads((whole.parent / "config.json").read_text())
    assert config["examples"] == {"authored": {"en": sum(config["examples"]["authored"].values())}}
    assert config["recipe"]["training"]["weight_decay"] == 0.0  # defaults are written out


def test_a_built_corpus_is_trained_on(setting):
    """The same pairs, and those kept apart are what a run is validated on."""
    root, _, data, _ = setting
    made = recipe(setting)
    made["corpus"]["sources"][0]["dev_split"] = True
    built = build_corpus(made, data)
    write_corpus(built, root / "corpus", lambda text, lang: text)
    sources = [{"name": "built", "kind": "built", "path": str(root / "corpus")}]
    tables = {"corpus": {"sources": sources}, "training": {"stop_after_steps": 1}}
    run = train(setting, "from_built", tables).parent
    config = json.loads((run / "config.json").read_text())
    assert config["examples"] == {"authored": {"en": len(built.train)}}
    held_apart = tuning_pairs(
        build_corpus(recipe(setting, **tables), data).dev, data, ValidationSettings(pairs=9)
    )
    assert {dev_part(pair.id) for pair in held_apart} == {"tune"}
    assert not {pair.id for pair in held_apart} & {pair.id for pair in built.train}


@pytest.mark.parametrize("stop", [7, 12])
def test_a_stopped_run_resumes_to_the_same_weights(setting, whole, stop):
    """In the first epoch, and in the second, whose order it must draw again."""
    name = f"broken-{stop}"
    train(setting, name, {"training": {"stop_after_steps": stop}})
    with pytest.raises(CivillyError, match="already holds checkpoints"):
        train(setting, name)
    (setting[0] / name / "checkpoint-99").mkdir()  # killed while it was written
    resumed = train(setting, name, resume=True)
    equal_weights(whole / "adapter_model.safetensors", resumed / "adapter_model.safetensors")


def test_a_run_that_is_done_takes_no_further_step(setting):
    """Asked once more, and killed after the last step, before its weights were written."""
    tables = {"training": {"stop_after_steps": 5}}
    made = train(setting, "done", tables)
    first = (made / "adapter_model.safetensors").read_bytes()
    (made / "adapter_model.safetensors").write_bytes(b"not touched")
    assert train(setting, "done", tables, resume=True) == made
    assert (made / "adapter_model.safetensors").read_bytes() == b"not touched"
    (made.parent / "result.json").unlink()
    assert train(setting, "done", tables, resume=True) == made
    assert (made / "adapter_model.safetensors").read_bytes() == first


def test_a_run_is_not_resumed_with_another_recipe(setting):
    train(setting, "one", {"training": {"stop_after_steps": 1}})
    with pytest.raises(DataError, match=r"another recipe; what differs: training\."):
        train(setting, "one", {"training": {"learning_rate": 1e-3}}, resume=True)


def test_a_killed_run_resumes_to_the_same_weights(setting, whole):
    """A process that is killed hard between two checkpoints."""
    root, _, data, model = setting
    made, out = root / "killed.json", root / "killed"
    made.write_text(json.dumps(recipe(setting)))
    script = textwrap.dedent(f"""
        import json, os, pathlib
        from transformers import TrainerCallback
        from civilly.train.sft import train_sft
        class Kill(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if state.global_step == 8:
                    os.kill(os.getpid(), 9)
        content = json.loads(pathlib.Path({str(made)!r}).read_text())
        paths = [pathlib.Path(p) for p in ({str(data)!r}, {str(out)!r})]
        train_sft(content, *paths, embedded=pathlib.Path({str(model)!r}), callbacks=[Kill()])
    """)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert not (out / "adapter").exists()
    resumed = train(setting, "killed", resume=True)
    equal_weights(whole / "adapter_model.safetensors", resumed / "adapter_model.safetensors")


def test_a_run_goes_on_from_an_adapter(setting, whole):
    started = train(
        setting, "started",
        {"adapter": {"start": str(whole)}, "training": {"learning_rate": 1e-9, "epochs": 0.2}},
    )  # fmt: skip
    before = load_file(whole / "adapter_model.safetensors")
    after = load_file(started / "adapter_model.safetensors")
    for name, weight in before.items():
        np.testing.assert_allclose(after[name], weight, atol=1e-4, err_msg=name)
    with pytest.raises(ModelError, match="no adapter in 'nowhere'"):
        train(setting, "nowhere", {"adapter": {"start": "nowhere"}})


def test_accumulated_batches_are_one_large_batch(setting):
    """The loss is averaged over the tokens of the step, however it is cut."""
    steps = {"stop_after_steps": 1, "warmup_ratio": 0.0, "save_steps": 1}
    large = train(setting, "large", {"training": {**steps, "batch_size": 8}})
    parts = train(setting, "parts", {"training": {**steps, "batch_size": 2, "accumulation": 4}})
    one, two = (losses_at_first_step(folder.parent) for folder in (large, parts))
    assert one == pytest.approx(two, rel=1e-4)


def losses_at_first_step(run: Path) -> float:
    (state,) = run.glob("checkpoint-1/trainer_state.json")
    return json.loads(state.read_text())["log_history"][-1]["loss"]


@pytest.mark.parametrize("model", ["llama", "t5"])
@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
def test_any_model_learns_and_the_engine_takes_the_result(setting, tmp_path, model, kind):
    base = tiny_models.MODELS[model](tmp_path / "base")
    made = train(
        setting, f"{model}-{kind}",
        {"base": {"name": str(base)}, "adapter": {"kind": kind}, "training": {"epochs": 6}},
    )  # fmt: skip
    first, *_, last = losses(made.parent)
    assert last < first
    assert made.name == ("model" if kind == "full" else "adapter")
    engine = HfEngine(Target.parse(f"{made if kind == 'full' else base}?dtype=fp32"))
    prompts = [tuned_prompt("aaa idiot", "en")]
    adapter = None if kind == "full" else str(made)
    ((trained,),) = engine.generate(prompts, GenerationOptions(max_new_tokens=8, adapter=adapter))
    ((plain,),) = HfEngine(Target.parse(f"{base}?dtype=fp32")).generate(
        prompts, GenerationOptions(max_new_tokens=8)
    )
    assert trained.text != plain.text


@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
def test_what_was_trained_of_the_embedded_model_can_be_merged(setting, kind):
    """The merged weights answer as the trained model does, layer by layer."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = train(setting, f"embedded-{kind}", {"adapter": {"kind": kind}})
    base = AutoModelForCausalLM.from_pretrained(setting[3])
    ids = torch.arange(20, 40)[None]
    change, plain = load_change(made), load_file(setting[3] / "model.safetensors")
    if kind == "full":
        expected = AutoModelForCausalLM.from_pretrained(made)(ids).logits
    else:
        expected = PeftModel.from_pretrained(base, made).merge_and_unload()(ids).logits
    merged = AutoModelForCausalLM.from_pretrained(setting[3])
    untouched = merged(ids).logits
    merged.load_state_dict(
        {n: torch.from_numpy(change.merged(n, w)) for n, w in plain.items()}, strict=False
    )
    merged.tie_weights()
    torch.testing.assert_close(merged(ids).logits, expected, atol=2e-2, rtol=1e-2)
    assert not torch.allclose(untouched, expected, atol=2e-2)
    assert change.targets() <= plain.keys()


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("mt0_xl", "mt5"), ("gemma3_12b", "gemma3_with_vision"), ("qwen3_14b", "qwen3")],
)
def test_the_recipes_of_large_models_train_tiny_ones_of_their_architecture(
    setting, tmp_path, name, architecture
):
    content = read_recipe(ROOT / "recipes" / f"{name}.toml")
    assert "Hardware: one GPU" in (ROOT / "recipes" / f"{name}.toml").read_text("utf-8")
    base = tiny_models.MODELS[architecture](tmp_path / "base")
    mine = recipe(setting)
    mine["corpus"]["sources"][0]["dev_split"] = True
    content |= {"corpus": mine["corpus"], "base": {"name": str(base)}}
    content["training"] |= {"stop_after_steps": 2, "batch_size": 2}
    content["validation"] |= {"every_steps": 1, "pairs": 1}
    made = train_sft(content, setting[2], tmp_path / "run")
    assert len([r for r in json.loads((tmp_path / "run" / "log.json").read_text())
                if "eval_J" in r]) == 2  # fmt: skip
    if made.name == "adapter":
        trained = load_file(made / "adapter_model.safetensors")
        assert trained
        assert not [key for key in trained if "vision" in key]


@pytest.mark.parametrize("stopped", [False, True])
def test_validation_keeps_the_best_and_stops_when_nothing_gets_better(setting, stopped):
    """The suite scores every rewrite by how little of the word it repeats."""
    tables = {
        "corpus": {"sources": [{**RECIPE["corpus"]["sources"][0], "path": str(setting[1]),
                                "dev_split": True}]},
        "validation": {"every_steps": 2, "patience": 2, "pairs": 3},
        "training": {"learning_rate": 1e-9, "epochs": 20},
    }  # fmt: skip
    if stopped:
        early = tables["training"] | {"stop_after_steps": 5}
        train(setting, "validated-stopped", tables | {"training": early})
    made = train(setting, f"validated{'-stopped' * stopped}", tables, resume=stopped)
    log = json.loads((made.parent / "log.json").read_text())
    scores = [row["eval_J"] for row in log if "eval_J" in row]
    assert len(scores) == 3  # the first, and two that were no better
    assert json.loads((made.parent / "result.json").read_text())["eval_J"] == max(scores)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"training": {"batchsize": 3}},
            r"training\.batchsize.*did you mean 'training\.batch_size'",
        ),
        ({"training": {"batch_size": 0}}, "training.batch_size: .*greater than or equal to 1"),
        ({"training": {"epochs": "two"}}, "training.epochs: .*valid number"),
        ({"adapter": {"kind": "ia3"}}, "adapter.kind: .*'lora', 'dora' or 'full'"),
        ({"base": {"name": "no/such/folder"}}, "no/such/folder.* cannot be loaded"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(setting, tables, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CivillyError, match=message):
        train(setting, "wrong", tables)


def test_leaks_are_refused_unless_told_otherwise(setting):
    root, _, data, _ = setting
    official = data / "inputs" / "textdetox2025_test.tsv"
    official.parent.mkdir()
    try:
        repeated = "".join(f"{word * (3 + at)} IDIOT!\ten\n" for at, word in enumerate("bcd"))
        official.write_text(f"toxic_sentence\tlang\n{repeated}")
        with pytest.raises(LeakError, match=r"training row.* authored-en-00"):
            train(setting, "strict", {"corpus": {"leaks": "refuse"}})
        assert not list((root / "strict").glob("checkpoint*"))
        with pytest.raises(CivillyError, match=r"leaks: .*'refuse' or 'take_out'"):
            train(setting, "strict", {"corpus": {"leaks": "maybe"}})
    finally:
        official.unlink()
        official.parent.rmdir()


def test_only_the_answer_carries_loss(setting):
    trainable = load_trainable(BaseSettings(), AdapterSettings(), "fp32", setting[3])
    pairs = [Pair("1", "en", "bad idiot", ("bad",)), Pair("2", "en", "a", ("aaaa",))]
    batch = collator(trainable)(encode(rewriting_examples(pairs), trainable))
    for ids, labels, answer in zip(
        batch["input_ids"], batch["labels"], ("bad", "aaaa"), strict=True
    ):
        learned = [label for label in labels.tolist() if label != IGNORED]
        assert trainable.encoding.decode(learned, []) == answer
        assert learned[-1] == trainable.end
        assert ids.tolist()[-len(learned) :] == learned
    outputs = trainable.model(**{k: v for k, v in batch.items() if k != "labels"})
    whole = trainable.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    by_hand = torch.nn.functional.cross_entropy(
        torch.cat([whole.logits[0, -5:-1], whole.logits[1, -6:-1]]).float(),
        torch.cat([batch["labels"][0, -4:], batch["labels"][1, -5:]]),
    )
    torch.testing.assert_close(answer_loss(False)(outputs, batch["labels"]), by_hand)


def test_long_sentences_can_be_left_out_of_validations(setting, tmp_path):
    rows = [json.dumps({"toxic": "a" * n, "neutral": "a"}) + "\n" for n in range(1, 61)]
    (tmp_path / "en.jsonl").write_text("".join(rows))

    def held(longest: int | None) -> list[int]:
        made = recipe(setting)
        made["corpus"]["sources"][0] |= {"path": str(tmp_path), "dev_split": True}
        settings = ValidationSettings(pairs=30, longest_characters=longest)
        pairs = tuning_pairs(build_corpus(made, setting[2]).dev, setting[2], settings)
        return [len(pair.toxic) for pair in pairs]

    lengths = held(None)
    assert len(lengths) > 2
    assert held(lengths[-2]) == lengths[:-1]
    with pytest.raises(DataError, match="no pairs to validate on"):
        held(lengths[0] - 1)
