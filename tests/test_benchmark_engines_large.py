"""The contestants of benchmarks/engines.py --large on a tiny model: each has PEFT's adapter."""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tiny_qwen
from civilly.errors import ModelError
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.model import cache
from civilly.model.qwen_tokenizer import load_qwen_tokenizer
from conftest import benchmark

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

TEXT, ANSWER = "You are a stupid idiot.", "You are wrong."
UPPER = r".*layers\.[12]\..*_proj"


@pytest.fixture(scope="module")
def large() -> ModuleType:
    return benchmark("contestants_large")


@pytest.fixture(scope="module")
def work(large: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny model's packages, and a folder for the forms."""
    root = tmp_path_factory.mktemp("engines")
    (root / "cache").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.CACHE_VARIABLE, str(root / "cache"))
        tiny_qwen.install(root / "packages").use(patch.setattr)
        yield root


def changed(**options: Any) -> Any:
    """The tiny model with a LoRA that changes what it computes."""
    torch.manual_seed(0)
    config = peft.LoraConfig(
        r=8, lora_alpha=24, target_modules=UPPER, task_type="CAUSAL_LM", **options
    )
    model = peft.get_peft_model(tiny_qwen.reference(), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return model


def merged(model: Any) -> dict[str, np.ndarray]:
    """The weights as PEFT merges them, under their GGUF names."""
    state = model.merge_and_unload().state_dict()
    return {tiny_qwen.gguf_name(name): weight.numpy()
            for name, weight in state.items() if name != tiny_qwen.OUTPUT}  # fmt: skip


def tensors(path: Path) -> dict[str, Any]:
    import gguf

    return {tensor.name: tensor for tensor in gguf.GGUFReader(str(path)).tensors}


@pytest.mark.parametrize("root_scale", [False, True])
def test_the_lora_file_is_what_peft_adds(
    large: ModuleType, tmp_path: Path, root_scale: bool
) -> None:
    import gguf

    base = tiny_qwen.write_gguf(tmp_path / "base.gguf", output="none")
    model = changed(use_rslora=root_scale)
    model.save_pretrained(tmp_path / "adapter")
    large.write_lora(tmp_path / "adapter", base, tmp_path / "lora.gguf")
    reader = gguf.GGUFReader(str(tmp_path / "lora.gguf"))
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.type"] == "adapter"
    assert (fields["general.architecture"], fields["adapter.type"]) == ("qwen2", "lora")
    factors = {tensor.name: tensor.data for tensor in reader.tensors}
    expected = merged(model)
    touched = 0
    for name, tensor in tensors(base).items():
        weight = tensor.data
        if f"{name}.lora_a" in factors:
            down, up = factors.pop(f"{name}.lora_a"), factors.pop(f"{name}.lora_b")
            # As llama.cpp computes it: alpha by the rank, which is the width of B.
            addition = fields["adapter.lora.alpha"] / up.shape[1] * (up @ down)
            assert np.abs(addition).max() > 0.1
            weight, touched = weight + addition, touched + 1
        np.testing.assert_allclose(weight, expected[name], atol=1e-5, err_msg=name)
    assert touched == 2 * 7
    assert factors == {}


@pytest.mark.parametrize("options", [{"use_dora": True}, {"bias": "lora_only"}])
def test_another_kind_of_adapter_is_refused(
    large: ModuleType, tmp_path: Path, options: dict[str, Any]
) -> None:
    base = tiny_qwen.write_gguf(tmp_path / "base.gguf", output="none")
    changed(**options).save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError):
        large.write_lora(tmp_path / "adapter", base, tmp_path / "lora.gguf")


def test_an_adapter_of_another_model_is_refused(large: ModuleType, tmp_path: Path) -> None:
    lacking = tiny_qwen.write_gguf(tmp_path / "base.gguf", without="blk.2.ffn_up.weight")
    changed().save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"layers\.2\.mlp\.up_proj"):
        large.write_lora(tmp_path / "adapter", lacking, tmp_path / "lora.gguf")


def test_the_merged_file_is_what_peft_merges(large: ModuleType, tmp_path: Path) -> None:
    """To half a step of eight bits where it was trained, bit for bit elsewhere."""
    import gguf

    base = tiny_qwen.write_gguf(tmp_path / "base.gguf", rounding="Q4_0")
    dequantised = {
        name: torch.tensor(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        for name, tensor in tensors(base).items()
    }
    model = changed()
    with torch.no_grad():
        for name, weight in model.get_base_model().named_parameters():
            plain = name.replace(".base_layer", "")
            if "lora_" not in name and "embed" not in name:
                weight.copy_(dequantised[tiny_qwen.gguf_name(plain)])
    model.save_pretrained(tmp_path / "adapter")
    large.write_merged(tmp_path / "adapter", base, tmp_path / "merged.gguf")
    expected, before, after = merged(model), tensors(base), tensors(tmp_path / "merged.gguf")
    assert after.keys() == before.keys()
    touched = 0
    for name, tensor in after.items():
        if tensor.tensor_type == before[name].tensor_type:
            np.testing.assert_array_equal(tensor.data, before[name].data, err_msg=name)
            continue
        assert tensor.tensor_type.name == "Q8_0"
        found, wanted = gguf.quants.dequantize(tensor.data, tensor.tensor_type), expected[name]
        step = np.abs(wanted).reshape(len(wanted), -1, 32).max(axis=2, keepdims=True) / 127
        difference = np.abs(found - wanted).reshape(len(wanted), -1, 32)
        assert (difference <= 0.51 * step + 1e-3 * np.abs(wanted).max()).all(), name
        touched += 1
    assert touched == 2 * 7
    fields = [gguf.GGUFReader(str(p)).fields for p in (base, tmp_path / "merged.gguf")]
    contents = [
        {name: field.contents() for name, field in each.items() if name[:5] != "GGUF."}
        for each in fields
    ]
    assert contents[0] == contents[1]


def test_all_contestants_answer_as_they_were_taught(large: ModuleType, work: Path) -> None:
    """Each opens the form that is laid out for it, and ends its answer where the model does."""
    torch.manual_seed(0)
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules=UPPER, task_type="CAUSAL_LM")
    model = peft.get_peft_model(tiny_qwen.reference(), config)
    large.prepare(work, {large.INT8_FORM}, _saved(model, work / "untaught"))
    tokenizer = load_qwen_tokenizer(work / large.INT8_FORM)
    prompts = [tuned_prompt(text, "en") for text in (TEXT, "the idiot", "Rude")]
    encoded = tokenizer.encode_prompts(prompts)
    taught = [*tokenizer.encode(ANSWER), tokenizer.end]
    tiny_qwen.teach(model, [(ids, taught) for ids in encoded])
    adapter = _saved(model, work / "taught")
    forms = {contestant.form for contestant in large.LARGE.contestants.values()}
    large.prepare(work, forms, adapter)
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*.gguf")}
    assert len(before) == 3
    large.prepare(work, forms, adapter)
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.gguf")} == before
    for name, contestant in large.LARGE.contestants.items():
        if name.startswith("llama.cpp") and find_spec("xllamacpp") is None:
            continue  # no extra brings it
        answer = contestant.open(work / contestant.form, 1)
        assert answer(prompts[:1], 1) == [ANSWER], name
        assert answer(prompts, 2) == [ANSWER] * 3, name


def _saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def test_the_report_compares_what_both_have_answered(
    large: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engines = benchmark("engines")
    monkeypatch.setattr(engines, "adapter_digest", lambda _: "0123456789abcdef")
    monkeypatch.setattr(engines.registry, "create", lambda *_: SimpleNamespace(signature="s"))

    def run(rate: float, outputs: str, products: list[float]) -> dict[str, Any]:
        scores = {name: [1.0] * len(outputs) for name in engines.METRICS}
        return {"rate": rate, "size": 4, "tried": {"4": rate}, "alone": 1.0, "start_s": 2.0,
                "peak_mb": 3.0, "cpu_s": 4.0, "outputs": [*outputs],
                "scores": {**scores, "product": products},
                **({"rate_all": rate} if len(outputs) > 2 else {})}  # fmt: skip

    runs = {
        large.DEFAULT: run(3.0, "abcd", [0.5, 0.7, 0.0, 0.0]),
        large.BESIDE: run(2.0, "xbcd", [0.1, 0.6, 0.0, 0.0]),
        large.FLOAT: run(1.0, "ab", [0.5, 0.6]),
    }
    arguments = Namespace(large=True, adapter=tmp_path, common=2, threads=1)
    lines = engines.report(runs, [None] * 4, arguments).splitlines()
    assert "9 languages (en, es, de, fr, it, ru, zh, ja, ar)" in lines[0]
    assert "0123456789abcdef" in lines[2]
    rows = {line.split(" | ")[0]: line for line in lines if line.startswith("| ")}
    speed = [line for line in lines if line.startswith(f"| {large.BESIDE} | 4 (4)")]
    assert [cell.strip() for cell in speed[0].split("|")[3:9]] == [
        "2.00", "1.50 ×", "1.00", "2.00", "3", "50%"
    ]  # fmt: skip
    assert "-0.2000" in rows[f"| {large.BESIDE}"]
    assert "+0.0500" in rows[f"| {large.DEFAULT}"]
    assert rows[f"| {large.FLOAT}"].endswith("| – |")
    assert f"{large.DEFAULT} 4.0; " in next(line for line in lines if "Processor seconds" in line)


def test_the_light_run_is_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engines = benchmark("engines")
    monkeypatch.setattr(sys, "argv", ["engines.py"])
    found = engines.parsed()
    assert (found.n, found.common, found.output.name) == (192, 48, "engines.md")
    assert found.only == [*engines.LIGHT.contestants]
    monkeypatch.setattr(sys, "argv", ["engines.py", "--large", "--n", "6"])
    found = engines.parsed()
    assert (found.n, found.common, found.output.name) == (6, 6, "engines_large.md")
    assert found.only == [*engines.LARGE.contestants]
    monkeypatch.setattr(sys, "argv", ["engines.py", "--only", engines.LARGE.default])
    with pytest.raises(SystemExit):
        engines.parsed()
    assert engines.LARGE.default in capsys.readouterr().err
