"""The losses of learning from preferences: as TRL computes them, and as their papers say."""

from __future__ import annotations

import math
from typing import Any

import pytest

import tiny_models
from civilly.errors import UnknownNameError
from civilly.train.prefer.losses import PAIRED, UNPAIRED, Likelihood, loss_named

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from civilly.train.answer_positions import AnswerPositions  # noqa: E402
from civilly.train.base_model import TrainableModel  # noqa: E402
from civilly.train.prefer.likelihood import measured  # noqa: E402
from civilly.train.prefer.objective import PairedObjective, UnpairedObjective  # noqa: E402
from civilly.train.prefer.recipe import LossSettings  # noqa: E402
from civilly.train.prefer.rows import Row  # noqa: E402

PAIRS = [
    ("You people never read", " the article before you comment.", " a stupid thing."),
    ("The quick brown", " fox jumps", " dog is lazy, this is not a good idea at all!"),
    ("Rude: this is", " a good idea", " stupid"),
    ("Que gente", " tan maleducada hay en este foro", " 0123456789"),
]
TEXTS = {
    "paired": [dict(zip(("prompt", "chosen", "rejected"), pair, strict=True)) for pair in PAIRS],
    "unpaired": [
        {"prompt": prompt, "completion": sides[i % 2], "label": i % 2 == 0}
        for i, (prompt, *sides) in enumerate(PAIRS)
    ],
}


def trainable_of(model: Any, *, encoder_decoder: bool = False) -> TrainableModel:
    """What our own code needs of a model; its tokens come from elsewhere."""
    answers = None if encoder_decoder else AnswerPositions(model)
    nobody: Any = None
    return TrainableModel(model, nobody, encoder_decoder, 0, 1, "tiny", answers=answers)


def row(prompt: list[int], first: list[int], second: list[int], good: bool = True) -> Row:
    return Row(
        prompt=prompt, answers=(first, second), good=good, reference=(0.0, 0.0),
        input_ids=prompt + max(first, second, key=len),
    )  # fmt: skip


def refer(rows: list[Row], model: Any, *, encoder_decoder: bool = False) -> None:
    trainable = trainable_of(model, encoder_decoder=encoder_decoder)
    logps, _ = measured(trainable, model, rows, "fp32")
    for each, (first, second) in zip(rows, logps, strict=True):
        each["reference"] = (first, second)


class Peer:
    """A tiny model, another one as reference, and TRL's trainers on them."""

    def __init__(self, folder: Any) -> None:
        from transformers import AutoTokenizer

        self.folder, self.out = folder, str(folder / "out")
        tiny_models.llama(folder / "llama")
        tiny_models.t5(folder / "t5")
        self.tokenizers = {
            name: AutoTokenizer.from_pretrained(folder / name) for name in ("llama", "t5")
        }
        self.settings = {
            "output_dir": self.out, "use_cpu": True, "bf16": False, "report_to": [],
            "gradient_checkpointing": False, "per_device_train_batch_size": len(PAIRS),
            "disable_dropout": True, "max_length": None,
        }  # fmt: skip

    def model(self, name: str = "llama", *, shifted: bool = False) -> Any:
        """The tiny model; shifted, its weights are a little others, as after some training."""
        from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

        kind = AutoModelForSeq2SeqLM if name == "t5" else AutoModelForCausalLM
        made = kind.from_pretrained(self.folder / name, dtype=torch.float32).eval()
        if shifted:
            torch.manual_seed(5)
            with torch.no_grad():
                for weight in made.parameters():
                    weight.add_(0.05 * torch.randn_like(weight) * weight.abs().mean())
        return made

    def batch(self, trainer: Any) -> Any:
        return next(iter(trainer.get_train_dataloader()))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    pytest.importorskip("trl")
    return Peer(tmp_path_factory.mktemp("peer"))


def cut(ids: Any, attention: Any, answer: Any) -> list[tuple[list[int], list[int]]]:
    """The prompts and the answers of a batch of causal rows."""
    return [
        ([int(t) for t, a, m in zip(*row, strict=True) if a and not m],
         [int(t) for t, a, m in zip(*row, strict=True) if a and m])
        for row in zip(ids, attention, answer, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"name": "dpo", "beta": 0.3}, {"loss_type": ["sigmoid"], "beta": 0.3}),
        ({"name": "dpo_norm", "beta": 4.0}, {"loss_type": ["sigmoid_norm"], "beta": 4.0}),
        ({"name": "ipo", "beta": 0.2}, {"loss_type": ["ipo"], "beta": 0.2}),
        (
            {"name": "dpo", "beta": 0.1, "sft": 0.7},
            {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.7], "beta": 0.1},
        ),
    ],
)
def test_dpo_and_its_kin_are_those_of_trl(peer: Peer, ours: Any, theirs: Any) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    policy, reference = peer.model(shifted=True), peer.model()
    trainer = DPOTrainer(
        policy, reference, args=DPOConfig(**peer.settings, **theirs),
        train_dataset=Dataset.from_list(TEXTS["paired"]),
        processing_class=peer.tokenizers["llama"],
    )  # fmt: skip
    batch = peer.batch(trainer)
    expected = trainer.compute_loss(policy, batch).item()

    sides = cut(batch["input_ids"], batch["attention_mask"], batch["completion_mask"])
    pairs = zip(sides[: len(PAIRS)], sides[len(PAIRS) :], strict=True)
    rows = [row(prompt, chosen, rejected) for (prompt, chosen), (_, rejected) in pairs]
    refer(rows, reference)
    objective = PairedObjective(trainable_of(policy), LossSettings(**ours))
    assert objective.loss(policy, objective.collate(rows)).item() == pytest.approx(
        expected, abs=1e-5
    )


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.5, 0.4)])
def test_kto_is_that_of_trl(peer: Peer, weights: tuple[float, float]) -> None:
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    policy, reference = peer.model(shifted=True), peer.model()
    good, bad = weights
    theirs = {"desirable_weight": good, "undesirable_weight": bad, "beta": 0.3}
    trainer = KTOTrainer(
        policy, reference, args=KTOConfig(**peer.settings, **theirs),
        train_dataset=Dataset.from_list(TEXTS["unpaired"]),
        processing_class=peer.tokenizers["llama"],
    )  # fmt: skip
    batch = peer.batch(trainer)
    expected = trainer.compute_loss(policy, batch).item()

    own = cut(batch["input_ids"], batch["attention_mask"], batch["completion_mask"])
    strangers = cut(*(batch[f"KL_{k}"] for k in ("input_ids", "attention_mask", "completion_mask")))
    rows = [
        row(prompt, answer, stranger, bool(label))
        for (prompt, answer), (_, stranger), label in zip(
            own, strangers, batch["label"], strict=True
        )
    ]
    refer(rows, reference)
    settings = LossSettings(name="kto", beta=0.3, good=good, bad=bad)
    objective = UnpairedObjective(trainable_of(policy), settings)
    assert objective.loss(policy, objective.collate(rows)).item() == pytest.approx(
        expected, abs=1e-5
    )
    assert objective.averages()["divergence"] >= 0


@pytest.mark.parametrize("name", ["llama", "t5"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"name": "cpo", "beta": 0.2, "sft": 0.6}, {"beta": 0.2, "cpo_alpha": 0.6}),
        (
            {"name": "simpo", "beta": 2.0, "margin": 0.9},
            {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 0.9, "cpo_alpha": 0.0},
        ),
        ({"name": "orpo", "beta": 0.25}, {"beta": 0.25}),
    ],
)
def test_losses_without_a_reference_are_those_of_trl(
    peer: Peer, name: str, ours: Any, theirs: Any
) -> None:
    from datasets import Dataset
    from trl.experimental.cpo import CPOConfig, CPOTrainer
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    orpo = ours["name"] == "orpo"
    config, kind = (ORPOConfig, ORPOTrainer) if orpo else (CPOConfig, CPOTrainer)
    policy, tokenizer = peer.model(name), peer.tokenizers[name]
    lengths = {"max_length": 256, "max_completion_length": 128}
    trainer = kind(
        policy, args=config(**{**peer.settings, **theirs, **lengths}),
        train_dataset=Dataset.from_list(TEXTS["paired"]), processing_class=tokenizer,
    )  # fmt: skip
    batch = peer.batch(trainer)
    loss, metrics = trainer.get_batch_loss_metrics(policy, batch)
    expected = loss.item()
    if orpo and name == "llama":  # their cross-entropy covers the toxic prompt, too
        expected -= metrics["nll_loss"]
        ours = {**ours, "sft": 0.0}

    rows = []
    for at in range(len(PAIRS)):
        answers = [
            [t for t in batch[f"{side}_labels"][at].tolist() if t != -100]
            for side in ("chosen", "rejected")
        ]
        given = zip(batch["prompt_input_ids"][at], batch["prompt_attention_mask"][at], strict=True)
        rows.append(row([int(t) for t, m in given if m], *answers))
    objective = PairedObjective(
        trainable_of(policy, encoder_decoder=name == "t5"), LossSettings(**ours)
    )
    assert objective.loss(policy, objective.collate(rows)).item() == pytest.approx(
        expected, abs=1e-5
    )


ROWS = [
    row([5, 6, 7, 1], [8, 9, 1], [10, 1]),
    row([11, 12, 1], [13, 1], [14, 15, 16, 17, 1]),
    row([18, 19, 20, 21, 22, 1], [23, 24, 25, 1], [26, 27, 1], good=False),
]


def by_hand(model: Any, prompt: list[int], answer: list[int]) -> float:
    """log π(y|x) of an encoder-decoder: one answer, token by token, in double precision."""
    start = model.config.decoder_start_token_id
    total = 0.0
    for at, token in enumerate(answer):
        with torch.no_grad():
            logits = model(
                input_ids=torch.tensor([prompt]),
                decoder_input_ids=torch.tensor([[start, *answer[:at]]]),
            ).logits[0, -1]
        exponents = [math.exp(x) for x in logits.double().tolist()]
        total += math.log(exponents[token] / sum(exponents))
    return total


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def odds(x: float) -> float:
    return math.exp(x) / (1 - math.exp(x))


def formula(
    name: str, beta: float, yw: float, yl: float, nw: int, nl: int, rw: float, rl: float,
    divergence: float, good: bool,
) -> float:  # fmt: skip
    """The loss of one row: log π, tokens and log π/π_ref of its two answers."""
    return {
        "dpo": lambda: -math.log(sigmoid(beta * rw - beta * rl)),
        "dpo_norm": lambda: -math.log(sigmoid(beta / nw * rw - beta / nl * rl)),
        "ipo": lambda: (rw / nw - rl / nl - 1 / (2 * beta)) ** 2,
        "cpo": lambda: -math.log(sigmoid(beta * yw - beta * yl)),
        "simpo": lambda: -math.log(sigmoid(beta / nw * yw - beta / nl * yl - 1.375)),
        "orpo": lambda: -beta * math.log(sigmoid(math.log(odds(yw / nw) / odds(yl / nl)))),
        "kto": lambda: 1 - sigmoid(beta * (rw - divergence if good else divergence - rw)),
    }[name]()


@pytest.mark.parametrize("name", [*PAIRED, *UNPAIRED])
def test_losses_of_an_encoder_decoder_are_those_of_the_papers(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Formulas written out once more, on log probabilities computed token by token."""
    from transformers import AutoModelForSeq2SeqLM

    folder = tmp_path_factory.getbasetemp() / "mt5"
    if not folder.exists():
        tiny_models.mt5(folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    rows = [Row(**{**each, "reference": (-8.0 - i, -9.5 + i)}) for i, each in enumerate(ROWS)]
    beta, sft = 0.4, 0.3
    nats = [[by_hand(model, each["prompt"], a) for a in each["answers"]] for each in rows]
    sizes = [[len(a) for a in each["answers"]] for each in rows]

    ratios = [
        [n - r for n, r in zip(both, each["reference"], strict=True)]
        for both, each in zip(nats, rows, strict=True)
    ]
    divergence = max(0.0, sum(second for _, second in ratios) / len(rows))
    losses = [
        formula(name, beta, *both, *counts, *ratio, divergence, each["good"])
        for both, counts, ratio, each in zip(nats, sizes, ratios, rows, strict=True)
    ]
    said = [at for at, each in enumerate(rows) if name not in UNPAIRED or each["good"]]
    cross_entropy = -sum(nats[at][0] for at in said) / sum(sizes[at][0] for at in said)
    expected = sum(losses) / len(losses) + sft * cross_entropy

    kind = UnpairedObjective if name in UNPAIRED else PairedObjective
    settings = LossSettings(name=name, beta=beta, sft=sft)
    objective = kind(trainable_of(model, encoder_decoder=True), settings)
    found = objective.loss(model, objective.collate(rows))
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    found.backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize("name", PAIRED)
def test_a_likelier_chosen_side_lowers_the_loss(name: str) -> None:
    """But for IPO, which asks for a margin and no more."""
    module: Any = loss_named(name)

    def loss_at(chosen: float) -> float:
        answers = Likelihood(
            torch.tensor([chosen, -6.0]), torch.tensor([3, 4]), torch.tensor([-6.0, -6.0])
        )
        better, worse = module.reward(answers).chunk(2)
        return float(module.loss(better, worse, module.BETA, module.MARGIN))

    found = [loss_at(at) for at in (-9.0, -6.0, -5.0, -2.0)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    assert math.isfinite(loss_at(0.0))  # certain


def test_an_unknown_loss_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown loss 'dbo'.*did you mean 'dpo'"):
        loss_named("dbo")
