"""The benchmark of trainings compares what is equal: its variants learn the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tiny_gemma
from civilly.data.pairs import Pair
from civilly.train.base_model import encode
from civilly.train.examples import rewriting_examples
from civilly.train.trainer import collator
from conftest import benchmark

torch = pytest.importorskip("torch")
pytest.importorskip("peft")


BATCHES = [
    [Pair(f"{i}", "en", f"{'You ' * i}idiot{word}", (f"{'You ' * i}{word}",)) for i in (1, 2, 4)]
    for word in ("", " are", " there")
]


@pytest.fixture(scope="module")
def training() -> ModuleType:
    return benchmark("training")


@pytest.fixture(scope="module")
def runs(training: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three steps of each variant on a tiny model, in this process."""
    folder = tiny_gemma.save(tmp_path_factory.mktemp("gemma"))
    given = ["--steps", "3", "--threads", "1", "--embedded", str(folder)]
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "batches_of", lambda recipe, steps: BATCHES[:steps])
        looked = training.profile_of  # slow, so once
        once = cache(lambda: looked(*asked[0]))
        asked: list[Any] = []
        patch.setattr(training, "profile_of", lambda *given: asked.append(given) or once())
        made = {
            name: training.measure("embedded", name, training.parsed(given))
            for name in training.variants_of("embedded")
        }
    torch.set_num_threads(threads)
    return made


def test_all_variants_learn_alike(runs: dict[str, Any]) -> None:
    before = runs["before"]["losses"]
    assert len(set(before)) == len(before) == 3
    for name, run in runs.items():
        tolerance = 0.05 if run["precision"] == "bf16" else 1e-3
        assert run["losses"] == pytest.approx(before, abs=tolerance), name
    assert runs["bf16"]["losses"] != before
    assert runs["again"]["losses"] == before
    assert {name for name, run in runs.items() if run["profile"]} == {"before", "after"}
    shares = [share for _, share in runs["before"]["profile"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.2 < sum(shares) <= 1
    assert any(name.startswith("aten::") for name, _ in runs["before"]["profile"])


def test_batches_are_of_like_lengths_and_always_the_same(training: ModuleType) -> None:
    recipe = training.recipe_of("embedded")
    batches = training.batches_of(recipe, 4)
    assert batches == training.batches_of(recipe, 4)
    assert [len(batch) for batch in batches] == [16] * 4
    lengths = [(len(batch[0].toxic), len(batch[-1].toxic)) for batch in batches]
    borders = [border for pair in sorted(lengths) for border in pair]
    assert borders == sorted(borders)
    assert borders[-1] <= recipe.corpus["longest_characters"]
    large = training.recipe_of("large")
    assert large.training.batch_size * large.training.accumulation == 16
    assert {pair.lang for batch in training.batches_of(large, 4) for pair in batch} <= {
        "en", "es", "de", "fr", "it", "ru", "uk", "zh", "ja", "ar",
    }  # fmt: skip


def test_an_accumulated_step_is_one_large_step(training: ModuleType, tmp_path: Path) -> None:
    folder, recipe = tiny_gemma.save(tmp_path), training.recipe_of("embedded")
    pairs = [pair for batch in BATCHES for pair in batch]
    losses = []
    for size in (len(pairs), 2):
        made, _ = training.trainable_of(recipe, training.VARIANTS["after"], folder)
        rows = encode(rewriting_examples(pairs), made)
        parts = [collator(made)(rows[at : at + size]) for at in range(0, len(rows), size)]
        steps = training.Steps(made, "fp32", 1e-2)
        losses.append([steps.take(parts) for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][2] < losses[0][0]


def test_every_variant_is_what_its_name_says(training: ModuleType, tmp_path: Path) -> None:
    folder = tiny_gemma.save(tmp_path)
    recipe = training.recipe_of("embedded")
    (batch, *_) = BATCHES
    rows: dict[str, Any] = {}
    for name in ("before", "contiguous", "supervised", "after"):
        made, _ = training.trainable_of(recipe, training.VARIANTS[name], folder)
        seen: list[Any] = []
        made.model.get_output_embeddings().register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(inputs[0])
        )
        inputs = collator(made)(encode(rewriting_examples(batch), made))
        training.Steps(made, "fp32", 1e-3).take([inputs])
        rows[name] = (seen[0].shape[:-1].numel(), seen[0].is_contiguous())
    labels = inputs["labels"]
    due = int((labels != -100).sum())
    assert rows == {
        "before": (labels.numel(), False), "contiguous": (labels.numel(), True),
        "supervised": (due, True), "after": (due, True),
    }  # fmt: skip


def test_the_report(training: ModuleType, runs: dict[str, Any]) -> None:
    for run in runs.values():
        run["seconds"] = [9.0, 2.0, 2.0]
    runs["supervised"]["seconds"] = [9.0, 1.0, 1.0]
    runs["memory"]["seconds"] = [9.0, 0.5]  # broken off
    text = training.report("embedded", runs, 2)
    lines = {row.split(" | ")[0].strip("| "): row.split(" | ") for row in text.splitlines()}
    assert lines["supervised positions only"][2:4] == ["1.000", "2.00"]
    assert lines["freed memory is kept"][2:4] == ["2.000", "4.00"]
    assert lines["before, once more"][2:4] == ["0.500", "1.00"]
    assert "again 0.0000" in text
    assert "before: operation | share | after: operation | share" in text
    assert "upper" not in text
