"""What makes a training quick leaves what is learnt as it was."""

from __future__ import annotations

import copy
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tiny_gemma
import tiny_models
import tiny_qwen
from civilly.data.pairs import Pair
from civilly.engines.memory import keep_freed_memory
from civilly.errors import DataError, ModelError
from civilly.model import cache
from civilly.train import hardware
from civilly.train.answer_positions import AnswerPositions
from civilly.train.base_model import TrainableModel, encode, load_trainable
from civilly.train.examples import rewriting_examples
from civilly.train.hardware import Cores, computed_in
from civilly.train.recipe import EMBEDDED, LARGE, AdapterSettings, BaseSettings, SftRecipe
from civilly.train.run_folder import read_json
from civilly.train.sft import train_sft
from civilly.train.trainer import IGNORED, build_trainer, collator
from civilly.types import Prompt

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

PAIRS = [
    Pair("1", "en", "You are a bad, bad idiot", ("You are wrong",)),
    Pair("2", "en", "a", ("aaaa",)),
    Pair("3", "ru", "zz top", ("zz",)),
]
RECIPE = {
    "seed": 7,
    "corpus": {
        "leaks": "take_out",
        "sources": [{"name": "pairs", "kind": "authored", "licence": "Apache-2.0"}],
    },
    "adapter": {"rank": 4, "alpha": 8},
    "training": {"batch_size": 4, "learning_rate": 1e-2, "save_steps": 3},
}


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gemma.save(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module", autouse=True)
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    root = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.CACHE_VARIABLE, str(root / "cache"))
        tiny_qwen.install(root / "packages").use(patch.setattr)
        yield


def trainable_of(name: str, gemma: Path, **adapter: Any) -> TrainableModel:
    """A base with an adapter that changes something already."""
    torch.manual_seed(0)
    made = load_trainable(BaseSettings(name=name), AdapterSettings(**adapter), "fp32", gemma)
    with torch.no_grad():
        for weight in made.model.parameters():
            if weight.requires_grad:
                weight.normal_(0, 0.1)
    return made


# The output layer.


@pytest.mark.parametrize("adapter", [{}, {"targets": ["q_proj", "lm_head"]}, {"kind": "full"}])
@pytest.mark.parametrize("name", [EMBEDDED, LARGE])
def test_answers_alone_give_the_loss_and_gradients_of_all_positions(
    name: str, adapter: dict[str, Any], gemma: Path, tmp_path: Path
) -> None:
    made = trainable_of(name, gemma, **adapter)
    rows = encode(rewriting_examples(PAIRS), made)
    trainer = build_trainer(SftRecipe.parse(RECIPE, "x"), made, rows, tmp_path)
    batch = collator(made)(rows)
    answers = [row["answer"] for row in rows]
    seen: list[Any] = []
    layer = made.model.get_output_embeddings()
    watching = layer.register_forward_hook(lambda _, __, output: seen.append(output.shape))
    loss = trainer.compute_loss(made.model, dict(batch), num_items_in_batch=None)
    watching.remove()
    loss.backward()
    vocabulary = made.model.config.get_text_config().vocab_size
    assert seen == [(sum(map(len, answers)), vocabulary)]  # asked for nothing else
    gradients = {n: p.grad.clone() for n, p in made.model.named_parameters() if p.grad is not None}
    made.model.zero_grad()
    # By hand: every row by itself, unpadded, all positions.
    total = 0.0
    for row, answer in zip(rows, answers, strict=True):
        logits = made.model(input_ids=torch.tensor([row["prompt"] + answer])).logits[0]
        said = torch.log_softmax(logits, -1)[len(row["prompt"]) - 1 : -1]
        total -= said[torch.arange(len(answer)), torch.tensor(answer)].sum()
    expected = total / sum(map(len, answers))
    expected.backward()
    torch.testing.assert_close(loss, expected)
    assert gradients
    for name_, weight in made.model.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(gradients[name_], weight.grad, atol=1e-5, rtol=1e-3)
            assert weight.grad.abs().max() > 0, name_


@pytest.mark.parametrize("name", [EMBEDDED, LARGE])
def test_generation_is_left_alone(name: str, gemma: Path) -> None:
    made = trainable_of(name, gemma)
    (ids,) = made.encoding.prompts([Prompt.of("You are")])
    how = {"max_new_tokens": 6, "do_sample": False}

    def said() -> list[int]:
        with torch.inference_mode():
            return list(made.model.generate(torch.tensor([ids]), **how)[0].tolist())

    watched = said()
    assert made.answers is not None
    with pytest.raises(RuntimeError, match="stop"), made.answers.only(torch.ones(1, 1).bool()):
        raise RuntimeError("stop")
    assert said() == watched  # nothing is wanted any more
    layer = made.model.get_output_embeddings()
    layer._forward_pre_hooks.clear()
    assert said() == watched
    assert len(watched) > len(ids)


def test_the_layer_is_given_what_is_wanted_row_after_row_without_holes() -> None:
    class Model(torch.nn.Module):  # type: ignore[misc]
        def get_output_embeddings(self) -> Any:
            return layer

    layer = torch.nn.Identity()
    answers = AnswerPositions(Model())
    hidden = torch.arange(24.0).reshape(2, 4, 3)
    sliced = hidden[:, 1:]
    due = torch.tensor([[False, True, False], [True, True, False]])
    with answers.only(due):
        assert layer(sliced).tolist() == [[6, 7, 8], [15, 16, 17], [18, 19, 20]]
        other = layer(hidden)  # another number of positions: all of them
    assert torch.equal(other, hidden)
    assert not sliced.is_contiguous()
    assert layer(sliced).is_contiguous()
    assert torch.equal(layer(sliced), sliced)


# Which layers.


def adapted(made: TrainableModel) -> set[str]:
    names = {n for n, p in made.model.named_parameters() if p.requires_grad and "lora_A" in n}
    return {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in names}


ALL = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
       "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}  # fmt: skip


@pytest.mark.parametrize(
    ("targets", "kinds"),
    [
        ("all-linear", ALL),
        (["q_proj", "down_proj"], {"self_attn.q_proj", "mlp.down_proj"}),
        (["self_attn.v_proj", "proj"], {"self_attn.v_proj"}),  # ends of names, as peft reads them
        (r".*\.mlp\.(up|down)_proj", {"mlp.up_proj", "mlp.down_proj"}),
    ],
)
@pytest.mark.parametrize(("name", "layers"), [(EMBEDDED, {5, 6}), (LARGE, {1, 2})])
def test_the_upper_layers_alone_are_adapted(
    name: str, layers: set[int], targets: Any, kinds: set[str], gemma: Path
) -> None:
    found = adapted(trainable_of(name, gemma, layers="upper:2", targets=targets))
    assert found == {f"model.layers.{layer}.{kind}" for layer in layers for kind in kinds}


def test_all_layers_are_those_of_the_model(gemma: Path) -> None:
    everything = adapted(trainable_of(LARGE, gemma))
    assert everything == adapted(trainable_of(LARGE, gemma, layers="upper:3"))
    assert len(everything) == 3 * len(ALL)


def test_the_upper_layers_of_other_models(tmp_path: Path) -> None:
    """Of an encoder and of a decoder; of a text model beside a vision tower."""
    base = BaseSettings(name=str(tiny_models.MODELS["t5"](tmp_path / "t5")))
    found = adapted(load_trainable(base, AdapterSettings(layers="upper:1"), "fp32"))
    assert {name.partition(".layer.")[0] for name in found} == {
        "encoder.block.1", "decoder.block.1",
    }  # fmt: skip
    base = BaseSettings(name=str(tiny_models.MODELS["gemma3_with_vision"](tmp_path / "vision")))
    settings = AdapterSettings(layers="upper:1", targets=r".*language_model.*_proj")
    found = adapted(load_trainable(base, settings, "fp32"))
    assert found
    assert all("language_model.layers." in name for name in found)
    assert len({name.partition(".layers.")[2].partition(".")[0] for name in found}) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": "upper:8"}, r"upper 8 layers of a model that has 7.*upper:7.*all"),
        ({"layers": "upper:2", "targets": ["query"]}, r"No matrix of the upper 2 layers.*targets"),
    ],
)
def test_layers_that_are_not_there(settings: dict[str, Any], message: str, gemma: Path) -> None:
    with pytest.raises(ModelError, match=message):
        trainable_of(EMBEDDED, gemma, **settings)


@pytest.mark.parametrize("layers", ["upper:0", "upper", "lower:3", "upper:-1", "some"])
def test_layers_that_mean_nothing(layers: str) -> None:
    with pytest.raises(DataError, match=r"adapter\.layers"):
        SftRecipe.parse(RECIPE | {"adapter": {"layers": layers}}, "the recipe")


# The number format.


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets how long a product takes in float32 and in bfloat16."""
    if torch.cuda.is_available():
        pytest.skip("a GPU decides otherwise")

    def times(usual: float, half: float) -> None:
        computed_in.cache_clear()
        took = {torch.float32: usual, torch.bfloat16: half}
        monkeypatch.setattr(hardware, "_seconds", lambda dtype: took[dtype])

    yield times
    computed_in.cache_clear()


def test_auto_is_what_this_processor_multiplies_clearly_faster(faster: Any) -> None:
    assert (computed_in("fp32"), computed_in("bf16")) == ("fp32", "bf16")
    assert computed_in("auto") in ("fp32", "bf16")
    for usual, half, expected in ((3.0, 1.0, "bf16"), (1.0, 0.9, "fp32"), (1.0, 5.0, "fp32")):
        faster(usual, half)
        assert computed_in("auto") == expected


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of pairs, and a data folder."""
    root = tmp_path_factory.mktemp("corpus")
    (root / "pairs").mkdir()
    with (root / "pairs" / "en.jsonl").open("w") as file:
        for i in range(24):
            word = "abcdefghijklmnopqrstuvwx"[i] * (i % 4 + 2)
            file.write(json.dumps({"toxic": f"{word} idiot", "neutral": word}) + "\n")
    (root / "data" / "parallel").mkdir(parents=True)
    with gzip.open(root / "data" / "parallel" / "multiparadetox_dev.jsonl.gz", "wt"):
        pass
    return root / "pairs", root / "data"


def recipe(corpus: tuple[Path, Path], **training: Any) -> dict[str, Any]:
    made = copy.deepcopy(RECIPE)
    made["corpus"]["sources"][0]["path"] = str(corpus[0])
    made["training"] |= training
    return made


def test_auto_is_recorded_and_kept_when_a_run_goes_on(
    faster: Any, corpus: tuple[Path, Path], gemma: Path, tmp_path: Path
) -> None:
    """On a machine that is busier by then, or another one."""

    def run(name: str, **training: Any) -> Path:
        made = recipe(corpus, **training)
        return train_sft(made, corpus[1], tmp_path / name, embedded=gemma, resume=True)

    def weights(folder: Path) -> dict[str, Any]:
        return load_file(folder / "adapter_model.safetensors")

    faster(3.0, 1.0)
    whole = run("whole", precision="auto")
    run("broken", precision="auto", stop_after_steps=3)
    faster(1.0, 3.0)
    resumed = run("broken", precision="auto")
    for name in ("whole", "broken"):
        noted = read_json(tmp_path / name / "config.json")
        assert (noted["recipe"]["training"]["precision"], noted["computed_in"]) == ("auto", "bf16")
    for name, weight in weights(whole).items():
        np.testing.assert_array_equal(weights(resumed)[name], weight)
    exact = run("exact", precision="fp32")
    assert read_json(tmp_path / "exact" / "config.json")["computed_in"] == "fp32"
    assert any((weights(exact)[name] != weight).any() for name, weight in weights(whole).items())


def test_a_run_that_an_earlier_version_began_goes_on(
    corpus: tuple[Path, Path], gemma: Path, tmp_path: Path
) -> None:
    """Its record lacks the settings that came later."""
    first = recipe(corpus, stop_after_steps=3)
    train_sft(first, corpus[1], tmp_path / "run", embedded=gemma)
    path = tmp_path / "run" / "config.json"
    noted = json.loads(path.read_text())
    del noted["recipe"]["marked"], noted["recipe"]["adapter"]["layers"], noted["computed_in"]
    path.write_text(json.dumps(noted))
    made = train_sft(recipe(corpus), corpus[1], tmp_path / "run", embedded=gemma, resume=True)
    assert (made / "adapter_model.safetensors").exists()
    with pytest.raises(DataError, match="what differs: adapter"):
        other = recipe(corpus) | {"adapter": {**RECIPE["adapter"], "layers": "upper:1"}}
        train_sft(other, corpus[1], tmp_path / "run", embedded=gemma, resume=True)


# Cores.

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Machine:
    """Four cores, whose clocks stand where a test puts them."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.state = folder / "stat"
        self.clock = self.own = self.busy = 0.0
        self.write()
        patch.setattr(hardware, "_STATE", self.state)
        patch.setattr(hardware.time, "monotonic", lambda: self.clock)
        patch.setattr(hardware.time, "process_time", lambda: self.own)
        patch.setattr(hardware.os, "cpu_count", lambda: 4)

    def write(self) -> None:
        """As Linux counts: user nice system idle iowait irq softirq steal guest guest_nice."""
        user, steal = int(0.75 * self.busy * TICKS), int(0.25 * self.busy * TICKS)
        self.state.write_text(f"cpu  {user} 0 0 987654 4321 0 0 {steal} {user} 0\ncpu0 1 1 1\n")

    def goes_on(self, seconds: float, own: float, others: float) -> None:
        """Time passes, in which this process and others keep so many cores busy."""
        self.clock += seconds
        self.own += seconds * own
        self.busy += seconds * (own + others)
        self.write()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("own", "others", "allowed", "free"),
    [
        (0.0, 0.0, 4, 4),
        (4.0, 0.0, 4, 4),  # busy, but with nothing else
        (2.0, 1.0, 4, 3),
        (2.0, 1.2, 4, 3),  # a little of a core is not worth a thread less
        (1.0, 1.5, 4, 2),
        (1.0, 3.0, 4, 1),
        (0.5, 3.5, 4, 1),
        (0.1, 9.0, 4, 1),  # never none
        (1.0, 1.0, 2, 2),  # and no more than are allowed
        (1.0, 3.0, 2, 1),
    ],
)
def test_cores_that_others_leave_free(
    machine: Machine, own: float, others: float, allowed: int, free: int
) -> None:
    machine.goes_on(1000, 1, 3)  # before anybody asks
    cores = Cores(allowed)
    machine.goes_on(20, own, others)
    assert cores.free() == free


def test_each_answer_is_about_the_time_since_the_last(machine: Machine) -> None:
    cores = Cores(4)
    found = []
    for others in (3.0, 0.0, 2.0):
        machine.goes_on(10, 1, others)
        found.append(cores.free())
    assert found == [1, 4, 2]


def test_where_nothing_is_known_all_cores_are_used(machine: Machine) -> None:
    cores = Cores(3)
    machine.busy += 100  # the clock stands still
    machine.write()
    assert cores.free() == 3
    machine.state.unlink()  # not Linux
    assert cores.free() == 3
    assert Cores(2).free() == 2


def test_the_real_reading_is_within_what_is_allowed() -> None:
    cores = Cores(2)
    sum(range(200_000))
    assert cores.free() in (1, 2)


def test_freed_memory_may_be_kept_more_than_once() -> None:
    keep_freed_memory()
    keep_freed_memory()
    assert torch.ones(3_000_000).sum() == 3_000_000


def test_padding_has_no_label() -> None:
    """What is due follows from the labels: -100 is what transformers ignores."""
    assert IGNORED == -100
