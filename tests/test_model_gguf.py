"""A GGUF file of one's own: known, checked, built once, and refused with the mend."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock  # noqa: F401 - imported before a disk is said to be full
import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny_qwen
from civilly.errors import CacheError, ModelError
from civilly.model import cache, gguf_model, qwen_build
from civilly.model.adapter import CONFIG_FILE, WEIGHTS_FILE
from civilly.model.gguf_file import read_head
from civilly.model.gguf_model import (
    DAMAGED,
    INSTEAD,
    check_gguf,
    gguf_folder,
    gguf_if_built,
    gguf_name,
)
from civilly.model.qwen_build import needed_bytes
from civilly.model.qwen_format import rounded
from civilly.model.qwen_source import QwenSource
from civilly.model.source import EMBEDDING
from tiny_qwen import OUTPUT, write_gguf


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf", output="own")


def nothing_is_left() -> bool:
    return not cache.builds() and not cache.leftovers()


# Input and output matrix.


@pytest.mark.parametrize(
    ("output", "rounding", "tied"),
    [
        ("none", "F32", True),
        ("twice", "F32", True),
        ("twice", "Q8_0", True),
        ("own", "F32", False),
        ("own", "Q8_0", False),
    ],
)
def test_whether_input_and_output_matrix_are_one_is_found_out(
    output: str, rounding: str, tied: bool, tmp_path: Path
) -> None:
    source = QwenSource(write_gguf(tmp_path / "a", output=output, rounding=rounding), DAMAGED)
    found = dict(source.weights())
    expected = tiny_qwen.weights(own_output=not tied)
    assert source.tied == tied
    assert found.keys() == expected.keys()
    assert {name: weight.shape for name, weight in found.items()} == source.shapes()
    for name, weight in found.items():
        largest = np.abs(expected[name]).max()
        error = 0 if rounding == "F32" or weight.ndim == 1 else largest / 127
        np.testing.assert_allclose(weight, expected[name], atol=error, rtol=0, err_msg=name)


@pytest.mark.parametrize("rows", [1, 300, 9_000])
def test_rows_are_rounded_part_by_part_as_in_one_go(rows: int) -> None:
    matrix = np.random.default_rng(rows).standard_normal((rows, 8)).astype(np.float32)
    eight, scale = rounded(matrix)
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    assert eight.shape == matrix.shape
    assert (np.abs(eight).max(axis=1) == 127).all()
    np.testing.assert_allclose(eight / scale[:, None], matrix, atol=largest.max() / 254 * 1.001)
    np.testing.assert_allclose(scale[:, None] * largest, 127, rtol=1e-6)


@pytest.mark.parametrize("rounding", ["F32", "F16", "BF16", "Q8_0"])
@pytest.mark.parametrize("output", ["none", "own"])
def test_the_built_form_computes_what_transformers_computes(
    output: str, rounding: str, tmp_path: Path
) -> None:
    """From what gguf reads in the file, rounded to eight bits, multiplied in float32."""
    torch = pytest.importorskip("torch")
    import ctranslate2

    made = tiny_qwen.as_gguf_reads(rounding, own_output=output == "own")
    expected = tiny_qwen.eight_bits(tiny_qwen.reference(made=made))
    path = write_gguf(tmp_path / "a.gguf", output=output, rounding=rounding)
    ids = np.arange(230, 290, dtype=np.int32)[None]
    generator = ctranslate2.Generator(str(gguf_folder(path)), device="cpu", compute_type="float32")
    logits = generator.forward_batch(
        ctranslate2.StorageView.from_array(ids),
        ctranslate2.StorageView.from_array(np.array([ids.size], np.int32)),
    )
    with torch.inference_mode():
        wanted = expected(torch.from_numpy(ids).long()).logits[0].numpy()
    np.testing.assert_allclose(np.array(logits)[0], wanted, atol=1e-3)
    if output == "own":  # the test can tell one matrix from the other
        tied = {name: weight for name, weight in made.items() if name != OUTPUT}
        with torch.inference_mode():
            other = tiny_qwen.reference(made=tied)(torch.from_numpy(ids).long()).logits[0].numpy()
        assert np.abs(other - wanted).max() > 1


# Built once.


def test_a_second_start_builds_nothing_and_reads_only_the_ends(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    assert gguf_if_built(file) is None
    folder = gguf_folder(file)
    assert folder.name.startswith("gguf-")
    assert "preparing tiny.gguf" in capfd.readouterr().err
    monkeypatch.setattr(gguf_model, "QwenSource", None)  # whoever opened it would fail
    assert gguf_folder(file) == gguf_if_built(file) == folder
    assert capfd.readouterr().err == ""


def moved(file: Path) -> Path:
    return file.rename(file.with_name("other.gguf"))


def touched(file: Path) -> Path:
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    return file


def longer(file: Path) -> Path:
    changed(file, lambda data: data + bytes(32))
    return file


def other_beginning(file: Path) -> Path:
    changed(file, lambda data: data.replace(b"block_count", b"block_kount", 1))
    return file


def other_end(file: Path) -> Path:
    changed(file, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    return file


def changed(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Changes the content, and sets the time back."""
    facts = file.stat()
    file.write_bytes(change(file.read_bytes()))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize("change", [moved, touched, longer, other_beginning, other_end])
def test_another_file_is_another_build(
    change: Callable[[Path], Path], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_model, "HASHED_BYTES", 4_096)  # not all of the tiny file
    gguf_folder(file)
    assert gguf_if_built(file) is not None
    assert gguf_if_built(change(file)) is None


def test_a_link_and_a_relative_path_are_the_same_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = gguf_folder(file)
    link = file.with_name("link.gguf")
    link.symlink_to(file)
    monkeypatch.chdir(file.parent)
    assert gguf_if_built(link) == gguf_if_built(Path("tiny.gguf")) == folder


def test_a_file_that_changes_while_it_is_read_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*arguments: Any) -> None:
        write(*arguments)
        touched(file)

    write = qwen_build.write_qwen
    with monkeypatch.context() as patch:
        patch.setattr(qwen_build, "write_qwen", meanwhile)
        with pytest.raises(ModelError, match="has changed while it was read"):
            gguf_folder(file)
    assert nothing_is_left()
    assert gguf_folder(file).is_dir()


def _build(file: Path) -> str:
    def slowly(*arguments: Any) -> None:
        with (cache.cache_folder() / "built").open("a") as journal:
            journal.write("once\n")
        time.sleep(0.3)
        write(*arguments)

    write, qwen_build.write_qwen = qwen_build.write_qwen, slowly
    return str(gguf_folder(file))


def test_two_processes_at_once_build_once(file: Path) -> None:
    cache.cache_folder().mkdir()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        one, other = pool.map(_build, [file, file], chunksize=1)
    assert one == other
    assert (cache.cache_folder() / "built").read_text() == "once\n"
    assert sorted(path.name for path in Path(one).iterdir()) == [
        "config.json", "model.bin", "seal.json", "special_tokens.json", "tokenizer.json",
        "vocabulary.json",
    ]  # fmt: skip


@pytest.mark.parametrize(("output", "matrices"), [("none", 1), ("twice", 1), ("own", 2)])
def test_the_space_is_that_of_the_elements(output: str, matrices: int, tmp_path: Path) -> None:
    s, size = tiny_qwen.SHAPE, len(tiny_qwen.vocabulary()[0])
    inner = s.width // s.heads * s.key_value_heads
    rows = s.width + 2 * inner + s.width + 2 * s.feed_forward  # of matrices as wide as the model
    layer = rows * (s.width + 4) + s.width * (s.feed_forward + 4)
    layer += 4 * (s.width + 2 * inner + 2 * s.width)  # what is not rounded
    weights = s.layers * layer + 4 * s.width + matrices * size * (s.width + 4)
    source = QwenSource(write_gguf(tmp_path / "a.gguf", output=output), DAMAGED)
    needed = needed_bytes(source)
    assert needed == weights + (1 << 20) + 128 * size
    folder = gguf_folder(tmp_path / "a.gguf")
    written = (folder / "model.bin").stat().st_size
    assert weights < written < weights + 10_000  # names and shapes beside
    assert sum(path.stat().st_size for path in folder.iterdir()) < needed


def test_a_full_disk_is_said_before_anything_is_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = needed_bytes(QwenSource(file, DAMAGED))
    free = shutil.disk_usage(file.parent)._replace(free=needed - 1)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: free)
        patch.setattr(qwen_build, "write_for_use", None)
        with pytest.raises(CacheError, match=f"'gguf' needs {needed >> 20} MiB") as error:
            gguf_folder(file)
    assert cache.CACHE_VARIABLE in error.value.mend
    assert nothing_is_left()
    free = free._replace(free=needed)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    assert gguf_folder(file).is_dir()


# Refused.


def refused(path: Path, message: str, mend: str) -> ModelError:
    """What is raised by the check of the head or, at the latest, by the build."""
    with pytest.raises(ModelError, match=message) as error:
        check_gguf(path)
        gguf_folder(path)
    assert mend in str(error.value)
    assert nothing_is_left()
    return error.value


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.gguf", r"none\.gguf is not there", "gguf:FILE")
    refused(tmp_path, "is a folder", "gguf:FILE")
    with pytest.raises(ModelError, match="cannot be read"):
        gguf_if_built(tmp_path / "none.gguf")


@pytest.mark.parametrize("content", [b"", b"GG", b"no model", b"PK\3\4" + bytes(100)])
def test_what_is_no_gguf_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    refused(tmp_path / "a.gguf", "not a readable GGUF file: it does not begin with", DAMAGED)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (struct.pack(">IQQ", 3, 0, 0), "version 50331648"),
        (
            struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 40),
            "a text of 1099511627776 bytes",
        ),
        (struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2) + b"\xff\xff" + bytes(40), "utf-8"),
    ],
)
def test_a_strange_head_is_refused(head: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + head)
    refused(tmp_path / "a.gguf", f"it is incomplete or damaged .*{message}", DAMAGED)


@pytest.mark.parametrize("architecture", ["llama", "qwen2moe", "qwen3", "gemma3"])
def test_another_architecture_is_named_with_what_is_understood(
    architecture: str, tmp_path: Path
) -> None:
    path = write_gguf(tmp_path / "a.gguf", architecture)
    error = refused(path, f"architecture '{architecture}'", INSTEAD)
    assert "qwen2, which Qwen2 and Qwen2.5 have" in str(error)
    assert "openai:" in error.mend
    assert "hf:" in error.mend


@pytest.mark.parametrize(
    ("how", "message", "mend"),
    [
        ({"without": "block_count"}, r"lacks the field 'qwen2\.block_count'", DAMAGED),
        ({"without": "merges"}, r"lacks the field 'tokenizer\.ggml\.merges'", DAMAGED),
        ({"without": "token_embd.weight"}, r"lacks model\.embed_tokens\.weight", DAMAGED),
        ({"without": "output_norm.weight"}, r"lacks model\.norm\.weight", DAMAGED),
        ({"without": "blk.2.ffn_up.weight"}, r"lacks model\.layers\.2\.mlp\.up_proj", DAMAGED),
        ({"without": "blk.1.attn_q.bias"}, r"lacks model\.layers\.1\.self_attn\.q_proj", DAMAGED),
        ({"extra": ["blk.0.attn_sink.weight"]}, r"Unknown tensor 'blk\.0\.attn_sink", DAMAGED),
        ({"fields": {"split.count": 2}}, "one of 2 parts", "llama-gguf-split --merge"),
        ({"fields": {"tokenizer.ggml.pre": "llama-bpe"}}, "'gpt2', 'llama-bpe'", INSTEAD),
        ({"fields": {"tokenizer.ggml.eos_token_id": 0}}, "no special token '!'", INSTEAD),
        ({"fields": {"qwen2.rope.scaling.type": "yarn"}}, r"its positions \(yarn\)", INSTEAD),
    ],
)
def test_what_is_not_a_whole_qwen2_is_refused(
    how: dict[str, Any], message: str, mend: str, tmp_path: Path
) -> None:
    refused(write_gguf(tmp_path / "a.gguf", output="own", **how), message, mend)


def test_a_matrix_of_another_shape_is_refused(tmp_path: Path) -> None:
    made = tiny_qwen.weights()
    made["model.layers.1.mlp.up_proj.weight"] = made["model.layers.1.mlp.up_proj.weight"][:-1]
    path = write_gguf(tmp_path / "a.gguf", made=made, output="none")
    refused(path, r"has model\.layers\.1\.mlp\.up_proj\.weight as \(63, 32\)", "(64, 32)")


def test_merges_that_make_no_piece_are_refused(file: Path) -> None:
    """The library would end the process."""
    changed(file, lambda data: data.replace("Ġ s".encode(), "Ġ ?".encode(), 1))
    refused(file, "The vocabulary of .* is damaged", DAMAGED)


def test_a_rounding_that_gguf_does_not_read_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: Any) -> None:
        raise NotImplementedError

    with monkeypatch.context() as patch:
        patch.setattr(gguf.quants, "dequantize", cannot)
        refused(file, "as F32, which cannot be read", "Q4_K_M or Q8_0")
    assert gguf_folder(file).is_dir()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_gguf(tmp_path_factory.mktemp("whole") / "a.gguf", output="own").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_truncated_file_is_refused_wherever_it_ends(
    whole: bytes, data: st.DataObject, tmp_path: Path
) -> None:
    """In the head, the vocabulary, the list of tensors, or the last of them."""
    tensors = whole.index(b"token_embd.weight")
    places = st.integers(0, 200) | st.integers(0, tensors) | st.integers(tensors, len(whole) - 33)
    (tmp_path / "cut.gguf").write_bytes(whole[: data.draw(places)])
    refused(tmp_path / "cut.gguf", "not a readable GGUF file", DAMAGED)


# What a file calls itself.


def test_a_file_is_called_what_its_head_says(tmp_path: Path) -> None:
    fields = {
        "general.name": "Qwen2.5 Coder 7B #1?", "general.size": 7,
        "general.basename": "Qwen2.5-Coder", "general.base_model.0.name": "a/b c",
    }  # fmt: skip
    path = write_gguf(tmp_path / "my file.gguf", fields=fields)
    assert gguf_name(path) == "Qwen2.5-Coder, Qwen2.5-Coder-7B-1-, a-b-c, my-file.gguf"
    assert gguf_name(write_gguf(tmp_path / "b.gguf")) == "b.gguf"
    assert read_head(path, DAMAGED)["general.architecture"] == "qwen2"
    # The first list ends it: nothing of the vocabulary is read.
    assert "tokenizer.ggml.tokens" not in read_head(path, DAMAGED)


def test_the_tokens_around_a_text_are_those_of_the_file(tmp_path: Path) -> None:
    from civilly.model.qwen_tokenizer import load_qwen_tokenizer

    pieces, _ = tiny_qwen.vocabulary()
    places = {name: pieces.index(name) for name in tiny_qwen.CONTROL}
    fields = {
        "tokenizer.ggml.eos_token_id": places["<|endoftext|>"],
        "tokenizer.ggml.bos_token_id": places["<|im_start|>"],
    }
    base, usual = (
        load_qwen_tokenizer(gguf_folder(write_gguf(tmp_path / f"{len(each)}.gguf", fields=each)))
        for each in (fields, {})
    )
    assert (base.begin_piece, base.end_piece) == ("<|im_start|>", "<|endoftext|>")
    assert (base.end, usual.end) == (places["<|endoftext|>"], places["<|im_end|>"])
    assert usual.begin_piece == "<|endoftext|>"
    assert usual.texts()[usual.end] == "<|im_end|>"


# Adapters.


def adapter(folder: Path, target: str, shape: tuple[int, int]) -> Path:
    """A LoRA adapter of one matrix, with random weights, written by hand."""
    from safetensors.numpy import save_file

    rng, rank = np.random.default_rng(1), 2
    factors = {
        f"base_model.model.{target}.lora_A.weight": (rank, shape[1]),
        f"base_model.model.{target}.lora_B.weight": (shape[0], rank),
    }
    folder.mkdir()
    save_file(
        {name: rng.standard_normal(size).astype(np.float32) for name, size in factors.items()},
        folder / WEIGHTS_FILE,
    )
    (folder / CONFIG_FILE).write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 2}')
    return folder


def test_an_adapter_of_the_output_matrix_fits_where_there_is_one(
    file: Path, tmp_path: Path
) -> None:
    size, width = tiny_qwen.weights()[EMBEDDING].shape
    made = adapter(tmp_path / "adapter", "lm_head", (size, width))
    plain, own = gguf_folder(file), gguf_folder(file, made)
    assert plain != own == gguf_if_built(file, made)
    assert (plain / "model.bin").read_bytes() != (own / "model.bin").read_bytes()
    with pytest.raises(ModelError, match=r"unknown weights: \['lm_head\.weight'\]") as error:
        gguf_folder(write_gguf(tmp_path / "tied.gguf"), made)
    assert error.value.mend == "name an adapter that was trained on this model"


@pytest.mark.parametrize(
    ("target", "shape", "message"),
    [
        ("model.layers.9.self_attn.q_proj", (32, 32), r"unknown weights: .*layers\.9"),
        ("model.layers.2.self_attn.q_proj", (64, 64), r"does not fit the model: model\.layers\.2"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    target: str, shape: tuple[int, int], message: str, file: Path, tmp_path: Path
) -> None:
    made = adapter(tmp_path / "adapter", target, shape)
    with pytest.raises(ModelError, match=message) as error:
        gguf_folder(file, made)
    assert "an adapter that was trained on this model" in error.value.mend
    with pytest.raises(ModelError, match="No adapter in"):
        gguf_folder(file, tmp_path / "none")
    assert nothing_is_left()
