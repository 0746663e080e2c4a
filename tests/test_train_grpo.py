"""GRPO: its loss against TRL's, sampling, learning towards a reward, and resuming."""

import copy
import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import tiny_gemma
import tiny_models
from civilly.errors import CivillyError, DataError, UnknownNameError
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.train.base_model import load_trainable
from civilly.train.prefer.grpo import Whole, advantages, grpo_loss, k3
from civilly.train.prefer.grpo_recipe import GrpoRecipe, GrpoSettings
from civilly.train.prefer.rollouts import sample_groups
from civilly.train.prefer.run import train_prefer
from civilly.train.prefer.token_logprobs import Start, token_logprobs
from civilly.train.recipe import AdapterSettings, BaseSettings
from civilly.types import Text

pytest.importorskip("peft")

TEXTS = [Text("you idiot", "en"), Text("what a stupid idea, really", "en")]
BASES = ("gemma", "qwen3", "mt5")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("grpo")
    return {
        "gemma": tiny_models.gemma(root / "gemma"),
        "qwen3": tiny_models.qwen3(root / "qwen3"),
        "mt5": tiny_models.mt5(root / "mt5"),
        "embedded": tiny_gemma.save(root / "embedded"),
    }


def loaded(folders, name, **adapter):
    settings = AdapterSettings(rank=4, alpha=8, **adapter)
    if name == "embedded":
        return load_trainable(BaseSettings(), settings, "fp32", folders[name])
    return load_trainable(BaseSettings(name=str(folders[name])), settings, "fp32")


def shaken(trainable, seed=0, size=0.3):
    """The model with other weights than those that it starts with."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for each in trainable.model.parameters():
            if each.requires_grad:
                each.add_(size * torch.randn_like(each))


def as_rows(rollouts):
    return [{"prompt": r.prompt, "answer": r.answer, "input_ids": r.prompt} for r in rollouts]


# The loss against TRL


def of_trl(now, old, reference, mask, gain, settings, longest):
    """The loss that TRL's trainer computes of the same numbers, on a model that says them."""
    trl = pytest.importorskip("trl")
    kind = {"token": "bnpo", "sequence": "grpo", "constant": "dr_grpo"}[settings.average]
    trainer = SimpleNamespace(
        beta=settings.kl,
        epsilon_low=settings.clip_low,
        epsilon_high=settings.clip_high,
        loss_type=kind,
        importance_sampling_level=settings.ratio,
        max_completion_length=longest,
        current_gradient_accumulation_steps=1,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        aux_loss_enabled=False,
        use_vllm=False,
        _entropy_bonus_enabled=False,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False),
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(
            gather=lambda each: each, reduce=lambda each, **_: each, num_processes=1
        ),
        _metrics={"train": __import__("collections").defaultdict(list)},
        _get_per_token_logps_and_entropies=lambda *_, **__: (now, torch.zeros_like(now), None),
    )
    inputs = {
        "prompt_ids": torch.zeros(len(now), 1),
        "prompt_mask": torch.ones(len(now), 1),
        "completion_ids": torch.zeros_like(now),
        "completion_mask": mask,
        "advantages": gain,
        "old_per_token_logps": old,
        "ref_per_token_logps": reference,
    }
    return trl.GRPOTrainer._compute_loss(trainer, None, inputs)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("ratio", ["token", "sequence"])
@pytest.mark.parametrize("average", ["token", "sequence", "constant"])
def test_the_loss_and_its_gradient_are_those_of_trl(folders, name, ratio, average):
    """Of a tiny model that has gone on since it sampled, so that ratios are clipped."""
    low, high = {"token": (0.2, 0.28), "sequence": (3e-4, 4e-4)}[ratio]
    settings = GrpoSettings(
        samples=3, ratio=ratio, average=average, clip_low=low, clip_high=high, kl=0.1
    )
    trainable = loaded(folders, name)
    rows = as_rows(sample_groups(trainable, trainable.model, TEXTS, settings, 1))
    trainable.model.eval()
    reference, mask = token_logprobs(trainable, trainable.model, rows)
    shaken(trainable, 1, 0.05)
    old, _ = token_logprobs(trainable, trainable.model, rows)
    shaken(trainable, 2, 0.05)
    now, _ = token_logprobs(trainable, trainable.model, rows)
    gain = torch.tensor([1.2, -0.7, -0.5, 0.3, 0.9, -1.2])
    whole = Whole(len(rows), int(mask.sum()), 17)
    ours = grpo_loss(now, old.detach(), reference.detach(), mask, gain, settings, whole)
    theirs = of_trl(now, old.detach(), reference.detach(), mask, gain, settings, 17)
    assert ours.loss.item() == pytest.approx(theirs.item(), abs=1e-5)
    assert ours.clipped > 0
    for mine, other in zip(
        *(torch.autograd.grad(loss, now, retain_graph=True) for loss in (ours.loss, theirs)),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("average", ["token", "sequence", "constant"])
def test_parts_of_a_batch_add_up_to_the_whole(average):
    torch.manual_seed(0)
    now, old, reference = (-torch.rand(6, 5) for _ in range(3))
    mask = (torch.arange(5) < torch.tensor([[5], [2], [3], [1], [4], [5]])).float()
    gain, settings = torch.randn(6), GrpoSettings(average=average)
    whole = Whole(6, int(mask.sum()), 9)

    def loss(rows):
        pieces = (each[rows] for each in (now, old, reference, mask, gain))
        return grpo_loss(*pieces, settings, whole).loss.item()

    parts = loss(slice(0, 2)) + loss(slice(2, 6))
    assert parts == pytest.approx(loss(slice(0, 6)), abs=1e-6)


def test_advantages_by_hand():
    rewards = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
    one = torch.ones(1)
    found = advantages(rewards, one, 2, GrpoSettings(scale="none"))
    assert found.tolist() == [-1, 1, -1, 1]
    found = advantages(rewards, one, 2, GrpoSettings(scale="group"))
    np.testing.assert_allclose(found, np.array([-1, 1, -1, 1]) / np.sqrt(2), rtol=1e-3)
    found = advantages(rewards, one, 2, GrpoSettings(scale="batch"))
    np.testing.assert_allclose(
        found, np.array([-1, 1, -1, 1]) / np.std([1, 3, 5, 7], ddof=1), rtol=1e-3
    )
    flat = advantages(torch.full((4, 1), 0.7), one, 4, GrpoSettings())
    assert flat.abs().max() < 1e-3  # nothing to be learnt from


def test_scaled_rewards_weigh_the_same_whatever_their_size():
    """Standardised in their group, added up by their weights, standardised in the batch."""
    rng = np.random.default_rng(0)
    rewards, weights = rng.random((6, 2)) * [1, 1000], np.array([1.0, 0.5])
    grouped = rewards.reshape(2, 3, 2)
    centred = grouped - grouped.mean(1, keepdims=True)
    scaled = (centred / grouped.std(1, ddof=1, keepdims=True)).reshape(6, 2) @ weights
    expected = scaled / scaled.std(ddof=1)
    settings = GrpoSettings(several="scale_each")
    found = advantages(torch.tensor(rewards), torch.tensor(weights), 3, settings)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_the_divergence_is_that_of_the_distributions():
    """k3 of samples comes to Σ p log(p/q)."""
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    drawn = torch.multinomial(p, 200_000, replacement=True, generator=torch.manual_seed(0))
    found = k3(p.log()[drawn], q.log()[drawn])
    assert found.min() >= 0
    assert found.mean().item() == pytest.approx(float((p * (p / q).log()).sum()), rel=0.02)


# Sampling


@pytest.mark.parametrize("name", BASES)
def test_log_probabilities_are_those_of_the_plain_model(folders, name):
    """Without padding, one answer at a time, through all positions."""
    trainable = loaded(folders, name)
    shaken(trainable)
    rollouts = sample_groups(trainable, trainable.model, TEXTS, GrpoSettings(samples=2), 3)
    model = trainable.model.eval()
    found, mask = token_logprobs(trainable, model, as_rows(rollouts))
    for row, rollout in enumerate(rollouts):
        prompt, answer = torch.tensor([rollout.prompt]), torch.tensor([rollout.answer])
        if trainable.encoder_decoder:
            begin = torch.tensor([[model.config.decoder_start_token_id]])
            said = torch.cat([begin, answer[:, :-1]], 1)
            logits = model(input_ids=prompt, decoder_input_ids=said).logits[0]
        else:
            logits = model(input_ids=torch.cat([prompt, answer], 1)).logits[
                0, -len(answer[0]) - 1 : -1
            ]
        expected = logits.log_softmax(-1).gather(1, answer[0][:, None])[:, 0]
        torch.testing.assert_close(found[row][mask[row] > 0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", BASES)
def test_samples_follow_the_model_itself(folders, name):
    """At a temperature near 0 they are what it says greedily, whatever leaves the batch before."""
    trainable = loaded(folders, name)
    shaken(trainable)
    settings = GrpoSettings(samples=3, temperature=1e-4)
    rollouts = sample_groups(trainable, trainable.model, TEXTS, settings, 5)
    model = trainable.model.eval()
    for at, text in enumerate(TEXTS):
        prompt = trainable.encoding.prompts([tuned_prompt(text.text, text.lang)])[0]
        limit = 16 + int(1.3 * len(prompt))
        ids = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=limit, do_sample=False, num_beams=1,
            eos_token_id=trainable.end, pad_token_id=trainable.pad,
        )[0].tolist()  # fmt: skip
        expected = ids[1:] if trainable.encoder_decoder else ids[len(prompt) :]
        for rollout in rollouts[3 * at : 3 * at + 3]:
            assert rollout.text == text
            assert rollout.answer == expected


def test_the_first_token_is_drawn_as_often_as_it_is_probable(folders):
    trainable = loaded(folders, "gemma")
    shaken(trainable, size=0.1)
    settings = GrpoSettings(samples=600)
    rollouts = sample_groups(trainable, trainable.model, TEXTS[:1], settings, 0)
    first = torch.tensor([rollout.answer[0] for rollout in rollouts])
    logits = trainable.model(input_ids=torch.tensor([rollouts[0].prompt])).logits[0, -1]
    wanted = logits.softmax(-1)
    shares = torch.bincount(first, minlength=len(wanted)) / len(first)
    top = wanted.argmax()
    error = (wanted[top] * (1 - wanted[top]) / len(first)) ** 0.5
    assert abs(shares[top] - wanted[top]) < 4 * error
    likely = sample_groups(
        trainable, trainable.model, TEXTS[:1], GrpoSettings(samples=100, top_p=0.2), 0
    )
    kept = wanted.sort(descending=True).values.cumsum(0)
    allowed = int((kept < 0.2).sum()) + 1
    assert {r.answer[0] for r in likely} <= set(wanted.topk(allowed).indices.tolist())


def test_the_same_seed_gives_the_same_samples(folders):
    trainable = loaded(folders, "embedded")
    outputs = [
        [r.answer for r in sample_groups(trainable, trainable.model, TEXTS, GrpoSettings(), seed)]
        for seed in (1, 1, 2)
    ]
    assert outputs[0] == outputs[1] != outputs[2]


def test_the_start_is_put_back_for_a_while(folders):
    trainable = loaded(folders, "gemma")
    start = Start(trainable.model)
    rollouts = sample_groups(trainable, trainable.model, TEXTS, GrpoSettings(samples=2), 3)
    rows = as_rows(rollouts)
    trainable.model.eval()
    before, _ = token_logprobs(trainable, trainable.model, rows)
    shaken(trainable)
    after, _ = token_logprobs(trainable, trainable.model, rows)
    with start.put_back():
        again, _ = token_logprobs(trainable, trainable.model, rows)
    now, _ = token_logprobs(trainable, trainable.model, rows)
    torch.testing.assert_close(again, before, atol=0, rtol=0)
    torch.testing.assert_close(now, after, atol=0, rtol=0)
    assert (after - before).abs().max() > 1e-3


# Runs

RECIPE = {
    "seed": 7,
    "loss": {"name": "grpo", "texts": 2, "samples": 4, "kl": 0.01},
    "rewards": [{"name": "length", "options": {"shortest": 0.9, "longest": 1.0}}],
    "corpus": {
        "leaks": "take_out",
        "sources": [{"name": "a", "kind": "authored", "path": None, "licence": "Apache-2.0"}],
    },
    "adapter": {"rank": 4, "alpha": 8},
    "training": {"steps": 6, "learning_rate": 1e-2, "save_steps": 2, "batch_size": 3},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("grpo-run")
    pairs = root / "pairs"
    pairs.mkdir()
    with (pairs / "en.jsonl").open("w") as file:
        for i in range(24):
            word = "abcdefghijklmnopqrstuvwx"[i] * (i % 4 + 2)
            file.write(json.dumps({"toxic": f"{word} idiot", "neutral": word}) + "\n")
    (root / "data" / "parallel").mkdir(parents=True)
    with gzip.open(root / "data" / "parallel" / "multiparadetox_dev.jsonl.gz", "wt"):
        pass
    return root


def recipe(place, **tables):
    made = copy.deepcopy(RECIPE)
    made["corpus"]["sources"][0]["path"] = str(place / "pairs")
    for name, table in tables.items():
        made[name] = {**made.get(name, {}), **table} if isinstance(table, dict) else table
    return made


def run(place, folders, name, tables=None, base="embedded", **options) -> Path:
    made = recipe(place, **(tables or {}))
    if base != "embedded":
        made["base"] = {"name": str(folders[base])}
    train_prefer(made, place / "data", place / name, embedded=folders["embedded"], **options)
    return place / name


def steps(folder):
    return [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]


def weights(folder):
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def equal(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        np.testing.assert_array_equal(right[name], value, err_msg=name)


@pytest.mark.parametrize("base", ["embedded", "qwen3", "mt5"])
def test_a_stopped_run_resumes_to_the_same_weights(place, folders, base):
    whole = run(place, folders, f"whole-{base}", base=base)
    early = {"training": {"stop_after_steps": 3}}
    run(place, folders, f"stopped-{base}", early, base)
    stopped = place / f"stopped-{base}"
    (stopped / "steps.jsonl").open("a").write('{"step": 4, "torn": true}\n')  # killed after it
    run(place, folders, f"stopped-{base}", base=base, resume=True)
    equal(weights(whole), weights(stopped))

    def but_time(row):
        return {name: value for name, value in row.items() if name != "seconds"}

    assert list(map(but_time, steps(whole))) == list(map(but_time, steps(stopped)))
    assert sorted(path.name for path in whole.glob("checkpoint-*")) == [
        f"checkpoint-{step}" for step in (2, 4, 6)
    ]
    equal(weights(whole), weights(whole / "checkpoint-6"))
    assert any(value.any() for name, value in weights(whole).items() if "lora_B" in name)


def test_each_step_tells_what_it_saw(place, folders):
    last = steps(run(place, folders, "told"))[-1]
    assert last["step"] == 6
    for name in ("reward", "unchanged", "different", "distinct_words", "flat", "reward/length"):
        assert 0 <= last[name] <= 1, name
    assert last["kl"] > 0
    assert last["tokens"] >= 1
    assert steps(place / "told")[0]["kl"] == pytest.approx(0, abs=1e-6)  # it is the start


def test_a_reward_is_learnt(place, folders):
    """Answers of about the text's length: a random model knows nothing of it."""
    tables = {
        "training": {"steps": 30, "save_steps": 30, "learning_rate": 3e-2, "batch_size": 16},
        "loss": {"samples": 8, "kl": 0.0},
        "rewards": [{"name": "length", "options": {"shortest": 0.2, "longest": 1.0}}],
    }
    seen = steps(run(place, folders, "learnt", tables, "gemma"))
    first, last = (np.mean([row["reward"] for row in part]) for part in (seen[:5], seen[-5:]))
    assert last > first + 0.05


@pytest.mark.parametrize(
    ("tables", "error", "said"),
    [
        ({"rewards": [{"name": "readr"}]}, UnknownNameError, "reader"),
        ({"rewards": []}, DataError, "rewards"),
        ({"loss": {"samples": 1}}, DataError, "samples"),
        ({"loss": {"beta": 1.0}}, UnknownNameError, "kl"),
        ({"audit": {"patience": 1}}, DataError, "referee"),
    ],
)
def test_wrong_recipes_are_refused(place, folders, tables, error, said):
    with pytest.raises(error, match=said):
        run(place, folders, "refused", tables)


def test_another_run_is_not_written_over(place, folders):
    run(place, folders, "first", {"training": {"steps": 1}})
    with pytest.raises(CivillyError, match="another run"):
        run(place, folders, "first", {"training": {"steps": 1}})
    with pytest.raises(DataError, match="loss"):
        run(place, folders, "first", {"training": {"steps": 1}, "loss": {"kl": 0.5}}, resume=True)


def test_the_recipes_that_ship_are_well_formed():
    from civilly.data.recipe_table import read_recipe

    for name in ("prefer_grpo", "gaming_grpo"):
        path = Path(__file__).parent.parent / "recipes" / f"{name}.toml"
        assert GrpoRecipe.parse(read_recipe(path), name).audit.referees
