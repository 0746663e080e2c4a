"""Fine-tuning on a tiny model: it learns, and resumes to the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import tiny_gemma
from civilly.errors import CivillyError, LeakError

pytest.importorskip("peft")

RECIPE = """
seed = 7
[corpus]
leaks = "take_out"
longest_characters = 200
[[corpus.sources]]
name = "authored"
kind = "authored"
path = "{pairs}"
[adapter]
rank = 4
alpha = 8
dropout = 0.0
[training]
epochs = 3
batch_size = 4
learning_rate = 1e-2
warmup_ratio = 0.1
weight_decay = 0.0
save_steps = 5
{extra}
"""


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
    import gzip

    with gzip.open(data / "multiparadetox_dev.jsonl.gz", "wt"):
        pass
    return root, pairs, data.parent, tiny_gemma.save(root / "model")


def train(setting, name, extra="", **options) -> Path:
    from civilly.train.sft import train_sft

    root, pairs, data, model = setting
    recipe = root / "recipe.toml"
    recipe.write_text(RECIPE.format(pairs=pairs, extra=extra))
    return train_sft(recipe, data, root / name, model=model, **options)


@pytest.fixture(scope="module")
def whole(setting):
    return train(setting, "whole")


def test_the_loss_falls(whole):
    log = json.loads((whole.parent / "log.json").read_text())
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < losses[0] or len(losses) == 1
    assert json.loads((whole.parent / "config.json").read_text())["leaks_taken_out"] >= 0


def test_a_stopped_run_resumes_to_the_same_weights(setting, whole):
    train(setting, "broken", extra="stop_after_steps = 7")
    with pytest.raises(CivillyError, match="already holds checkpoints"):
        train(setting, "broken")
    resumed = train(setting, "broken", resume=True)
    expected = load_file(whole / "adapter_model.safetensors")
    actual = load_file(resumed / "adapter_model.safetensors")
    assert expected.keys() == actual.keys()
    for name, weight in expected.items():
        np.testing.assert_array_equal(actual[name], weight, err_msg=name)


def test_leaks_are_refused_unless_told_otherwise(setting):
    from civilly.train.sft import train_sft

    root, pairs, data, model = setting
    recipe = root / "strict.toml"
    strict = RECIPE.replace("take_out", "refuse").format(pairs=pairs, extra="")
    official = data / "inputs" / "textdetox2025_test.tsv"
    official.parent.mkdir()
    try:
        repeated = "".join(f"{word * (3 + at)} IDIOT!\ten\n" for at, word in enumerate("bcd"))
        official.write_text(f"toxic_sentence\tlang\n{repeated}")
        recipe.write_text(strict)
        with pytest.raises(LeakError, match=r"training row.* authored-en-00"):
            train_sft(recipe, data, root / "strict", model=model)
        assert not list((root / "strict").glob("checkpoint*"))
        recipe.write_text(strict.replace("refuse", "maybe"))
        with pytest.raises(CivillyError, match="leaks = 'maybe'"):
            train_sft(recipe, data, root / "strict", model=model)
    finally:
        official.unlink()
        official.parent.rmdir()


def test_only_the_answer_carries_loss(setting):
    from civilly.data.pairs import Pair
    from civilly.model.build import load_text_tokenizer
    from civilly.train.sft import IGNORED, encode_pairs

    tokenizer = load_text_tokenizer(setting[3])
    (row,) = encode_pairs([Pair("1", "en", "bad idiot", ("bad",), "x")], tokenizer)
    learned = [label for label in row["labels"] if label != IGNORED]
    assert tokenizer.decode(learned) == "bad"
    assert learned[-1] == tokenizer.special["<eos>"]
    assert row["input_ids"][-len(learned) :] == learned
    assert "bad idiot" in tokenizer.decode(row["input_ids"][: -len(learned)])
